"""The extended protocol: names, portals, pipelines with something denied in the middle, ends."""

import pytest

from daypass.domain.limits import ExactStatement, Parameters
from daypass.domain.statement_class import StatementClass
from daypass.engines.postgres import relay_conversation
from daypass.engines.postgres.relay_server import FAILING_PARSE, FAILING_TEXT
from daypass.engines.relay_contract import RelayLimits
from tests.unit.engines.postgres.relay.talk import (
    BIND_COMPLETE,
    CLOSE_COMPLETE,
    COPY_DONE,
    FLUSH,
    NO_DATA,
    PARSE_COMPLETE,
    PORTAL_SUSPENDED,
    ROWS,
    SYNC,
    Bind,
    Close,
    CopyData,
    Describe,
    Parse,
    Talk,
    bind,
    complete,
    copy_in,
    error,
    execute,
    fields,
    messages,
    parse,
    query,
    ready,
    row,
)

_VIEWS = '"dp_v_0123456789abcdef_sales"'
_DENIED = "SELECT * FROM sales.secret"
_SYNTAX = error("42601", "syntax error", 1)
_BOUND = PARSE_COMPLETE + BIND_COMPLETE


def _outcomes(talk: Talk) -> list[str]:
    return [talk.ends[n].outcome for n in sorted(talk.ends)]


def test_one_statement_with_parameters() -> None:
    talk = Talk()
    sent = (
        parse("SELECT note FROM sales.orders WHERE id = $1")
        + bind("7", None)
        + Describe("P", "").build()
        + execute()
        + SYNC
    )
    spliced = parse(f"SELECT note FROM {_VIEWS}.orders WHERE id = $1")
    assert talk.says(sent) == spliced + sent[len(messages(sent)[0]) :]
    answer = _BOUND + ROWS + row("x") + complete("SELECT 1") + ready()
    assert talk.answers(answer) == answer
    (start,) = talk.starts
    assert start.parameters == ("7", None)
    assert (start.origin, start.keep) == ("extended", Parameters.FULL)
    assert start.text == "SELECT note FROM sales.orders WHERE id = $1"
    assert (talk.ends[1].outcome, talk.ends[1].rows, talk.ends[1].command) == (
        "done",
        1,
        "SELECT 1",
    )
    assert talk.relay.idle


def test_types_of_parameters_stay_behind_a_spliced_text() -> None:
    talk = Talk()
    sent = Parse("s", "SELECT note FROM sales.orders WHERE id = $1", (23, 25)).build()
    spliced = Parse("s", f"SELECT note FROM {_VIEWS}.orders WHERE id = $1", (23, 25)).build()
    assert talk.says(sent) == spliced


def test_binary_parameters_are_written_as_their_bytes() -> None:
    talk = Talk()
    talk.says(parse("SELECT $1, $2, $3"))
    talk.says(Bind("", "", (1, 0, 1), (b"\0\0\0*", "é".encode(), None)).build())
    assert talk.starts[0].parameters == ("\\x0000002a", "é", None)


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("SELECT name FROM sales.customers WHERE id = $1", Parameters.FULL),
        ("SELECT name FROM sales.customers c WHERE c.id = $1", Parameters.FULL),
        ("SELECT name FROM sales.customers WHERE email = $1", Parameters.HASH),
        ("SELECT name FROM customers WHERE lower(email) LIKE $1", Parameters.HASH),
        ("SELECT * FROM sales.customers WHERE id = $1", Parameters.HASH),
        ("SELECT 1 FROM sales.customers c WHERE c::text LIKE $1", Parameters.HASH),
        ("SELECT 1 FROM sales.customers c(a, b) WHERE b = $1", Parameters.HASH),
        ("WITH x(a, b) AS (TABLE sales.customers) SELECT 1 FROM x WHERE b = $1", Parameters.HASH),
        ("SELECT 1 FROM sales.orders NATURAL JOIN sales.customers WHERE note = $1",
         Parameters.HASH),
        ("SELECT 1 FROM sales.orders JOIN customers USING (email) WHERE note = $1",
         Parameters.HASH),
        ("INSERT INTO sales.customers VALUES (1, $1)", Parameters.HASH),
        ("UPDATE sales.customers SET name = $1", Parameters.HASH),
        ("SELECT note FROM sales.orders WHERE note = $1", Parameters.FULL),
        ("SELECT id FROM sales.customers WHERE email(customers) = $1", Parameters.HASH),
    ],
)  # fmt: skip
def test_parameters_a_masked_column_may_meet_are_not_kept_in_clear(
    text: str, keep: Parameters
) -> None:
    talk = Talk()
    talk.says(parse(text), bind("alice@example.com"), execute(), SYNC)
    assert talk.starts[0].keep is keep
    assert talk.starts[0].parameters == ("alice@example.com",)


