"""What a server sends, other than while a client signs in.

Each message is read from and built as a whole one, header included. `read` raises
`ProtocolViolation`. Texts of errors and notices are kept as bytes: before a session's encoding is
settled they may be in any.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from daypass.engines.postgres.wire.body import (
    Body,
    count,
    int16,
    int32,
    length_and,
    message,
    raw_text,
    text,
    uint32,
)

PARSE_COMPLETE = message(b"1")
BIND_COMPLETE = message(b"2")
CLOSE_COMPLETE = message(b"3")
NO_DATA = message(b"n")
EMPTY_QUERY = message(b"I")
PORTAL_SUSPENDED = message(b"s")
COPY_DONE = message(b"c")

IDLE = ord("I")
IN_TRANSACTION = ord("T")
FAILED = ord("E")


@dataclass(frozen=True, slots=True)
class Report:
    """An error (`E`) or a notice (`N`): fields by their letter, in order.

    `S` is the severity in the server's language, `V` in English, `C` the SQLSTATE, `M` the message,
    `D` detail, `H` hint, `P` position in characters from 1, `p` and `q` position in and text of a
    query of the server's own.
    """

    kind: str
    fields: tuple[tuple[str, bytes], ...]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        error = raw[:1] == b"E"
        body = Body.of(raw, b"E" if error else b"N", "ErrorResponse" if error else "NoticeResponse")
        fields: list[tuple[str, bytes]] = []
        while letter := body.byte("a field"):
            fields.append((chr(letter), body.raw_text("a field")))
        body.end()
        return cls(raw[:1].decode(), tuple(fields))

    @classmethod
    def of(
        cls,
        severity: str,
        sqlstate: str,
        text: str,
        *,
        detail: str = "",
        hint: str = "",
        position: int | None = None,
    ) -> Self:
        """Make one: `ERROR`, `FATAL` and `PANIC` are errors, any other severity is a notice."""
        kind = "E" if severity in ("ERROR", "FATAL", "PANIC") else "N"
        fields = [("S", severity), ("V", severity), ("C", sqlstate), ("M", text)]
        fields += [
            (letter, value)
            for letter, value in (
                ("D", detail),
                ("H", hint),
                ("P", "" if position is None else str(position)),
            )
            if value
        ]
        # A zero byte would end the field, and what follows would be read as another.
        clean = [(letter, value.replace("\0", "").encode()) for letter, value in fields]
        return cls(kind, tuple(clean))

    def field(self, letter: str) -> str:
        """Return a field's text, empty if it has none."""
        for each, value in self.fields:
            if each == letter:
                return value.decode(errors="replace")
        return ""

    def with_field(self, letter: str, value: str) -> Self:
        """Return it with a field put in the place of the one it has; others stay byte for byte."""
        changed = tuple(
            (each, value.encode() if each == letter else old) for each, old in self.fields
        )
        return replace(self, fields=changed)

    @property
    def severity(self) -> str:
        """Return the severity in English."""
        return self.field("V") or self.field("S")

    @property
    def sqlstate(self) -> str:
        """Return the SQLSTATE."""
        return self.field("C")

    @property
    def message(self) -> str:
        """Return the message."""
        return self.field("M")

    @property
    def position(self) -> int | None:
        """Return where in the text the error is, in characters from 1."""
        found = self.field("P")
        return int(found) if found.isascii() and found.isdigit() and len(found) < 11 else None

    def build(self) -> bytes:
        """Return its bytes."""
        fields = [letter.encode() + raw_text(value) for letter, value in self.fields]
        return message(self.kind.encode(), *fields, b"\0")


@dataclass(frozen=True, slots=True)
class ParameterStatus:
    """The value a setting has now."""

    name: str
    value: str

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"S", "ParameterStatus")
        found = cls(body.text("name"), body.text("value"))
        body.end()
        return found

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"S", text(self.name), text(self.value))


