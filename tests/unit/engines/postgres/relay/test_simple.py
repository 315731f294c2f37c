"""Queries as texts: judged, spliced, written down, ended; denials behave as errors do."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from daypass.domain.catalog import RelationName
from daypass.engines.postgres.relay_steps import FAILING_QUERY
from daypass.engines.relay_contract import Ended, OtherGrant, RelayLimits
from tests.unit.engines.postgres.relay.talk import (
    BAD,
    COPY_DONE,
    EMPTY_QUERY,
    PLAN,
    ROWS,
    TERMINATE,
    CopyData,
    CopyFail,
    CopyResponse,
    NotificationResponse,
    ParameterStatus,
    Talk,
    complete,
    copy_in,
    error,
    fields,
    messages,
    query,
    ready,
    row,
)

_VIEWS = '"dp_v_0123456789abcdef_sales"'
_SYNTAX = error("42601", "syntax error", 1)


def test_a_query_goes_as_it_came_and_so_does_its_answer() -> None:
    talk = Talk()
    sent = query("SELECT 1")
    assert talk.says(sent) == sent
    assert talk.relay.running is not None
    assert talk.relay.running[0] == "SELECT 1"
    assert not talk.relay.idle
    answer = ROWS + row("1") + row("2") + complete("SELECT 2") + ready()
    assert talk.answers(answer) == answer
    assert talk.relay.running is None
    assert talk.relay.idle
    (start,) = talk.starts
    assert (start.text, start.origin, start.parameters) == ("SELECT 1", "simple", ())
    assert talk.ends == {1: Ended("done", 2, 14, talk.ends[1].duration_us, "", "SELECT 2")}
    assert talk.ends[1].duration_us == 3000


def test_names_are_spliced_and_positions_led_back() -> None:
    talk = Talk()
    assert talk.says(query("SELECT x FROM sales.orders")) == query(f"SELECT x FROM {_VIEWS}.orders")
    text = "SELECT z FROM sales.orders WHERE y"
    moved = len(_VIEWS) - len("sales")
    told = talk.answers(error("42703", "no y", 8), ready())
    assert fields(told)["P"] == "8"
    talk.says(query(text))
    told = talk.answers(error("42703", "no y", text.index("y") + 1 + moved), ready())
    assert fields(told)["P"] == str(text.index("y") + 1)
    assert [end.outcome for end in talk.ends.values()] == ["failed", "failed"]
    assert talk.ends[1].sqlstate == "42703"


@pytest.mark.parametrize("status", ["I", "T", "E"])
def test_a_denied_text_fails_on_the_server_too(status: str) -> None:
    talk = Talk(RelayLimits(place="prod/shop", grant_id=7))
    assert talk.says(query("SELECT 1; SELECT * FROM sales.secret")) == FAILING_QUERY
    told = talk.answers(_SYNTAX, ready(status))
    assert messages(told)[1] == ready(status)
    found = fields(told)
    assert found["C"] == "42501"
    assert "statement 2 of 2: the grant does not have sales.secret" in found["M"]
    assert found["H"] == (
        "This session is under grant 7. Ask for one that has it all: "
        'daypass request prod/shop -c select -t sales.secret --reason "…"'
    )
    assert "P" not in found
    assert talk.starts == []
    (refused,) = talk.refusals
    assert (refused.code, len(refused.statements)) == ("not_in_scope", 2)
    assert talk.relay.idle == (status == "I")


def test_a_denial_names_another_grant_that_has_it_all() -> None:
    secret = RelationName("sales", "secret")
    given = replace(PLAN.session_scope, relation_classes={secret: PLAN.classes})
    wider = replace(PLAN, session_scope=given)
    until = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    others = (OtherGrant(8, until, PLAN), OtherGrant(15, until, wider))
    talk = Talk(RelayLimits(place="prod/shop", grant_id=7, others=others))
    for text, hint in (
        ("SELECT * FROM sales.secret", "Grant 15 has it, until 2026-03-01 12:00:00 UTC: connect "),
        ("SELECT * FROM sales.secret, sales.orders", "Ask for one that has it all: "),
    ):
        talk.says(query(text))
        found = fields(talk.answers(_SYNTAX, ready()))
        assert f"This session is under grant 7. {hint}" in found["H"]
        assert ("daypass.grant=15" in found["H"]) == ("Grant 15" in hint)


def test_answers_come_in_order_when_a_denied_text_stands_between_others() -> None:
    talk = Talk()
    sent = talk.says(query("SELECT 1"), query("CREATE ROLE x"), query("SELECT 3"))
    assert sent == query("SELECT 1") + FAILING_QUERY + query("SELECT 3")
    one, three = complete("SELECT 1") + ready(), complete("SELECT 3") + ready()
    told = messages(talk.answers(one, _SYNTAX, ready(), three))
    assert b"".join(told[:2]) == one
    assert fields(told[2])["C"] == "42501"
    assert b"".join(told[4:]) == three
    assert [each.text for each in talk.starts] == ["SELECT 1", "SELECT 3"]
    assert {n: e.command for n, e in talk.ends.items()} == {1: "SELECT 1", 2: "SELECT 3"}


@pytest.mark.parametrize(
    ("text", "sqlstate", "words", "position"),
    [
        ("SELEC 1", "42601", 'syntax error at or near "SELEC"', "1"),
        ("SELECT * FROM sales.custmers", "42P01", "did you mean sales.customers", None),
        ("SET ROLE postgres", "42501", "it changes the session's role", None),
        ("LISTEN x", "42501", "notifications can carry clear rows", None),
        ("SELECT 1\0; DROP TABLE x", "42601", "NUL", "9"),
        ("SELECT " + "1+" * 3_000 + "1", "54001", "nested too deeply", None),
        ("SELECT '" + "x" * 1_048_576 + "'", "54000", "larger than", None),
    ],
)
def test_denials_carry_the_code_clients_know(
    text: str, sqlstate: str, words: str, position: str | None
) -> None:
    talk = Talk()
    sent = b"Q" + (len(text) + 5).to_bytes(4, "big") + text.encode() + b"\0"
    assert talk.says(sent) == FAILING_QUERY
    found = fields(talk.answers(_SYNTAX, ready()))
    assert found["C"] == sqlstate
    assert words in found["M"]
    assert found.get("P") == position


def test_a_text_that_is_not_utf8_is_denied() -> None:
    talk = Talk()
    sent = query("SELECT 'x'").replace(b"x", b"\xe9")
    assert talk.says(sent) == FAILING_QUERY
    assert fields(talk.answers(_SYNTAX, ready()))["C"] == "22021"
    assert talk.refusals[0].text == "SELECT '�'"


def test_what_cannot_be_written_down_is_not_run() -> None:
    talk = Talk(full=True)
    assert talk.says(query("SELECT 1")) == FAILING_QUERY
    found = fields(talk.answers(_SYNTAX, ready()))
    assert (found["C"], found["H"]) == ("58030", "make room")
    assert [each.code for each in talk.refusals] == ["not_recorded"]


def test_function_calls_are_refused_in_order() -> None:
    talk = Talk()
    call = b"F" + (4 + 10).to_bytes(4, "big") + bytes(10)
    assert talk.says(call, query("SELECT 1")) == FAILING_QUERY + query("SELECT 1")
    told = talk.answers(_SYNTAX, ready(), complete("SELECT 1"), ready())
    assert fields(told)["C"] == "0A000"
    assert [each.code for each in talk.refusals] == ["function_call"]


@pytest.mark.parametrize("sent", [BAD, b"\x01\0\0\0\4", b"Q\0\0\0\3", b"W\0\0\0\4", b"Q\0\0\0\4"])
def test_messages_nobody_knows_end_the_session(sent: bytes) -> None:
    talk = Talk()
    assert talk.says(query("SELECT 1"), sent, query("SELECT 2")) == query("SELECT 1")
    assert fields(bytes(talk.client))["S"] == "FATAL"
    assert fields(bytes(talk.client))["C"] == "08P01"
    assert len(talk.closed) == 1
    assert [end.outcome for end in talk.ends.values()] == ["lost"]
    assert talk.answers(ready()) == talk.says(query("SELECT 3")) == b""


def test_messages_larger_than_the_limit_are_not_kept() -> None:
    talk = Talk(RelayLimits(message_bytes=1000))
    assert talk.says(query("SELECT '" + "x" * 1000 + "'")[:100]) == b""
    assert fields(bytes(talk.client))["C"] == "54000"


def test_empty_texts_and_errors_within_texts() -> None:
    talk = Talk()
    talk.says(query(""), query("SELECT 1; SELECT 1/0; SELECT 3"))
    talk.answers(EMPTY_QUERY, ready(), ROWS, row("1"), complete("SELECT 1"), error("22012"))
    assert talk.ends[1].outcome == "done"
    talk.answers(ready())
    assert (talk.ends[2].outcome, talk.ends[2].rows, talk.ends[2].command) == (
        "failed",
        1,
        "SELECT 1",
    )


def test_a_user_cancel_is_told_apart() -> None:
    talk = Talk()
    talk.says(query("SELECT 1"))
    answer = error("57014", "canceling statement due to user request") + ready()
    assert talk.answers(answer) == answer
    assert (talk.ends[1].outcome, talk.ends[1].sqlstate) == ("cancelled", "57014")


def test_notifications_never_pass() -> None:
    talk = Talk()
    secret = NotificationResponse(1, "c", "alice@example.com").build()
    assert talk.answers(secret) == b""
    talk.says(query("SELECT 1"))
    answer = complete("SELECT 1") + ready()
    assert talk.answers(secret, complete("SELECT 1"), secret, ready(), secret) == answer


@pytest.mark.parametrize(
    ("name", "value", "ends"),
    [
        ("client_encoding", "SJIS", True),
        ("standard_conforming_strings", "off", True),
        ("client_encoding", "UTF8", False),
        ("TimeZone", "UTC", False),
    ],
)
def test_settings_with_which_texts_read_otherwise_end_the_session(
    name: str, value: str, ends: bool
) -> None:
    talk = Talk()
    talk.says(query("SELECT f()"))
    told = talk.answers(complete("SELECT 1"), ParameterStatus(name, value).build(), ready())
    assert bool(talk.closed) == ends
    assert messages(told)[0] == complete("SELECT 1")
    if ends:
        assert fields(told)["S"] == "FATAL"
        assert name in fields(told)["M"]
        assert talk.says(query("SELECT 1")) == b""


# Copies


def test_copy_in_waits_for_the_servers_word_and_is_one_statement() -> None:
    talk = Talk()
    start = query("COPY sales.orders FROM STDIN")
    data = CopyData(b"1\n").build() * 3
    assert talk.says(start, data, COPY_DONE, query("SELECT 1")) == start
    assert talk.relay.held
    talk.server.clear()
    assert talk.answers(copy_in()) == copy_in()
    assert bytes(talk.server) == data + COPY_DONE + query("SELECT 1")
    assert not talk.relay.held
    talk.answers(complete("COPY 3"), ready(), complete("SELECT 1"), ready())
    assert talk.starts[0].origin == "copy"
    assert [end.command for end in talk.ends.values()] == ["COPY 3", "SELECT 1"]


def test_a_copy_that_fails_at_once_lets_the_rest_go_on() -> None:
    talk = Talk()
    talk.says(query("COPY sales.orders FROM STDIN"), query("SELECT 1"))
    talk.server.clear()
    talk.answers(error("42501"), ready())
    assert bytes(talk.server) == query("SELECT 1")


def test_two_copies_in_one_text() -> None:
    talk = Talk()
    text = query("COPY sales.orders FROM STDIN; COPY sales.orders FROM STDIN")
    data = CopyData(b"1\n").build()
    fail = CopyFail("enough").build()
    assert talk.says(text, data, COPY_DONE, data, fail, query("SELECT 1")) == text
    talk.answers(copy_in())
    assert bytes(talk.server) == text + data + COPY_DONE
    talk.answers(complete("COPY 1"), copy_in())
    assert bytes(talk.server) == text + data + COPY_DONE + data + fail + query("SELECT 1")
    talk.answers(error("57014", "COPY from stdin failed"), ready())
    assert talk.ends[1].outcome == "cancelled"


def test_other_messages_while_rows_are_copied_in_end_the_session() -> None:
    talk = Talk()
    talk.says(query("COPY sales.orders FROM STDIN"))
    talk.answers(copy_in())
    assert talk.says(query("SELECT 1")) == b""
    assert talk.closed


def test_copy_data_in_pieces_goes_on_in_pieces_whatever_comes() -> None:
    talk = Talk()
    talk.says(query("COPY sales.orders FROM STDIN"))
    talk.answers(copy_in())
    data = CopyData(b"x" * 1000).build()
    assert talk.says(data[:100]) == data[:100]
    talk.answers(error("22P04", "bad row"), ready())
    assert talk.says(data[100:] + COPY_DONE + query("SELECT 1")) == (
        data[100:] + COPY_DONE + query("SELECT 1")
    )


def test_copies_out_are_counted() -> None:
    talk = Talk()
    out = CopyResponse("H", 0, (0,)).build()
    sent = talk.says(query("COPY sales.orders (id, total) TO STDOUT"))
    assert sent == query(f'COPY (SELECT "id", "total" FROM {_VIEWS}.orders) TO STDOUT')
    answer = out + CopyData(b"1\t2\n").build() * 2 + COPY_DONE + complete("COPY 2") + ready()
    assert talk.answers(answer) == answer
    assert (talk.ends[1].rows, talk.ends[1].size_bytes) == (2, 8)


# Leaving and ends


def test_terminate_is_passed_on_and_ends_it() -> None:
    talk = Talk()
    assert talk.says(TERMINATE, query("SELECT 1")) == TERMINATE
    assert talk.closed == ["the client left"]


def test_what_was_sent_before_terminate_is_answered_first() -> None:
    talk = Talk()
    talk.says(query("INSERT INTO sales.orders VALUES (1)"), TERMINATE)
    assert not talk.closed
    talk.relay.client_gone()
    assert talk.cancels == 0
    assert talk.answers(complete("INSERT 0 1"), ready()) == b""
    assert talk.ends[1].outcome == "done"
    assert talk.closed == ["the client left"]


def test_a_client_that_vanishes_has_its_statement_cancelled() -> None:
    talk = Talk()
    talk.says(query("SELECT pg_sleep(60)"))
    talk.server.clear()
    talk.relay.client_gone()
    assert bytes(talk.server) == TERMINATE
    assert talk.cancels == 1
    assert talk.ends[1].outcome == "lost"
    assert len(talk.closed) == 1
    talk.relay.client_gone()
    talk.relay.server_gone()


def test_a_server_that_vanishes_is_told_of() -> None:
    talk = Talk()
    talk.says(query("SELECT 1"))
    talk.client.clear()
    talk.relay.server_gone()
    assert fields(bytes(talk.client))["C"] == "08006"
    assert (talk.ends[1].outcome, talk.ends[1].sqlstate) == ("lost", "08006")
    assert len(talk.closed) == 1