def test_parameters_are_left_out_where_the_rule_says_so() -> None:
    talk = Talk(RelayLimits(parameters=Parameters.NONE))
    talk.says(parse("SELECT $1"), bind("x"), execute(), SYNC)
    assert (talk.starts[0].parameters, talk.starts[0].keep) == ((), Parameters.NONE)


def test_a_denied_statement_in_a_pipeline_fails_what_follows_and_what_was_before() -> None:
    talk = Talk()
    before = parse("INSERT INTO orders VALUES ($1)") + bind("1") + execute()
    sent = talk.says(before, parse(_DENIED), bind(), execute(), parse("SELECT 2"), bind(), SYNC)
    # The server is given something that fails: what came before in this pipeline is undone there.
    assert messages(sent)[:3] == messages(before)
    assert messages(sent)[3] == parse(FAILING_TEXT)
    assert messages(sent)[-1] == SYNC
    told = talk.answers(_BOUND, complete("INSERT 0 1"), _SYNTAX, ready())
    assert fields(told)["C"] == "42501"
    assert messages(told)[-1] == ready()
    assert _outcomes(talk) == ["done", "skipped", "skipped"]
    assert [each.code for each in talk.refusals] == ["not_in_scope"]
    sent = talk.says(parse("SELECT 3"), bind(), execute(), SYNC)
    assert len(messages(sent)) == 4


def test_after_an_answered_denial_nothing_is_sent_until_sync() -> None:
    talk = Talk()
    assert talk.says(parse(_DENIED), FLUSH) == parse(FAILING_TEXT) + FLUSH
    assert fields(talk.answers(_SYNTAX))["C"] == "42501"
    assert talk.says(bind(), execute(), query("SELECT 1"), parse("SELECT 2"), FLUSH) == b""
    assert talk.says(SYNC) == SYNC
    assert talk.starts == []
    talk.answers(ready("E"))
    assert not talk.relay.idle


def test_what_runs_is_known_before_the_server_has_said_anything() -> None:
    talk = Talk()
    begun = parse("SELECT 1") + bind() + execute()
    talk.says(begun, parse("SELECT pg_sleep(60)") + bind() + execute() + SYNC)
    assert talk.relay.running is not None
    assert talk.relay.running[0] == "SELECT 1"
    talk.relay.stop_statement("it took longer than 30 s")
    told = talk.answers(_BOUND, complete("SELECT 1"), _BOUND, error("57014"), ready())
    assert (fields(told)["C"], fields(told)["M"]) == ("53400", "it took longer than 30 s")
    assert _outcomes(talk) == ["done", "failed"]
    assert talk.relay.running is None


def test_a_failed_commit_is_no_success() -> None:
    talk = Talk()
    talk.says(parse("INSERT INTO orders VALUES (1)"), bind(), execute(), SYNC)
    talk.answers(_BOUND, complete("INSERT 0 1"))
    assert talk.ends == {}
    talk.answers(error("23503", "deferred"), ready())
    assert (talk.ends[1].outcome, talk.ends[1].sqlstate) == ("failed", "23503")


def test_portals_in_pieces_are_one_statement() -> None:
    talk = Talk()
    begin = complete("BEGIN") + ready("T")
    talk.says(query("BEGIN"))
    talk.answers(begin)
    talk.says(parse("SELECT id FROM orders"), bind(portal="c"), execute("c", 2), SYNC)
    talk.answers(_BOUND, row("1"), row("2"), PORTAL_SUSPENDED, ready("T"))
    talk.says(execute("c", 2), SYNC)
    talk.answers(row("3"), row("4"), PORTAL_SUSPENDED, ready("T"))
    assert _outcomes(talk) == ["done"]
    talk.says(execute("c", 2), SYNC)
    talk.answers(row("5"), complete("SELECT 1"), ready("T"))
    assert (talk.ends[2].rows, talk.ends[2].command) == (5, "SELECT 1")
    assert len(talk.starts) == 2


