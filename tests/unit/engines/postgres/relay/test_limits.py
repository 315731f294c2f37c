"""Budgets of rows and bytes, statements stopped, notices between messages, ends at their place."""

import itertools

import pytest

from daypass.domain.errors import Conflict, Unavailable
from daypass.engines.postgres.relay_server import FAILING_PARSE
from daypass.engines.relay_contract import RelayLimits
from tests.unit.engines.postgres.relay.talk import (
    BIND_COMPLETE,
    COPY_DONE,
    PARSE_COMPLETE,
    ROWS,
    SYNC,
    CopyData,
    CopyResponse,
    Talk,
    bind,
    complete,
    error,
    execute,
    fields,
    messages,
    parse,
    query,
    ready,
    row,
)

_CANCELLED = error("57014", "canceling statement due to user request")
_LIMIT = "canceled by Daypass: grant 0 allows"


def _kinds(data: bytes) -> str:
    return "".join(chr(each[0]) for each in messages(data))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("cut", [1, 3, 11, 100_000])
def test_rows_up_to_the_limit_and_then_its_error(cut: int, late: bool) -> None:
    talk = Talk(RelayLimits(rows=3))
    talk.says(query("SELECT 1; SELECT 2"))
    end = complete("SELECT 5") + row("y") + complete("SELECT 1") if late else _CANCELLED
    answer = ROWS + row("x" * 50) * 5 + end + ready("T")
    talk.client.clear()
    for at in range(0, len(answer), cut):
        talk.relay.from_server(answer[at : at + cut])
    told = bytes(talk.client)
    assert _kinds(told) == "TDDDEZ"
    assert fields(told)["C"] == "53400"
    assert fields(told)["M"] == f"{_LIMIT} 3 rows a statement"
    assert talk.cancels == 1
    assert (talk.ends[1].outcome, talk.ends[1].sqlstate) == ("failed", "53400")
    assert (talk.ends[1].rows, talk.ends[1].size_bytes) == (3, 3 * 56)
    talk.says(query("SELECT 3"))
    assert _kinds(talk.answers(ROWS, row("1") * 3, complete("SELECT 3"), ready("T"))) == "TDDDCZ"
    assert talk.ends[2].outcome == "done"


@pytest.mark.parametrize("cut", [1, 100_000])
def test_bytes_up_to_the_limit(cut: int) -> None:
    talk = Talk(RelayLimits(size_bytes=100))
    talk.says(query("SELECT 1"))
    answer = ROWS + row("x" * 44) * 2 + row("") + _CANCELLED + ready()
    talk.client.clear()
    for at in range(0, len(answer), cut):
        talk.relay.from_server(answer[at : at + cut])
    assert _kinds(bytes(talk.client)) == "TDDEZ"
    assert fields(bytes(talk.client))["M"] == f"{_LIMIT} 100 bytes a statement"
    assert talk.ends[1].size_bytes == 100


def test_copies_out_have_the_same_limit() -> None:
    talk = Talk(RelayLimits(rows=1))
    talk.says(query("COPY (TABLE sales.orders) TO STDOUT"))
    out = CopyResponse("H", 0, (0,)).build()
    told = talk.answers(out, CopyData(b"1\n").build() * 3, COPY_DONE, complete("COPY 3"), ready())
    assert _kinds(told) == "HdEZ"


def test_what_follows_in_a_pipeline_fails_on_the_server_too() -> None:
    talk = Talk(RelayLimits(rows=1))
    begun = parse("SELECT 1") + bind() + execute()
    talk.says(begun)
    talk.server.clear()
    told = talk.answers(PARSE_COMPLETE, BIND_COMPLETE, row("1") * 2)
    assert _kinds(told) == "12DE"
    # The cancel may come too late: something that fails makes sure.
    assert bytes(talk.server) == FAILING_PARSE
    late = parse("UPDATE orders SET note = 'x'") + bind() + execute()
    assert talk.says(late, SYNC) == SYNC
    told = talk.answers(complete("SELECT 2"), error("42601"), ready("E"))
    assert told == ready("E")
    assert [end.outcome for end in talk.ends.values()] == ["failed"]
    assert talk.says(late) == late


def test_a_statement_is_stopped_with_a_reason() -> None:
    talk = Talk()
    talk.says(query("SELECT pg_sleep(60)"))
    talk.relay.stop_statement("canceled by Daypass: this grant allows 30 s a statement")
    talk.relay.stop_statement("again")
    assert talk.cancels == 1
    told = talk.answers(ROWS, _CANCELLED, ready())
    assert (fields(told)["C"], fields(told)["M"][-4:]) == ("53400", "ment")
    assert (talk.ends[1].outcome, talk.ends[1].sqlstate) == ("failed", "53400")
    talk.relay.stop_statement("nothing runs")
    assert talk.cancels == 1


def test_notices_stand_between_messages() -> None:
    talk = Talk()
    talk.relay.tell("at once", "a detail")
    assert _kinds(bytes(talk.client)) == "N"
    talk.says(query("SELECT 1"))
    long = row("x" * 100)
    talk.answers(ROWS, long[:50])
    talk.relay.tell("in 5 minutes the grant ends")
    assert b"minutes" not in talk.client
    assert talk.answers(long[50:80]) == long[50:80]
    assert _kinds(ROWS + long + talk.answers(long[80:])[len(long) - 80 :]) == "TDN"
    # Half a header was not sent on, so a notice may stand before it.
    told = talk.answers(complete("SELECT 1")[:3])
    talk.relay.tell("soon")
    told = bytes(talk.client) + talk.answers(complete("SELECT 1")[3:], ready())
    assert _kinds(told) == "NCZ"


