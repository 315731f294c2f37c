"""Whatever a client sends in whatever order: it is answered as it would be without a relay.

The script of a server answers the same bytes twice, directly and through a relay, with messages cut
and interleaved by chance. Nothing denied reaches it, and the log says what it ran, by what names.
"""

from __future__ import annotations

import random

from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from daypass.engines.postgres.wire.server_messages import Report
from tests.unit.engines.postgres.relay.script_server import (
    COPY,
    DENIED,
    DIVIDE,
    EXECUTE,
    OTHER,
    SELECT,
    TEXTS,
    ScriptServer,
)
from tests.unit.engines.postgres.relay.talk import (
    COPY_DONE,
    FLUSH,
    SYNC,
    TERMINATE,
    Close,
    CopyData,
    CopyFail,
    Describe,
    Talk,
    bind,
    execute,
    messages,
    parse,
    query,
)

_RAN = {"22012", "22P04", "57014"}
"""Errors of statements that ran, as opposed to those that were never begun."""

# By a name of its own: nothing else has to run it by chance, and then sends no rows.
_COPIES = Close("S", "in").build() + parse(COPY, "in") + bind(statement="in") + execute()

_texts = st.sampled_from([each for each in TEXTS if each != COPY])
_names = st.sampled_from(["", "b"])
_portals = st.sampled_from(["", "c"])
_data = st.lists(
    st.sampled_from([CopyData(b"1\n").build() * 3, CopyData(b"bad\n").build()]), max_size=3
).map(b"".join)
_copy_ends = st.sampled_from([COPY_DONE, CopyFail("no").build()])
_steps = st.one_of(
    st.builds(parse, _texts, _names),
    st.builds(parse, st.sampled_from([SELECT, OTHER, DIVIDE]), st.just("a")),
    st.builds(lambda s, p: bind(statement=s, portal=p), st.sampled_from(["", "a", "b"]), _portals),
    st.builds(execute, _portals, st.integers(0, 2)),
    st.builds(lambda w, n: Describe(w, n).build(), st.sampled_from("SP"), _names),
    st.builds(lambda w, n: Close(w, n).build(), st.sampled_from("SP"), _names),
    st.just(FLUSH),
    st.just(parse(EXECUTE) + bind() + execute()),
    st.just(parse(SELECT) + bind() + execute()),
)
_parts = st.one_of(
    _texts.map(query),
    st.builds(lambda s: b"".join(s) + SYNC, st.lists(_steps, max_size=6)),
    st.lists(_steps, max_size=3).map(b"".join),
    st.builds(lambda d, e: query(COPY) + d + e, _data, _copy_ends),
    st.builds(
        lambda early, d, e: _COPIES + early + d + e + SYNC,
        st.sampled_from([b"", SYNC, FLUSH + SYNC]),
        _data,
        _copy_ends,
    ),
)


def _told(data: bytes) -> list[bytes]:
    """Return messages as they compare: of an error its SQLSTATE alone."""
    return [
        b"E" + Report.read(each).sqlstate.encode() if each[:1] == b"E" else each
        for each in messages(data)
    ]


def _through_a_relay(sent: bytes, seed: int) -> tuple[Talk, ScriptServer]:
    chance = random.Random(seed)  # noqa: S311 - no secret comes of it
    talk, server = Talk(), ScriptServer()
    largest = chance.choice([1, 7, 50, 10_000])
    unread = unsent = b""

    def serve(most: int) -> None:
        nonlocal unread, unsent
        unread += bytes(talk.server)
        talk.server.clear()
        while most and len(unread) >= 5 and len(unread) > int.from_bytes(unread[1:5], "big"):
            end = 1 + int.from_bytes(unread[1:5], "big")
            assert DENIED.encode() not in unread[:end]
            unsent += server.take(unread[:end])
            unread = unread[end:]
            most -= 1
        while unsent and (most or chance.random() < 0.7):
            cut = chance.randint(1, largest)
            talk.relay.from_server(unsent[:cut])
            unsent = unsent[cut:]

    while sent:
        cut = chance.randint(1, largest)
        if not talk.relay.held or chance.random() < 0.3:
            talk.relay.from_client(sent[:cut])
            sent = sent[cut:]
        serve(chance.randint(0, 4))
    for _ in range(1 + len(sent) + 2_000):
        if not (talk.server or unread or unsent):
            break
        serve(10_000)
    return talk, server


@settings(max_examples=200, deadline=None)
@given(st.lists(_parts, max_size=12), st.integers(0, 2**32))
@example([parse(SELECT, "b"), SYNC, parse(OTHER, "b") + SYNC + bind(statement="b") + execute()], 1)
@example([query("BEGIN") + parse(SELECT) + bind(portal="c") + execute("c", 1) + SYNC, SYNC], 2)
def test_a_client_is_answered_as_without_a_relay(parts: list[bytes], seed: int) -> None:
    sent = b"".join(parts) + SYNC
    note(f"{[each[:1] + each[5:] for each in messages(sent)]}")
    direct = ScriptServer()
    answers = b"".join(direct.take(each) for each in messages(sent))
    talk, server = _through_a_relay(sent, seed)
    assert not talk.closed
    assert _told(bytes(talk.client)) == _told(answers)
    assert not talk.relay.held
    assert talk.relay.idle == (server.status == "I")
    assert server.ran == direct.ran
    talk.relay.from_client(TERMINATE)
    assert talk.closed == ["the client left"]
    # Every start has one end, and those that ran are what the server ran.
    assert sorted(talk.ends) == list(range(1, len(talk.starts) + 1))
    logged = [
        (start.text, start.statements[0].text if start.text == EXECUTE else "")
        for number, start in enumerate(talk.starts, 1)
        if talk.ends[number].outcome == "done" or talk.ends[number].sqlstate in _RAN
        # A portal that is run to its end has nothing more to give when it is run again.
        if start.text and (talk.ends[number].rows or talk.ends[number].command != "SELECT 0")
    ]
    # It is written down when it is bound, which may be in another order.
    assert sorted(logged) == sorted(server.ran)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(_parts, max_size=8),
    st.integers(0, 2**32),
    st.sampled_from(["client", "server", "end", "violation"]),
)
def test_every_start_has_one_end_whoever_goes_first(
    parts: list[bytes], seed: int, who: str
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret comes of it
    sent = b"".join(parts)
    talk, server = Talk(), ScriptServer()
    half = chance.randint(0, len(sent))
    talk.relay.from_client(sent[:half])
    answers = b""
    data = bytes(talk.server)
    while len(data) >= 5 and len(data) > int.from_bytes(data[1:5], "big"):
        end = 1 + int.from_bytes(data[1:5], "big")
        answers += server.take(data[:end])
        data = data[end:]
    talk.relay.from_server(answers[: chance.randint(0, len(answers))])
    match who:
        case "client":
            talk.relay.client_gone()
        case "server":
            talk.relay.server_gone()
        case "end":
            from daypass.domain.errors import Conflict

            talk.relay.end(Conflict("the grant has ended"))
        case _:
            talk.relay.from_client(sent[half:] + b"\0\0\0\0\0")
            talk.relay.server_gone()
    if not talk.closed:
        talk.relay.server_gone()
    assert len(talk.closed) == 1
    assert sorted(talk.ends) == list(range(1, len(talk.starts) + 1))
    talk.relay.from_client(sent)
    talk.relay.from_server(answers)
    talk.relay.tell("more")
    assert len(talk.closed) == 1
