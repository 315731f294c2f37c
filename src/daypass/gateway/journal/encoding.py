"""Entries as canonical JSON, fast: byte for byte what `audit.entry.canonical` writes.

A session's entries differ in their time and content alone: the rest is written once, in a frame.
Entries of one text differ in a few members of their content besides: those are put into a form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from daypass.audit.entry import Entry, Json, canonical

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


def body_of(frame: Frame, at: bytes, content: Mapping[str, Json]) -> bytes:
    """Return an entry as canonical JSON; `at` is its time as `utc_text` writes it.

    Raises `TypeError` for what no entry may hold, and for text PostgreSQL could not store.
    """
    if not _is_flat(content):
        moment = datetime.fromisoformat(at.decode())
        body = canonical(replace(frame.entry, content=content), moment).encode()
    else:
        body = b"".join(
            (
                frame.head,
                at,
                b'","content":',
                orjson.dumps(content, option=_OPTIONS),
                frame.tail,
            )
        )
    return _storable(body)


def form_of(frame: Frame, content: Mapping[str, Json], later: Sequence[str]) -> bytes:
    """Write an entry as a form for `%`, byte for byte canonical once it is filled in.

    It is filled in with the time, as its text, and then with the members `later` of the content, as
    `json_of` them, in the order of their names. Raises `TypeError` for what no entry may hold.
    """
    if not _is_flat(content) or not "".join(later).isascii():
        raise TypeError("only flat contents have a form")
    members = {name: orjson.dumps(each, option=_OPTIONS) for name, each in content.items()}
    written = {name: each.replace(b"%", b"%%") for name, each in members.items()}
    written |= dict.fromkeys(later, b"%b")
    parts = [b'"%b":%b' % (name.encode(), written[name]) for name in sorted(written)]
    form = b"".join(
        (
            frame.head.replace(b"%", b"%%"),
            b'%b","content":{',
            b",".join(parts),
            b"}",
            frame.tail.replace(b"%", b"%%"),
        )
    )
    _storable(form % ((b"",) + (b"0",) * len(later)))
    return form


def json_of(value: Json) -> bytes:
    """Write a value as JSON; raises `TypeError` for what no entry may hold."""
    return _storable(orjson.dumps(value, option=_OPTIONS))


def _storable(body: bytes) -> bytes:
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
