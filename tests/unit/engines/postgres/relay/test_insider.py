"""What a client tries to have run under another text than the one it is recorded with."""

from daypass.domain.statement_class import StatementClass
from tests.unit.engines.postgres.relay.talk import (
    BIND_COMPLETE,
    PARSE_COMPLETE,
    PORTAL_SUSPENDED,
    SYNC,
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

_DELETE = "PREPARE gone AS DELETE FROM sales.orders RETURNING id"


def test_a_parse_the_server_cannot_read_leaves_no_unnamed_statement_to_run() -> None:
    talk = Talk()
    talk.says(parse("SELECT note FROM sales.orders"), SYNC)
    talk.answers(PARSE_COMPLETE, ready())
    # The server finds the message short before it gives the statement before it up.
    broken = parse("SELECT 1")[:-2] + (7).to_bytes(2, "big")
    talk.says(broken, SYNC)
    talk.answers(error("08P01"), ready())
    sent = talk.says(bind(), execute(), SYNC)
    assert b"B" not in [each[:1] for each in messages(sent)[:1]]
    told = talk.answers(error("42601"), ready())
    assert fields(told)["C"] == "26000"
    assert [each.outcome for each in talk.ends.values()] == ["skipped"]


def _with_portal(talk: Talk) -> None:
    """Begin a transaction and bind `EXECUTE gone` to portal p, then set a savepoint."""
    talk.says(query(_DELETE))
    talk.answers(complete("PREPARE"), ready())
    talk.says(query("BEGIN"))
    talk.answers(complete("BEGIN"), ready("T"))
    talk.says(parse("EXECUTE gone"), bind(portal="p"), SYNC)
    talk.answers(PARSE_COMPLETE, BIND_COMPLETE, ready("T"))
    talk.says(query("SAVEPOINT s"))
    talk.answers(complete("SAVEPOINT"), ready("T"))


def test_an_execute_bound_to_a_portal_is_recorded_before_fetch_can_run_it() -> None:
    talk = Talk()
    _with_portal(talk)
    bound = [each for each in talk.starts if each.origin == "execute"]
    assert len(bound) == 1
    assert StatementClass.DELETE in bound[0].statements[0].classes


def test_a_portal_that_outlives_an_error_is_known_by_its_text() -> None:
    talk = Talk()
    _with_portal(talk)
    talk.says(query("SELECT 1/0"))
    talk.answers(error("22012"), ready("E"))
    talk.says(query("ROLLBACK TO s"))
    talk.answers(complete("ROLLBACK"), ready("T"))
    before = len(talk.starts)
    talk.says(execute("p"), SYNC)
    assert [each.text for each in talk.starts[before:]] == []
    talk.answers(row("1"), complete("DELETE 1"), ready("T"))
    ended = [end for end in talk.ends.values() if end.command == "DELETE 1"]
    assert [(end.outcome, end.rows) for end in ended] == [("done", 1)]


def test_a_portal_whose_name_could_not_be_taken_is_still_known() -> None:
    talk = Talk()
    _with_portal(talk)
    talk.says(parse("SELECT 1"), bind(portal="p"), SYNC)
    talk.answers(PARSE_COMPLETE, error("42P03"), ready("E"))
    talk.says(query("ROLLBACK TO s"))
    talk.answers(complete("ROLLBACK"), ready("T"))
    before = len(talk.starts)
    talk.says(execute("p"), SYNC)
    assert talk.starts[before:] == []
    talk.answers(complete("DELETE 0"), ready("T"))
    assert [e.command for e in talk.ends.values()].count("DELETE 0") == 1


def test_a_statement_counts_from_each_time_it_is_run() -> None:
    talk = Talk()
    talk.says(query("BEGIN"))
    talk.answers(complete("BEGIN"), ready("T"))
    talk.says(parse("SELECT note FROM sales.orders"), bind(portal="p"), SYNC)
    talk.answers(PARSE_COMPLETE, BIND_COMPLETE, ready("T"))
    talk.seconds += 100
    talk.says(execute("p", 1), SYNC)
    running = talk.relay.running
    assert running is not None
    assert (talk._now() - running[1]).total_seconds() < 1
    talk.answers(row("1"), PORTAL_SUSPENDED, ready("T"))
    assert talk.relay.running is None
