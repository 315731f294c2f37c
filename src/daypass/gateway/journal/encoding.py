"""Entries as canonical JSON, fast: byte for byte what `audit.entry.canonical` writes.

A session's entries differ in their time and content alone: the rest is written once, in a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from daypass.audit.entry import Entry, Json, canonical
from daypass.gateway.journal.clock import StoreClock, moment

_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything of an entry but its time and content, ready to be put around them."""

    entry: Entry
    head: bytes
    tail: bytes


def frame_of(entry: Entry) -> Frame:
    """Write an entry's frame; its content does not matter."""
    before = {
        "actor": entry.actor_id,
        "address": entry.address,
        "application": entry.application,
    }
    after = {
        "database": entry.database_id,
        "grant": entry.grant_id,
        "kind": entry.kind.value,
        "on_behalf_of": entry.on_behalf_of,
        "request": entry.request_id,
        "rule": entry.rule,
        "session": entry.session_id,
        "version": 1,
    }
    head = orjson.dumps(before, option=_OPTIONS)[:-1] + b',"at":"'
    return Frame(entry, head, b"," + orjson.dumps(after, option=_OPTIONS)[1:])


def body_of(frame: Frame, clock: StoreClock, at_us: int, content: Mapping[str, Json]) -> bytes:
    """Return an entry as canonical JSON.

    Raises `TypeError` for what no entry may hold, and for text PostgreSQL could not store.
    """
    if not _is_flat(content):
        body = canonical(replace(frame.entry, content=content), moment(at_us)).encode()
    else:
        body = b"".join(
            (
                frame.head,
                clock.text(at_us).encode(),
                b'","content":',
                orjson.dumps(content, option=_OPTIONS),
                frame.tail,
            )
        )
    # A text may well contain the six characters of the escape; only the character itself is bad.
    if b"\\u0000" in body and _has_nul(orjson.loads(body)):
        raise TypeError("an entry cannot hold a NUL character")
    return body


_SCALARS = frozenset({str, int, bool, type(None)})
_LISTS = frozenset({list, tuple})
_LISTED = frozenset({str, type(None)})


def _is_flat(content: Mapping[str, Json]) -> bool:
    """Say whether two implementations cannot differ in how they write it."""
    if not "".join(content).isascii():
        return False
    if not _SCALARS.issuperset(map(type, content.values())):
        for value in content.values():
            if type(value) not in _SCALARS and (
                type(value) not in _LISTS or not _LISTED.issuperset(map(type, value))  # type: ignore[arg-type]
            ):
                return False
    return True


def _has_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(_has_nul(key) or _has_nul(inner) for key, inner in value.items())
        case list():
            return any(_has_nul(inner) for inner in value)
        case _:
            return False
