"""Long texts are read elsewhere: nobody else's session waits for them."""

import time
from collections.abc import Iterator

import pytest

from daypass.engines.postgres import read_apart, relay_steps
from daypass.engines.postgres.read_apart import ApartReader
from daypass.engines.postgres.statements import prepare_under
from tests.unit.engines.postgres.relay.talk import (
    FLUSH,
    PLAN,
    SYNC,
    Talk,
    bind,
    execute,
    parse,
    query,
)

_VALUES = ",".join(f"({n}, 'a note that is not short')" for n in range(400))
_LONG = f"INSERT INTO sales.orders (id, note) VALUES {_VALUES}"
_FORBIDDEN = f"SELECT * FROM sales.secret WHERE id IN ({','.join(map(str, range(2000)))})"


@pytest.fixture
def reader() -> Iterator[ApartReader]:
    """Return a process that reads, fresh."""
    found = ApartReader()
    yield found
    found.close()


async def _done(talk: Talk) -> bytes:
    work = talk.set_aside.pop()
    assert work is not None
    await work()
    talk.server.clear()
    talk.relay.taken_up()
    return bytes(talk.server)


async def test_a_long_text_is_read_elsewhere_and_what_follows_waits(reader: ApartReader) -> None:
    talk = Talk(apart=reader.read)
    assert talk.says(query(_LONG), query("SELECT 1")) == b""
    assert talk.relay.held
    assert not talk.relay.idle
    assert talk.says(FLUSH) == b""
    assert len(talk.set_aside) == 1
    sent = await _done(talk)
    assert not talk.relay.held
    here = Talk()
    assert sent == here.says(query(_LONG), query("SELECT 1"), FLUSH)
    assert talk.starts == here.starts
    # Known now.
    assert Talk(apart=reader.read).says(query(_LONG))


async def test_a_long_text_is_denied_as_a_short_one(reader: ApartReader) -> None:
    talk = Talk(apart=reader.read)
    assert talk.says(parse(_FORBIDDEN), bind(), execute(), SYNC) == b""
    sent = await _done(talk)
    here = Talk()
    assert sent == here.says(parse(_FORBIDDEN), bind(), execute(), SYNC)
    assert talk.refusals == here.refusals != []


async def test_what_is_read_when_the_session_ends_is_not_sent(reader: ApartReader) -> None:
    talk = Talk(apart=reader.read)
    talk.says(query(_LONG + "; SELECT 1"))
    talk.relay.client_gone()
    assert await _done(talk) == b""
    assert talk.starts == []


async def test_a_text_that_takes_too_long_is_refused(
    reader: ApartReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_apart, "LONGEST_S", 0.0)
    talk = Talk(apart=reader.read)
    talk.says(query(_LONG + "; SELECT 2"))
    await _done(talk)
    (refused,) = talk.refusals
    assert refused.code == "too_large"
    monkeypatch.undo()
    # The next one has a process again.
    other = Talk(apart=reader.read)
    other.says(query(_LONG + "; SELECT 3"))
    assert b"INSERT" in await _done(other)


def test_a_text_that_is_only_prepared_is_so_elsewhere_too(reader: ApartReader) -> None:
    for text in (_LONG + "; SELECT 4", _FORBIDDEN + "; SELECT 4"):
        assert reader.prepare(text, PLAN) == prepare_under(text, PLAN.session_scope)


async def test_many_short_texts_at_once_leave_others_their_turn(reader: ApartReader) -> None:
    talk = Talk(apart=reader.read)
    talk.seconds = time.monotonic()
    # Each reading takes a thousandth of a second by this clock.
    sent = [query(f"SELECT 1 AS turn_{n}") for n in range(100)]
    got = talk.says(*sent)
    turns = 0
    while talk.set_aside:
        assert talk.set_aside.pop() is None
        talk.server.clear()
        talk.relay.taken_up()
        got += bytes(talk.server)
        turns += 1
    assert got == b"".join(sent)
    assert 3 <= turns <= 6
    assert len(_LONG) > relay_steps.APART_BYTES