@pytest.mark.parametrize("how", ["close", "commit", "rebind"])
def test_a_portal_left_in_the_middle_ends(how: str) -> None:
    talk = Talk()
    talk.says(query("BEGIN"))
    talk.answers(complete("BEGIN"), ready("T"))
    talk.says(parse("SELECT 1", "s"), bind(statement="s"), execute("", 1), SYNC)
    talk.answers(_BOUND, row("1"), PORTAL_SUSPENDED, ready("T"))
    assert 2 not in talk.ends
    if how == "close":
        talk.says(Close("P", "").build(), SYNC)
        talk.answers(CLOSE_COMPLETE, ready("T"))
    elif how == "commit":
        talk.says(query("COMMIT"))
        talk.answers(complete("COMMIT"), ready())
    else:
        talk.says(bind(statement="s"), SYNC)
        talk.answers(BIND_COMPLETE, ready("T"))
    assert (talk.ends[2].outcome, talk.ends[2].rows) == ("done", 1)


def test_what_was_bound_and_never_run_is_skipped() -> None:
    talk = Talk()
    talk.says(parse("SELECT 1"), bind(), SYNC)
    talk.answers(_BOUND, ready())
    assert _outcomes(talk) == ["skipped"]


def test_a_portal_that_is_run_again_is_another_statement() -> None:
    talk = Talk()
    talk.says(parse("SELECT 1"), bind(), execute(), execute(), SYNC)
    assert len(talk.starts) == 1
    talk.answers(_BOUND, complete("SELECT 1"), complete("SELECT 0"), ready())
    assert _outcomes(talk) == ["done"]


def test_cursors_that_sql_declared_are_written_down_as_fetches() -> None:
    talk = Talk()
    talk.says(execute("my cursor", 5), SYNC)
    assert talk.starts[0].text == 'FETCH 5 FROM "my cursor"'
    assert talk.starts[0].statements[0].command == "FETCH"


def test_statements_that_were_not_prepared_in_sight_are_written_down_as_that() -> None:
    talk = Talk()
    talk.says(bind("1", statement="hidden"), execute(), SYNC)
    assert talk.starts[0].text == 'EXECUTE "hidden"'
    talk.answers(error("26000"), ready())
    assert _outcomes(talk) == ["failed"]


def test_what_cannot_be_written_down_fails_its_pipeline() -> None:
    talk = Talk()
    talk.says(parse("SELECT 1", "s"), SYNC)
    talk.answers(PARSE_COMPLETE, ready())
    talk.full = True
    assert talk.says(bind(statement="s"), SYNC) == FAILING_PARSE + SYNC
    assert fields(talk.answers(_SYNTAX, ready()))["C"] == "58030"
    assert talk.starts == []


# Names


def test_a_name_that_was_not_taken_keeps_what_it_stands_for() -> None:
    talk = Talk()
    talk.says(parse("SELECT 'one'", "s"), SYNC)
    talk.answers(PARSE_COMPLETE, ready())
    talk.says(parse("SELECT 'two'", "s"), SYNC)
    # Whatever the server answers, the log has to say which one ran.
    assert talk.says(bind(statement="s"), execute(), SYNC) == b""
    assert talk.relay.held
    talk.server.clear()
    talk.answers(error("42P05", "already there"), ready())
    assert bytes(talk.server) == bind(statement="s") + execute() + SYNC
    assert [each.text for each in talk.starts] == ["SELECT 'one'"]
    assert not talk.relay.held


def test_a_skipped_parse_changes_nothing() -> None:
    talk = Talk()
    talk.says(parse("SELECT 'one'"), SYNC)
    talk.answers(PARSE_COMPLETE, ready())
    talk.says(parse("SELECT 1/0", "x"), parse("SELECT 'two'"), SYNC, bind(), execute(), SYNC)
    assert talk.starts == []
    talk.answers(error("22012"), ready())
    assert [each.text for each in talk.starts] == ["SELECT 'one'"]


def test_names_are_one_where_the_server_takes_them_for_one() -> None:
    talk = Talk()
    long = "n" * 63
    talk.says(parse("SELECT 'one'", long + "x"), SYNC)
    talk.answers(PARSE_COMPLETE, ready())
    talk.says(bind(statement=long + "y"), execute(), SYNC)
    assert talk.starts[0].text == "SELECT 'one'"