@pytest.mark.parametrize("cutting", [False, True])
def test_the_end_comes_after_the_row_under_way(cutting: bool) -> None:
    talk = Talk(RelayLimits(rows=1))
    talk.says(query("SELECT 1"))
    long = row("x" * 100)
    talk.answers(ROWS, long * cutting, long[:50])
    talk.relay.end(Conflict("grant 7 has ended", next_step="ask again"))
    assert bool(talk.closed) == cutting
    talk.relay.tell("too late")
    if not cutting:
        assert talk.answers(long[50:60]) == long[50:60]
        talk.answers(long[60:], row("more"), complete("SELECT 2"), ready())
        assert bytes(talk.client).startswith(long[60:])
        assert _kinds(bytes(talk.client)[len(long) - 60 :]) == "E"
    found = fields(bytes(talk.client)[bytes(talk.client).rindex(b"E\0\0\0") :])
    assert (found["S"], found["C"], found["H"]) == ("FATAL", "57P05", "ask again")
    assert talk.closed == ["grant 7 has ended"]
    assert talk.ends[1].outcome in ("lost", "failed")
    assert talk.cancels == 1 + cutting


def test_a_shut_down_is_told_as_one() -> None:
    talk = Talk()
    talk.relay.end(Unavailable("the gateway is stopping"))
    assert fields(bytes(talk.client))["C"] == "57P01"
    assert talk.cancels == 0


def test_a_server_that_says_why_it_goes_is_not_spoken_for() -> None:
    talk = Talk()
    talk.says(query("SELECT 1"))
    fatal = error("57P01").replace(b"ERROR", b"FATAL")
    fatal = fatal[:1] + (len(fatal) - 1).to_bytes(4, "big") + fatal[5:]
    assert talk.answers(fatal) == fatal
    talk.client.clear()
    talk.relay.server_gone()
    assert bytes(talk.client) == b""
    assert (talk.ends[1].outcome, talk.ends[1].sqlstate) == ("lost", "57P01")


@pytest.mark.parametrize(
    "answer",
    [complete("SELECT 1"), row("1"), ready(), PARSE_COMPLETE, b"R\0\0\0\x08\0\0\0\0", b"W\0\0\0\4"],
)
def test_answers_nobody_asked_for_end_the_session(answer: bytes) -> None:
    talk = Talk()
    assert fields(talk.answers(answer))["C"] == "08P01"
    assert talk.closed


def test_something_that_was_to_fail_and_did_not_ends_the_session() -> None:
    for sent, answer in (
        (query("CREATE ROLE x"), complete("SELECT 1") + ready()),
        (query("CREATE ROLE x"), ready()),
        (parse("CREATE ROLE x") + SYNC, PARSE_COMPLETE + ready()),
    ):
        talk = Talk()
        talk.says(sent)
        assert fields(talk.answers(answer))["C"] == "08P01"
        assert talk.closed


def test_holding_keeps_what_comes_until_it_may_go_on() -> None:
    talk = Talk()
    talk.relay.hold()
    assert talk.says(query("SELECT 1"), query("SELECT 2")[:9]) == b""
    assert talk.relay.held
    assert not talk.relay.idle
    assert talk.starts == []
    assert talk.says(query("SELECT 2")[9:]) == b""
    talk.relay.resume()
    assert bytes(talk.server) == query("SELECT 1") + query("SELECT 2")
    assert not talk.relay.held


# Cuts

_CLIENT = (
    query("SELECT * FROM sales.orders")
    + parse("SELECT note FROM sales.orders WHERE id = $1", "s")
    + bind("1", statement="s")
    + execute()
    + parse("SELECT * FROM sales.secret")
    + execute()
    + SYNC
    + query("CREATE ROLE x")
    + query("COPY sales.orders FROM STDIN")
)
_COPY = CopyData(b"1\n").build() * 2 + COPY_DONE + query("SELECT 2")
_SERVER = (
    ROWS + row("1", "2") * 3 + complete("SELECT 3") + ready()
    + PARSE_COMPLETE + BIND_COMPLETE + row("1") + complete("SELECT 1") + error("42601") + ready()
    + error("42601") + ready()
    + CopyResponse("G", 0, (0,)).build()
)  # fmt: skip
_REST = complete("COPY 2") + ready() + row("2") + complete("SELECT 1") + ready()
_STEPS = (("c", _CLIENT), ("s", _SERVER), ("c", _COPY), ("s", _REST))


def _cut_at(cuts: dict[int, int]) -> tuple[bytes, bytes, list[str]]:
    """Return what both sides get and the log, with each step cut at one place or at every byte."""
    talk = Talk(RelayLimits(rows=2))
    server = client = b""
    for place, (who, data) in enumerate(_STEPS):
        at = cuts.get(place, 0)
        pieces = [data[i : i + 1] for i in range(len(data))] if at < 0 else [data[:at], data[at:]]
        for piece in pieces:
            talk.server.clear()
            talk.client.clear()
            (talk.relay.from_client if who == "c" else talk.relay.from_server)(piece)
            server += bytes(talk.server)
            client += bytes(talk.client)
    log = [repr(each).split("duration_us")[0] for each in talk.log]
    assert talk.relay.idle
    return server, client, sorted(log)


def test_bytes_cut_anywhere_come_out_the_same() -> None:
    whole = _cut_at({})
    assert _kinds(whole[1]) == "TDDEZ12DCEZEZGCZDCZ"
    for place, (_, data) in enumerate(_STEPS):
        for at in itertools.chain(range(1, len(data)), [-1]):
            assert _cut_at({place: at}) == whole, (place, at)
    assert _cut_at(dict.fromkeys(range(4), -1)) == whole
