"""Sessions as they were captured, through a relay, cut at every byte of either side."""

from __future__ import annotations

import pytest

from daypass.engines.postgres.wire.server_messages import ReadyForQuery
from tests import transcripts
from tests.unit.engines.postgres.relay.talk import Talk

_SESSIONS = transcripts.names("session_")
_READY = b"Z"


def _turns(name: str) -> list[tuple[bytes, bytes]]:
    """Pair what a client sent with what the server answered up to its being ready."""
    turns: list[tuple[bytes, bytes]] = []
    for kind, what in transcripts.read(name).lines:
        if not isinstance(what, bytes):
            continue
        if kind == "C":
            turns.append((what, b""))
        elif turns and kind == "S":
            turns[-1] = turns[-1][0], turns[-1][1] + what
    return turns


def _run(name: str, client_cut: int, server_cut: int) -> tuple[bytes, bytes, list[str]]:
    """Run a session, each turn's bytes in two pieces; return what went where and how it ended."""
    talk = Talk()
    for asked, answered in _turns(name):
        at, there = client_cut % (len(asked) + 1), server_cut % (len(answered) + 1)
        for piece in (asked[:at], asked[at:]):
            if piece and not talk.closed:
                talk.relay.from_client(piece)
        for piece in (answered[:there], answered[there:]):
            if piece and not talk.closed:
                talk.relay.from_server(piece)
    starts = [each.text for each in talk.starts]
    return bytes(talk.server), bytes(talk.client), starts


@pytest.mark.parametrize("name", _SESSIONS)
def test_cut_at_every_byte(name: str) -> None:
    """What goes on does not depend on where the pieces end, and every start is the same."""
    whole = _run(name, 0, 0)
    assert whole[2]
    assert whole[1].count(_READY + ReadyForQuery(ord("I")).build()[1:5]) > 1
    longest = max(max(len(asked), len(answered)) for asked, answered in _turns(name))
    for cut in range(1, min(longest, 400)):
        assert _run(name, cut, 7 * cut + 1) == whole