def test_execute_says_what_it_stands_for() -> None:
    talk = Talk()
    talk.says(query("PREPARE p AS SELECT note FROM sales.orders WHERE id = $1"))
    talk.answers(complete("PREPARE"), ready())
    talk.says(query("EXECUTE p(7)"))
    start = talk.starts[1]
    assert (start.text, start.origin) == ("EXECUTE p(7)", "execute")
    (facts,) = start.statements
    assert facts.command == "EXECUTE"
    assert facts.text.startswith("PREPARE p AS SELECT note")
    assert [str(each) for each in facts.read] == ["sales.orders"]
    assert facts.classes == {StatementClass.SELECT}
    talk.answers(complete("SELECT 1"), ready())
    talk.says(bind("7", statement="p"), execute(), SYNC)
    assert talk.starts[2].text.startswith("PREPARE p AS")
    talk.answers(BIND_COMPLETE, complete("SELECT 1"), ready())
    talk.says(query("DEALLOCATE ALL"))
    talk.answers(complete("DEALLOCATE ALL"), ready())
    talk.says(query("EXECUTE p(7)"))
    assert talk.starts[-1].statements[0].read == frozenset()


def test_execute_of_a_statement_of_the_protocol() -> None:
    talk = Talk()
    talk.says(parse("DELETE FROM sales.orders WHERE id = $1", "S_1"), SYNC)
    talk.answers(PARSE_COMPLETE, ready())
    talk.says(parse('EXECUTE "S_1"(7)'), bind(), execute(), SYNC)
    (facts,) = talk.starts[0].statements
    assert facts.classes == {StatementClass.DELETE}
    assert talk.starts[0].origin == "execute"


def test_a_prepare_that_fails_in_its_text_is_not_there() -> None:
    talk = Talk()
    talk.says(query("PREPARE a AS SELECT 1; PREPARE b AS SELECT 2"))
    talk.answers(complete("PREPARE"), error("42P05"), ready())
    talk.says(query("EXECUTE a; EXECUTE b"))
    one, two = talk.starts[1].statements
    assert one.text == "PREPARE a AS SELECT 1"
    assert two.text == "EXECUTE b"


def test_explain_analyze_of_what_was_prepared() -> None:
    talk = Talk()
    talk.says(query("EXPLAIN ANALYZE EXECUTE p"))
    talk.answers(_SYNTAX, ready())
    assert [each.code for each in talk.refusals] == ["explain_execute"]
    for name, table in (("p", "orders"), ("q", "customers")):
        talk.says(query(f"PREPARE {name} AS SELECT * FROM sales.{table}"))
        talk.answers(complete("PREPARE"), ready())
    talk.says(query("EXPLAIN ANALYZE EXECUTE p"))
    assert talk.starts[-1].text == "EXPLAIN ANALYZE EXECUTE p"
    talk.says(query("EXPLAIN ANALYZE EXECUTE q"))
    assert talk.refusals[-1].code == "explain_analyze_filtered"


def test_temporary_tables_are_the_sessions_own() -> None:
    talk = Talk()
    denied = query("TRUNCATE mine")
    assert talk.says(denied) != denied
    talk.answers(_SYNTAX, ready())
    talk.says(query("CREATE TEMP TABLE mine (id int)"))
    talk.answers(complete("CREATE TABLE"), ready())
    assert talk.says(denied) == denied


def test_only_so_many_prepared_statements_are_kept() -> None:
    talk = Talk()
    text = "SELECT '" + "x" * 1_000_000 + "'"
    for number in range(70):
        talk.says(parse(text, f"s{number}"))
        if talk.refusals:
            break
        talk.answers(PARSE_COMPLETE)
    assert 60 < number < 69
    assert talk.refusals[0].code == "too_many_prepared"


def test_only_so_many_statements_are_begun_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_conversation, "MAX_OPEN", 3)
    talk = Talk()
    sent = talk.says(parse("SELECT 1"), bind() * 4, SYNC)
    assert [each[:1] for each in messages(sent)] == [b"P", b"B", b"B", b"B", b"P", b"S"]
    talk.answers(PARSE_COMPLETE, BIND_COMPLETE * 3, _SYNTAX, ready())
    assert _outcomes(talk) == ["skipped"] * 3
    assert [each.code for each in talk.refusals] == ["too_many_open"]