@dataclass(frozen=True, slots=True)
class ReadyForQuery:
    """The end of a cycle: `status` is `IDLE`, `IN_TRANSACTION` or `FAILED`."""

    status: int

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"Z", "ReadyForQuery")
        status = body.byte("status")
        body.end()
        if status not in (IDLE, IN_TRANSACTION, FAILED):
            raise body.violation("an unknown status")
        return cls(status)

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"Z", bytes((self.status,)))


@dataclass(frozen=True, slots=True)
class CommandComplete:
    """The end of a statement: its command and, for some, the rows it touched."""

    tag: str

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"C", "CommandComplete")
        found = cls(body.text("tag"))
        body.end()
        return found

    @property
    def rows(self) -> int | None:
        """Return how many rows it says it touched, if it says so."""
        last = self.tag.rpartition(" ")[2]
        return int(last) if last.isascii() and last.isdigit() and len(last) < 20 else None

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"C", text(self.tag))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result: the table's oid and the column's number are 0 for an expression."""

    name: str
    table: int
    number: int
    type: int
    type_size: int = -1
    type_modifier: int = -1
    format: int = 0


@dataclass(frozen=True, slots=True)
class RowDescription:
    """The columns of the rows that follow."""

    columns: tuple[Column, ...]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"T", "RowDescription")
        columns = tuple([_column(body) for _ in range(body.count("columns", 19))])
        body.end()
        return cls(columns)

    def build(self) -> bytes:
        """Return its bytes."""
        return message(
            b"T",
            count(len(self.columns)),
            *[
                text(each.name)
                + uint32(each.table)
                + int16(each.number)
                + uint32(each.type)
                + int16(each.type_size)
                + int32(each.type_modifier)
                + int16(each.format)
                for each in self.columns
            ],
        )


@dataclass(frozen=True, slots=True)
class ParameterDescription:
    """The types of a prepared statement's parameters."""

    types: tuple[int, ...]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"t", "ParameterDescription")
        types = tuple([body.uint32("a type") for _ in range(body.count("types", 4))])
        body.end()
        return cls(types)

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"t", count(len(self.types)), *map(uint32, self.types))


@dataclass(frozen=True, slots=True)
class DataRow:
    """A row; None is NULL."""

    values: tuple[bytes | None, ...]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"D", "DataRow")
        values = tuple([body.value("a value") for _ in range(body.count("values", 4))])
        body.end()
        return cls(values)

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"D", count(len(self.values)), *map(length_and, self.values))


@dataclass(frozen=True, slots=True)
class CopyResponse:
    """The beginning of a copy, of `direction` in (`G`), out (`H`) or both (`W`)."""

    direction: str
    format: int
    column_formats: tuple[int, ...]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        kind = raw[:1] if raw[:1] in (b"G", b"H", b"W") else b"G"
        body = Body.of(raw, kind, "CopyResponse")
        overall = body.byte("format")
        formats = tuple([body.int16("formats") for _ in range(body.count("formats", 2))])
        body.end()
        return cls(kind.decode(), overall, formats)

    def build(self) -> bytes:
        """Return its bytes."""
        formats = b"".join(map(int16, self.column_formats))
        return message(
            self.direction.encode(), bytes((self.format,)), count(len(self.column_formats)), formats
        )


@dataclass(frozen=True, slots=True)
class NotificationResponse:
    """A NOTIFY of another session."""

    backend_id: int
    channel: str
    payload: str

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"A", "NotificationResponse")
        found = cls(body.int32("backend"), body.text("channel"), body.text("payload"))
        body.end()
        return found

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"A", int32(self.backend_id), text(self.channel), text(self.payload))


def _column(body: Body) -> Column:
    return Column(
        body.text("a column's name"),
        body.uint32("a column's table"),
        body.int16("a column's number"),
        body.uint32("a column's type"),
        body.int16("a column's type size"),
        body.int32("a column's type modifier"),
        body.int16("a column's format"),
    )
