"""Records verify as they were written, and in no other way; text is as the slow writer's."""

import string
import uuid
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daypass.audit.entry import Entry, EntryKind, canonical, utc_text
from daypass.domain.ids import DatabaseId, GrantId, PrincipalId, SessionId
from daypass.domain.secret import Secret
from daypass.gateway.journal.clock import StoreClock, moment
from daypass.gateway.journal.encoding import body_of, form_of, frame_of, json_of
from daypass.gateway.journal.format import Place, Seal, read_place

_AT = b"2026-01-01T00:00:00.000000Z"
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
_SCALAR = st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), _TEXT)
_VALUE = st.one_of(
    _SCALAR, st.lists(st.one_of(st.none(), _TEXT)), st.dictionaries(_TEXT, _SCALAR, max_size=3)
)
_NAME = st.one_of(st.text(string.ascii_letters, min_size=1), _TEXT)


@settings(max_examples=200, deadline=None)
@given(
    content=st.dictionaries(_NAME, _VALUE, max_size=6),
    address=_TEXT,
    application=_TEXT,
    rule=st.one_of(st.none(), _TEXT),
    at_us=st.integers(0, 4 * 10**15),
)
def test_the_fast_writer_writes_what_the_slow_one_does(
    content: dict[str, object], address: str, application: str, rule: str | None, at_us: int
) -> None:
    entry = Entry(
        EntryKind.STATEMENT_STARTED,
        actor_id=PrincipalId(7),
        address=address,
        application=application,
        database_id=DatabaseId(1),
        grant_id=GrantId(2),
        session_id=SessionId(3),
        rule=rule,
        content=content,  # type: ignore[arg-type]
    )
    fast = body_of(frame_of(entry), StoreClock().text(at_us), entry.content)
    assert fast.decode() == canonical(entry, moment(at_us))


_LATER = ("origin", "parameters", "sequence")


@settings(max_examples=200, deadline=None)
@given(
    constant=st.dictionaries(
        st.text(string.ascii_letters, min_size=1), st.one_of(_SCALAR, st.lists(_TEXT)), max_size=5
    ),
    later=st.fixed_dictionaries(
        {"origin": _TEXT, "parameters": st.lists(st.one_of(st.none(), _TEXT)),
         "sequence": st.integers(0, 2**53 - 1)}
    ),
    rule=_TEXT,
)  # fmt: skip
def test_a_form_is_filled_to_what_the_slow_writer_writes(
    constant: dict[str, object], later: dict[str, object], rule: str
) -> None:
    content = {**constant, **later}
    entry = Entry(EntryKind.STATEMENT_STARTED, rule=rule, content=content)  # type: ignore[arg-type]
    kept = {name: each for name, each in constant.items() if name not in later}
    form = form_of(frame_of(entry), kept, _LATER)  # type: ignore[arg-type]
    members = [json_of(later[name]) for name in _LATER]  # type: ignore[arg-type]
    moment_ = datetime.fromisoformat(_AT.decode())
    assert (form % (_AT, *members)).decode() == canonical(entry, moment_)


@pytest.mark.parametrize("value", [1.5, {"a": "b"}, b"x", ["a", 1.5]])
def test_a_form_takes_no_more_than_an_entry_and_no_nul(value: object) -> None:
    frame = frame_of(Entry(EntryKind.STATEMENT_STARTED))
    with pytest.raises(TypeError):
        form_of(frame, {"a": value}, ())  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        form_of(frame, {"a": "a\0b"}, ("b",))
    with pytest.raises(TypeError):
        json_of("a\0b")


@pytest.mark.parametrize(
    "value",
    [
        1.5, Secret("x"), b"x", 2**53, -(2**53), datetime(2026, 1, 1), uuid.UUID(int=1), {1: "x"},  # noqa: DTZ001
        [1.5], ["a", Secret("x")], {"a": 0.5}, "a\0b", ["a\0b"], {"a\0": "b"}, {"a": {"b": "\0"}},
    ],
)  # fmt: skip
def test_what_no_entry_may_hold_is_not_written(value: object) -> None:
    entry = Entry(EntryKind.STATEMENT_STARTED)
    with pytest.raises(TypeError):
        body_of(frame_of(entry), _AT, {"a": value})  # type: ignore[dict-item]


def test_the_six_characters_of_an_escape_are_no_nul() -> None:
    body = body_of(frame_of(Entry(EntryKind.STATEMENT_STARTED)), _AT, {"a": r"\u0000"})
    assert rb'"a":"\\u0000"' in body


def test_a_clock_that_was_set_tells_the_other_time() -> None:
    clock = StoreClock()
    there = moment(2_000_000_000_000_000)
    clock.set(there, 0, 0)
    import time

    assert abs(clock.now_us() - 2_000_000_000_000_000 - time.monotonic_ns() // 1000) < 1_000_000
    for at_us in (0, 999_999, 1_000_000, 2_000_000_000_123_456):
        assert clock.text(at_us).decode() == utc_text(moment(at_us))


_SEAL = Seal(uuid.UUID(int=5), b"k" * 32)


def _place(data: bytes) -> Place:
    place = read_place(data, 0)
    assert place is not None
    return place


def test_every_byte_of_a_record_counts() -> None:
    data = _SEAL.record(9, 8, b'{"a":1}')
    place = _place(data)
    assert (place.sequence, place.synced) == (9, 8)
    assert _SEAL.verifies(place, data[place.start : place.end])
    for at in range(len(data)):
        for flip in (1, 0x80):
            changed = bytearray(data)
            changed[at] ^= flip
            found = read_place(bytes(changed), 0)
            assert found is None or not _SEAL.verifies(
                found, bytes(changed[found.start : found.end])
            )


@pytest.mark.parametrize(
    "other", [Seal(uuid.UUID(int=6), b"k" * 32), Seal(uuid.UUID(int=5), b"l" * 32)]
)
def test_a_record_of_another_journal_or_key_does_not_verify(other: Seal) -> None:
    data = _SEAL.record(9, 8, b"{}")
    place = _place(data)
    assert not other.verifies(place, data[place.start : place.end])
    assert "kkk" not in repr(_SEAL)