def test_exact_statements_and_nothing_else() -> None:
    text = "UPDATE sales.orders SET note = $1 WHERE id = $2"
    talk = Talk(RelayLimits(exact=(ExactStatement(text),)))
    for each in ("BEGIN", "SET application_name = 'x'", "SHOW server_version", "COMMIT"):
        assert talk.says(query(each)) == query(each)
        talk.answers(complete(each), ready())
    talk.says(parse(text, "s"), bind("x", "1", statement="s"), execute(), SYNC)
    talk.answers(_BOUND, complete("UPDATE 1"), ready())
    assert talk.starts[-1].text == text
    for each in (
        text + " --",
        text + "; SELECT 1",
        "/* */" + text,
        text.replace(" SET", "  SET"),
        "EXPLAIN ANALYZE " + text,
        "UPDATE sales.orders SET note = 'x' WHERE id = 1",
        "SELECT 1",
        "SET datestyle = german",
        "BEGIN; SELECT 1",
        "SELECT pg_sleep(1)",
        "PREPARE p AS SELECT 1",
        "EXECUTE s(1, 2)",
    ):
        talk.says(query(each))
        assert fields(talk.answers(_SYNTAX, ready()))["C"] == "42501"
    for sent in (bind(statement="unseen"), execute("cursor")):
        assert talk.says(sent, SYNC) == FAILING_PARSE + SYNC
        talk.answers(_SYNTAX, ready())
    assert {each.code for each in talk.refusals} == {"not_approved_text"}
    # What clients add to a text or take from it makes no difference.
    for each in (text + ";", f"  {text} ;\n"):
        talk.says(query(each))
        assert talk.starts[-1].text == each
        talk.answers(complete("UPDATE 1"), ready())


@pytest.mark.parametrize(
    ("sent", "binary", "goes"),
    [
        ((b"paid", b"42"), False, True),
        ((b"paid", bytes.fromhex("0000002a")), True, True),
        ((b"paid", bytes.fromhex("000000000000002a")), True, True),
        ((b"paid", b"042"), False, False),
        ((b"paid", bytes.fromhex("0000002b")), True, False),
        ((b"paid", None), False, False),
        ((b"42", b"paid"), False, False),
        ((b"paid",), False, False),
        ((b"paid", b"42", b"1"), False, False),
    ],
)
def test_fixed_values_are_what_was_approved_however_they_are_sent(
    sent: tuple[bytes | None, ...], binary: bool, goes: bool
) -> None:
    text = "UPDATE sales.orders SET note = $1 WHERE id = $2"
    talk = Talk(RelayLimits(exact=(ExactStatement(text, ("paid", "42")),)))
    given = Bind("", "", (int(binary),), sent, (1,))
    out = messages(talk.says(parse(text), given.build(), execute(), SYNC))
    if goes:
        assert Bind.read(out[1]) == Bind("", "", (), (b"paid", b"42"), (1,))
        assert talk.starts[-1].parameters == ("paid", "42")
    else:
        assert out[1:] == [FAILING_PARSE, FAILING_PARSE, SYNC]
        assert talk.refusals[0].code == "not_approved_values"
        assert talk.starts == []


def test_a_value_that_another_type_would_read_otherwise_is_sent_as_text() -> None:
    text = "SELECT $1 + 0"
    talk = Talk(RelayLimits(exact=(ExactStatement(text, ("42",)),)))
    # As a smallint these bytes are 13362; as the text they say, 42.
    out = messages(talk.says(parse(text), Bind("", "", (1,), (b"42",)).build(), SYNC))
    assert Bind.read(out[1]) == Bind("", "", (), (b"42",))


# Copies


def test_copy_in_with_a_sync_sent_too_early() -> None:
    talk = Talk()
    start = parse("COPY sales.orders FROM STDIN") + bind() + execute()
    data = CopyData(b"1\n").build()
    assert talk.says(start, SYNC) == start
    talk.server.clear()
    talk.answers(_BOUND, copy_in())
    assert bytes(talk.server) == b""
    assert talk.says(data, COPY_DONE, SYNC) == data + COPY_DONE + SYNC
    talk.answers(complete("COPY 1"), ready())
    assert (talk.ends[1].outcome, talk.starts[0].origin) == ("done", "copy")


