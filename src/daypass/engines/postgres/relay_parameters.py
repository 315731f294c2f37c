"""What is bound to a statement: read out of Bind, and whether a masked column may meet it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from struct import Struct
from struct import error as struct_error
from typing import Final
from uuid import UUID

from daypass.engines.postgres.parsing import Node, child, string
from daypass.engines.postgres.wire.client_messages import Bind
from daypass.engines.postgres.wire.framing import HEADER_BYTES

_uint16 = Struct(">H").unpack_from
_int32 = Struct(">i").unpack_from

_TEXT: Final = 0
_INTEGERS: Final = tuple(Struct(each).pack for each in (">h", ">i", ">q"))
_FLOATS: Final = tuple(Struct(each).pack for each in (">f", ">d"))
_TRUTH: Final = {"true": b"\1", "t": b"\1", "false": b"\0", "f": b"\0"}


def bound_names(raw: bytes) -> tuple[bytes, bytes, int]:
    """Return the portal's and the statement's name of a Bind, and where its values begin.

    Raises `ValueError` when they have no end.
    """
    portal_end = raw.index(b"\0", HEADER_BYTES)
    statement_end = raw.index(b"\0", portal_end + 1)
    return raw[HEADER_BYTES:portal_end], raw[portal_end + 1 : statement_end], statement_end + 1


def bound_values(raw: bytes, at: int) -> tuple[str | None, ...]:
    """Return the values of a Bind as text, those sent in binary as their bytes in hexadecimal.

    Raises `ProtocolViolation` for a Bind that is not one.
    """
    try:
        if raw[at : at + 4] == b"\0\0\0\0":
            return ()
        formats = _uint16(raw, at)[0]
        first = _uint16(raw, at + 2)[0] if formats else _TEXT
        at += 2 + 2 * formats
        count = _uint16(raw, at)[0]
        at += 2
        if formats <= 1 and first == _TEXT:
            found: list[str | None] = []
            for _ in range(count):
                size = _int32(raw, at)[0]
                at += 4
                if size < 0:
                    found.append(None)
                    continue
                found.append(raw[at : at + size].decode())
                at += size
            if at <= len(raw):
                return tuple(found)
    except (struct_error, UnicodeDecodeError):
        # What is wrong is found out, and told, by what reads it with care.
        pass
    bind = Bind.read(raw)
    return tuple(_as_text(value, bind.format_of(i)) for i, value in enumerate(bind.values))


def _as_text(value: bytes | None, value_format: int) -> str | None:
    if value is None:
        return None
    if value_format == _TEXT:
        try:
            return value.decode()
        except UnicodeDecodeError:
            # The server will say so; until then it is written down as it came.
            pass
    return "\\x" + value.hex()


def as_fixed(raw: bytes, approved: Sequence[tuple[str | None, ...]]) -> bytes | None:
    """Return a Bind with the approved values it means, sent as text; None if it means none of them.

    What runs are the approved values, whatever type the server takes the client's bytes for.
    Raises `ProtocolViolation` for a Bind that is not one.
    """
    bind = Bind.read(raw)
    for values in approved:
        if len(values) == len(bind.values) and all(
            _means(sent, bind.format_of(i), value)
            for i, (sent, value) in enumerate(zip(bind.values, values, strict=True))
        ):
            encoded = tuple(None if each is None else each.encode() for each in values)
            return replace(bind, formats=(), values=encoded).build()
    return None


def _means(sent: bytes | None, value_format: int, value: str | None) -> bool:
    if sent is None or value is None:
        return sent is None and value is None
    if sent == value.encode():
        return True
    return value_format != _TEXT and sent in _in_binary(value)


def _in_binary(value: str) -> Iterator[bytes]:
    """Yield how drivers send in binary what is written so: numbers, truth, UUIDs."""
    if value in _TRUTH:
        yield _TRUTH[value]
    for read, forms in ((int, _INTEGERS), (float, _FLOATS)):
        for form in forms:
            with suppress(ValueError, OverflowError, struct_error):
                yield form(read(value))
    with suppress(ValueError):
        yield UUID(value).bytes


def may_compare(trees: Iterable[Node], masked: frozenset[str]) -> bool:
    """Say whether a parameter may meet a column of one of these names, as far as a text tells.

    It cannot where no parameter is, or where the columns are nowhere named: not themselves, not by
    a star, a whole row, a list of new names or a join on all that are called the same.
    """
    names: set[str] = set()
    references: set[str] = set()
    parameters = False
    stack: list[object] = list(trees)
    while stack:
        current = stack.pop()
        if isinstance(current, list):
            stack.extend(current)
            continue
        if not isinstance(current, dict):
            continue
        if "A_Star" in current or current.get("isNatural") or current.get("colnames"):
            return True
        if current.get("aliascolnames"):
            return True
        parameters = parameters or "ParamRef" in current
        fields = current.get("fields")
        if isinstance(fields, list):
            # What stands before the last dot is no column.
            stack.append(fields[-1])
            continue
        if isinstance(current.get("relname"), str):
            names.add(string(current, "relname"))
        alias = child(current, "alias")
        if alias is not None:
            if alias.get("colnames"):
                return True
            names.add(string(alias, "aliasname"))
        if "ctename" in current:
            names.add(string(current, "ctename"))
        value = current.get("sval")
        if isinstance(value, str):
            references.add(value)
        target = current.get("name")
        if isinstance(target, str):
            references.add(target)
        stack.extend(current.values())
    return parameters and bool(references & (masked | names))
