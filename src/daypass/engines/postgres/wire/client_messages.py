"""What a client sends once it was let in, and how it proves itself before.

Each message is read from and built as a whole one, header included. `read` raises
`ProtocolViolation`: one of a body leaves the messages after it readable, so that a relay may answer
with an error and go on; its `sqlstate` is 22021 where a text is not UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from daypass.engines.postgres.wire.body import (
    Body,
    count,
    int16,
    int32,
    length_and,
    message,
    text,
    uint32,
)
from daypass.engines.postgres.wire.violation import ProtocolViolation

SYNC = message(b"S")
FLUSH = message(b"H")
TERMINATE = message(b"X")
COPY_DONE = message(b"c")


@dataclass(frozen=True, slots=True)
class Query:
    """A text to run as it is."""

    text: str

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"Q", "Query")
        found = cls(body.text("text"))
        body.end()
        return found

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"Q", text(self.text))


@dataclass(frozen=True, slots=True)
class Parse:
    """A statement to prepare; the empty name is the unnamed one, type 0 is for the server to find.

    There may be fewer types than parameters.
    """

    name: str
    text: str
    types: tuple[int, ...] = ()

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"P", "Parse")
        name, statement = body.text("name"), body.text("text")
        types = tuple([body.uint32("a type") for _ in range(body.count("types", 4))])
        body.end()
        return cls(name, statement, types)

    def build(self) -> bytes:
        """Return its bytes."""
        types = b"".join(map(uint32, self.types))
        return message(b"P", text(self.name), text(self.text), count(len(self.types)), types)


@dataclass(frozen=True, slots=True)
class Bind:
    """Values for a prepared statement; None is NULL, a format is 0 (text) or 1 (binary).

    `formats` and `result_formats` have as many as there are values or columns, one for all, or none
    for text: see `format_of`.
    """

    portal: str
    statement: str
    formats: tuple[int, ...] = ()
    values: tuple[bytes | None, ...] = ()
    result_formats: tuple[int, ...] = ()

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"B", "Bind")
        portal, statement = body.text("portal"), body.text("statement")
        formats = _formats(body, "formats")
        values = tuple([body.value("a value") for _ in range(body.count("values", 4))])
        if len(formats) > 1 and len(formats) != len(values):
            raise body.violation(f"{len(formats)} formats for {len(values)} values")
        results = _formats(body, "result formats")
        body.end()
        return cls(portal, statement, formats, values, results)

    def format_of(self, value: int) -> int:
        """Return the format of a value by its place, from 0."""
        if len(self.formats) > 1:
            return self.formats[value]
        return self.formats[0] if self.formats else 0

    def build(self) -> bytes:
        """Return its bytes."""
        return message(
            b"B",
            text(self.portal),
            text(self.statement),
            count(len(self.formats)),
            *map(int16, self.formats),
            count(len(self.values)),
            *map(length_and, self.values),
            count(len(self.result_formats)),
            *map(int16, self.result_formats),
        )


@dataclass(frozen=True, slots=True)
class Describe:
    """Asks what a prepared statement (`S`) or a portal (`P`) looks like."""

    what: str
    name: str

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        return cls(*_named(raw, b"D", "Describe"))

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"D", self.what.encode(), text(self.name))


@dataclass(frozen=True, slots=True)
class Close:
    """Gives up a prepared statement (`S`) or a portal (`P`)."""

    what: str
    name: str

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        return cls(*_named(raw, b"C", "Close"))

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"C", self.what.encode(), text(self.name))


@dataclass(frozen=True, slots=True)
class Execute:
    """Runs a portal; `max_rows` of 0 or less is all of them."""

    portal: str
    max_rows: int = 0

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"E", "Execute")
        found = cls(body.text("portal"), body.int32("rows"))
        body.end()
        return found

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"E", text(self.portal), int32(self.max_rows))


@dataclass(frozen=True, slots=True)
class Sync:
    """Ends a pipeline."""

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        Body.of(raw, b"S", "Sync").end()
        return cls()

    def build(self) -> bytes:
        """Return its bytes."""
        return SYNC


@dataclass(frozen=True, slots=True)
class Flush:
    """Asks for what is ready."""

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        Body.of(raw, b"H", "Flush").end()
        return cls()

    def build(self) -> bytes:
        """Return its bytes."""
        return FLUSH


@dataclass(frozen=True, slots=True)
class Terminate:
    """Says good-bye."""

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        Body.of(raw, b"X", "Terminate").end()
        return cls()

    def build(self) -> bytes:
        """Return its bytes."""
        return TERMINATE


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """Calls a function by its oid, past every statement."""

    function: int
    formats: tuple[int, ...] = ()
    values: tuple[bytes | None, ...] = ()
    result_format: int = 0

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"F", "FunctionCall")
        function = body.uint32("function")
        formats = _formats(body, "formats")
        values = tuple([body.value("a value") for _ in range(body.count("values", 4))])
        result = body.int16("result format")
        body.end()
        return cls(function, formats, values, result)

    def build(self) -> bytes:
        """Return its bytes."""
        return message(
            b"F",
            uint32(self.function),
            count(len(self.formats)),
            *map(int16, self.formats),
            count(len(self.values)),
            *map(length_and, self.values),
            int16(self.result_format),
        )


@dataclass(frozen=True, slots=True)
class CopyData:
    """Some of what is copied in; `framing.ClientReader` gives it in pieces instead."""

    data: bytes

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        return cls(Body.of(raw, b"d", "CopyData").rest())

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"d", self.data)


@dataclass(frozen=True, slots=True)
class CopyDone:
    """Says that all is copied in."""

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        Body.of(raw, b"c", "CopyDone").end()
        return cls()

    def build(self) -> bytes:
        """Return its bytes."""
        return COPY_DONE


@dataclass(frozen=True, slots=True)
class CopyFail:
    """Gives up copying in."""

    reason: str

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"f", "CopyFail")
        found = cls(body.text("reason"))
        body.end()
        return found

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"f", text(self.reason))


@dataclass(frozen=True, slots=True)
class SaslInitialResponse:
    """Chooses a mechanism and begins it; None where the client waits to be asked."""

    mechanism: str
    data: bytes | None

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"p", "SASLInitialResponse")
        found = cls(body.text("mechanism"), body.value("data"))
        body.end()
        return found

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"p", text(self.mechanism), length_and(self.data))


@dataclass(frozen=True, slots=True)
class SaslResponse:
    """Goes on with a mechanism."""

    data: bytes

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        return cls(Body.of(raw, b"p", "SASLResponse").rest())

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"p", self.data)


ClientMessage = (
    Query
    | Parse
    | Bind
    | Describe
    | Execute
    | Close
    | Sync
    | Flush
    | FunctionCall
    | CopyData
    | CopyDone
    | CopyFail
    | Terminate
)

_READERS: Mapping[int, Callable[[bytes], ClientMessage]] = {
    ord("Q"): Query.read,
    ord("P"): Parse.read,
    ord("B"): Bind.read,
    ord("D"): Describe.read,
    ord("E"): Execute.read,
    ord("C"): Close.read,
    ord("S"): Sync.read,
    ord("H"): Flush.read,
    ord("F"): FunctionCall.read,
    ord("d"): CopyData.read,
    ord("c"): CopyDone.read,
    ord("f"): CopyFail.read,
    ord("X"): Terminate.read,
}


def read_client_message(raw: bytes) -> ClientMessage:
    """Read any whole message of a client that was let in. Raises `ProtocolViolation`."""
    reader = _READERS.get(raw[0]) if raw else None
    if reader is None:
        raise ProtocolViolation("the client sent a message of a kind unknown here")
    return reader(raw)


def _named(raw: bytes, kind: bytes, name: str) -> tuple[str, str]:
    body = Body.of(raw, kind, name)
    what = body.byte("what it names")
    if what not in b"SP":
        raise body.violation("neither a statement nor a portal")
    named = body.text("name")
    body.end()
    return chr(what), named


def _formats(body: Body, what: str) -> tuple[int, ...]:
    found = tuple([body.int16(what) for _ in range(body.count(what, 2))])
    if found and not {0, 1}.issuperset(found):
        raise body.violation(f"{what} other than text and binary")
    return found