def test_copy_in_that_is_denied_by_the_server() -> None:
    talk = Talk()
    start = parse("COPY sales.orders FROM STDIN") + bind() + execute()
    assert talk.says(start, SYNC) == start
    talk.server.clear()
    talk.answers(_BOUND, error("42501"))
    assert bytes(talk.server) == SYNC
    talk.answers(ready())
    assert talk.relay.idle


# What drivers send


def test_asyncpg_prepares_describes_and_binds() -> None:
    talk = Talk()
    name = "__asyncpg_stmt_1__"
    text = """WITH RECURSIVE typeinfo_tree(oid, ns, depth) AS (
        SELECT ti.oid, ti.ns, 0 FROM (SELECT t.oid AS oid, ns.nspname AS ns FROM
        pg_catalog.pg_type AS t INNER JOIN pg_catalog.pg_namespace ns ON ns.oid = t.typnamespace)
        AS ti WHERE ti.oid = any($1::oid[]) UNION ALL SELECT 1, 'x', tt.depth + 1
        FROM typeinfo_tree tt WHERE tt.depth < 1)
        SELECT DISTINCT *, depth FROM typeinfo_tree ORDER BY depth DESC"""
    first = parse(text, name) + Describe("S", name).build() + FLUSH
    assert talk.says(first) == first
    talk.answers(PARSE_COMPLETE, b"t\0\0\0\6\0\0", ROWS)
    second = bind("{1}", statement=name) + execute() + SYNC
    assert talk.says(second) == second
    talk.answers(BIND_COMPLETE, complete("SELECT 0"), ready())
    third = Close("S", name).build() + SYNC
    assert talk.says(third) == third
    talk.answers(CLOSE_COMPLETE, ready())
    assert talk.relay.idle
    assert _outcomes(talk) == ["done"]


def test_pgjdbc_sets_describes_and_prepares_at_the_fifth() -> None:
    talk = Talk()
    step = bind() + execute("", 1)
    opening = (
        parse("SET extra_float_digits = 3") + step + SYNC
        + parse("SET application_name = 'PostgreSQL JDBC Driver'") + step + SYNC
    )  # fmt: skip
    assert talk.says(opening) == opening
    talk.answers(*[_BOUND + complete("SET") + ready()] * 2)
    work = (
        parse("BEGIN", "S_1") + bind(statement="S_1") + execute("", 0)
        + parse("SELECT note FROM orders WHERE id = $1", "S_2") + Describe("S", "S_2").build()
        + bind("1", statement="S_2", portal="C_3") + execute("C_3", 50) + SYNC
    )  # fmt: skip
    assert talk.says(work) == work
    talk.answers(_BOUND, complete("BEGIN"), PARSE_COMPLETE, b"t\0\0\0\6\0\0", ROWS)
    talk.answers(BIND_COMPLETE, row("x"), complete("SELECT 1"), ready("T"))
    end = parse("COMMIT") + bind() + execute("", 1) + SYNC
    assert talk.says(end) == end
    talk.answers(_BOUND, complete("COMMIT"), ready())
    assert _outcomes(talk) == ["done"] * 5


def test_psycopg_pipelines_with_a_sync_each() -> None:
    talk = Talk()
    one = parse("SELECT $1") + bind("1") + Describe("P", "").build() + execute() + SYNC
    three = query("BEGIN") + one * 3
    assert talk.says(three) == three
    answer = _BOUND + ROWS + row("1") + complete("SELECT 1") + ready("T")
    assert talk.answers(complete("BEGIN"), ready("T"), answer * 3) == (
        complete("BEGIN") + ready("T") + answer * 3
    )
    assert _outcomes(talk) == ["done"] * 4


def test_node_postgres_names_and_closes() -> None:
    talk = Talk()
    sent = parse("UPDATE orders SET note = $1", "q") + bind("x", statement="q")
    sent += Describe("P", "").build() + execute() + SYNC
    assert talk.says(sent) == sent
    talk.answers(_BOUND, NO_DATA, complete("UPDATE 3"), ready())
    again = bind("y", statement="q") + Describe("P", "").build() + execute() + SYNC
    assert talk.says(again) == again
    talk.answers(BIND_COMPLETE, NO_DATA, complete("UPDATE 3"), ready())
    assert [each.parameters for each in talk.starts] == [("x",), ("y",)]
