"""What may be sent under a scope, what is denied, why, and what to request."""

import dataclasses
import time

import pytest

from daypass.domain.catalog import RelationName
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import PreparedText, Verdict
from daypass.engines.postgres.splice import original_position
from daypass.engines.postgres.statement_decision import SessionScope
from daypass.engines.postgres.statements import prepare_text, prepare_under


def _classes(words: str) -> frozenset[StatementClass]:
    return frozenset(StatementClass(word) for word in words.split())


def _name(text: str) -> RelationName:
    return RelationName.parse(text)


_SCOPE = SessionScope(
    relation_classes={
        _name("sales.customers"): _classes("explain select"),
        _name("sales.orders"): _classes("explain select insert update truncate copy_in export ddl"),
        _name("hr.staff"): _classes("select"),
        _name("hr.orders"): _classes("select"),
    },
    classes=_classes("explain select insert update truncate copy_in export ddl"),
    view_schema_of={"sales": "dp_v_1_sales", "hr": "dp_v_1_hr"},
    search_path=("sales", "hr", "public"),
    known_relations=frozenset(
        _name(n)
        for n in (
            "sales.customers",
            "sales.orders",
            "sales.secret",
            "hr.staff",
            "hr.orders",
            "hr.salaries",
            "public.notes",
        )
    ),
    filtered=frozenset({_name("sales.customers")}),
    protected_variables=frozenset({"app.tenant", "Statement_Timeout"}),
)
_EXPLAIN_ONLY = dataclasses.replace(
    _SCOPE,
    classes=_classes("explain"),
    relation_classes={n: _classes("explain") for n in _SCOPE.relation_classes},
)
_SELECT_ONLY = dataclasses.replace(
    _SCOPE,
    classes=_classes("select"),
    relation_classes={n: _classes("select") for n in _SCOPE.relation_classes},
)
_NATIVE = dataclasses.replace(
    _SCOPE,
    relation_classes={},
    classes=_classes("select insert"),
    view_schema_of={},
    native=True,
    filtered=frozenset(),
)


def _forwarded(text: str, scope: SessionScope = _SCOPE) -> str:
    prepared = prepare_under(text, scope)
    assert prepared.verdict is Verdict.FORWARD, prepared.reason
    assert prepared.code == prepared.reason == ""
    return prepared.text


def _denied(text: str, scope: SessionScope = _SCOPE) -> PreparedText:
    prepared = prepare_under(text, scope)
    assert prepared.verdict is Verdict.DENY, text
    assert prepared.text == ""
    assert prepared.reason
    return prepared


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("", ""),
        (" ; -- nothing\n", " ; -- nothing\n"),
        ("SELECT 1", "SELECT 1"),
        ("SELECT * FROM customers", "SELECT * FROM customers"),
        ("SELECT * FROM sales.customers", 'SELECT * FROM "dp_v_1_sales".customers'),
        ("SELECT * FROM dp_v_1_sales.customers", "SELECT * FROM dp_v_1_sales.customers"),
        ("SELECT * FROM staff", "SELECT * FROM staff"),
        ("SELECT * FROM hr.orders JOIN orders USING (id)",
         'SELECT * FROM "dp_v_1_hr".orders JOIN orders USING (id)'),
        ("UPDATE sales.orders SET a = 1; SELECT * FROM hr.staff",
         'UPDATE "dp_v_1_sales".orders SET a = 1; SELECT * FROM "dp_v_1_hr".staff'),
        ("INSERT INTO orders SELECT * FROM hr.staff",
         'INSERT INTO orders SELECT * FROM "dp_v_1_hr".staff'),
        ("TRUNCATE sales.orders", "TRUNCATE sales.orders"),
        ("COPY sales.orders FROM STDIN", "COPY sales.orders FROM STDIN"),
        ("COPY (TABLE sales.orders) TO STDOUT", 'COPY (TABLE "dp_v_1_sales".orders) TO STDOUT'),
        ("ALTER TABLE sales.orders ADD x int", "ALTER TABLE sales.orders ADD x int"),
        ("CREATE TABLE sales.brand_new (id int)", "CREATE TABLE sales.brand_new (id int)"),
        ("EXPLAIN (ANALYZE) SELECT * FROM sales.orders",
         'EXPLAIN (ANALYZE) SELECT * FROM "dp_v_1_sales".orders'),
        ("EXPLAIN SELECT * FROM sales.customers", 'EXPLAIN SELECT * FROM "dp_v_1_sales".customers'),
        ("SELECT * FROM pg_class JOIN pg_catalog.pg_namespace n ON true",
         "SELECT * FROM pg_class JOIN pg_catalog.pg_namespace n ON true"),
        ("SELECT * FROM information_schema.columns", "SELECT * FROM information_schema.columns"),
        ("BEGIN; SET LOCAL work_mem = '1GB'; COMMIT", "BEGIN; SET LOCAL work_mem = '1GB'; COMMIT"),
        ("SELECT * FROM not_known_and_bare", "SELECT * FROM not_known_and_bare"),
        ("SELECT * FROM orders FOR UPDATE", "SELECT * FROM orders FOR UPDATE"),
    ],
)  # fmt: skip
def test_forwarded(text: str, sent: str) -> None:
    assert _forwarded(text) == sent


@pytest.mark.parametrize(
    ("text", "code", "missing", "classes"),
    [
        ("SELECT * FROM sales.secret", "not_in_scope", "sales.secret", "select"),
        ("SELECT * FROM secret", "not_in_scope", "sales.secret", "select"),
        ("SELECT * FROM notes", "not_in_scope", "public.notes", "select"),
        ("SELECT * FROM sales.customers, hr.salaries, sales.secret", "not_in_scope",
         "hr.salaries sales.secret", "select"),
        ("DELETE FROM hr.salaries RETURNING *", "not_in_scope", "hr.salaries", "delete select"),
        ("UPDATE sales.customers SET a = 1", "class_not_in_scope", "sales.customers", "update"),
        ("SELECT * FROM customers FOR UPDATE", "class_not_in_scope", "sales.customers", "update"),
        ("INSERT INTO hr.orders SELECT 1", "class_not_in_scope", "hr.orders", "insert"),
        ("DELETE FROM orders", "class_not_in_scope", "sales.orders", "delete"),
        ("EXPLAIN SELECT * FROM hr.staff", "class_not_in_scope", "hr.staff", "explain"),
        ("COPY sales.customers FROM STDIN", "class_not_in_scope", "sales.customers", "copy_in"),
        ("COPY (SELECT * FROM customers) TO STDOUT", "class_not_in_scope", "sales.customers",
         "export"),
        ("ALTER TABLE sales.customers ADD x int", "class_not_in_scope", "sales.customers", "ddl"),
        ("TRUNCATE dp_v_1_hr.staff", "class_not_in_scope", "hr.staff", "truncate"),
        ("CALL sales.settle()", "class_not_in_scope", "", "call"),
        ("DO $$ BEGIN END $$", "class_not_in_scope", "", "call"),
        ("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'TABLE sales.secret'",
         "class_not_in_scope", "", "call"),
        ("CREATE OPERATOR @@@ (RIGHTARG = text, FUNCTION = ts_stat)", "class_not_in_scope", "",
         "call"),
        ("DROP SCHEMA sales CASCADE", "not_in_scope", "sales.customers", "ddl"),
        ("ALTER SCHEMA sales RENAME TO elsewhere", "not_in_scope", "sales.customers", "ddl"),
        ("CREATE ROLE x", "class_not_in_scope", "", "admin"),
        ("SELECT pg_read_file('x')", "class_not_in_scope", "", "admin"),
        ("SELECT query_to_xml('table sales.secret', true, true, '')", "class_not_in_scope", "",
         "call"),
        ("DELETE FROM a_bare_name", "class_not_in_scope", "", "delete"),
        ("UPDATE pg_class SET relname = ''", "class_not_in_scope", "", "admin"),
        ("GRANT SELECT ON sales.secret TO PUBLIC", "not_in_scope", "sales.secret", "admin"),
        ("SELECT * FROM sales.custmers", "unknown_relation", "sales.custmers", ""),
        ("SELECT * FROM dp_v_1_sales.secret", "not_in_scope", "sales.secret", "select"),
        ("SELECT * FROM daypass.pads", "unknown_relation", "daypass.pads", ""),
        ("SELECT * FROM pg_toast.pg_toast_1", "unknown_relation", "pg_toast.pg_toast_1", ""),
        ("SELECT * FROM pg_temp_3.t", "unknown_relation", "pg_temp_3.t", ""),
        ("SELECT * FROM pg_stats", "sensitive_catalog", "", ""),
        ("SELECT * FROM pg_catalog.pg_authid", "sensitive_catalog", "", ""),
        ("SELECT * FROM information_schema.user_mapping_options", "sensitive_catalog", "", ""),
        ("EXPLAIN ANALYZE SELECT * FROM customers", "explain_analyze_filtered", "", ""),
        ("EXPLAIN (ANALYZE) TABLE sales.orders EXCEPT (SELECT * FROM sales.customers)",
         "explain_analyze_filtered", "", ""),
        ("EXPLAIN EXECUTE p", "explain_execute", "", ""),
        ("EXPLAIN ANALYZE EXECUTE p", "explain_execute", "", ""),
        ("COPY BINARY sales.orders TO STDOUT", "copy_view", "", ""),
        ("COPY orders TO STDOUT USING DELIMITERS ','", "copy_view", "", ""),
        ("TRUNCATE orders", "qualify_name", "", ""),
        ("COPY orders FROM STDIN", "qualify_name", "", ""),
        ("DROP TABLE orders", "qualify_name", "", ""),
        ("SET ROLE dba", "session_guard", "", ""),
        ("SET statement_timeout = 0", "session_guard", "", ""),
        ("SELECT set_config('APP.tenant', '7', false)", "session_guard", "", ""),
        ("RESET app.tenant", "session_guard", "", ""),
        ("SELEC 1", "unparsable", "", ""),
        ("SELECT " + "1+" * 3_000 + "1", "too_deep", "", ""),
    ],
)  # fmt: skip
def test_denied(text: str, code: str, missing: str, classes: str) -> None:
    prepared = _denied(text)
    assert prepared.code == code
    assert prepared.missing == tuple(_name(n) for n in missing.split())
    assert prepared.missing_classes == _classes(classes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT * FROM sales.secret", "sales.secret; request select on it"),
        ("UPDATE sales.customers SET a = 1",
         "allows explain, select on sales.customers, not update"),
        ("CALL f()", "request call"),
        ("SELECT * FROM sales.custmers", "did you mean sales.customers?"),
        ("SELECT * FROM sale.orders", "did you mean"),
        ("SELECT 1; SELECT 2; DROP ROLE x", "statement 3 of 3: "),
        ("TRUNCATE orders", "write sales.orders"),
        ("COPY BINARY sales.orders TO STDOUT", "COPY (SELECT …) TO STDOUT"),
        ("SELEC 1", 'near "SELEC" (character 1)'),
        ("EXPLAIN ANALYZE SELECT * FROM customers", "sales.customers; leave ANALYZE out"),
    ],
)  # fmt: skip
def test_reasons_say_what_to_do(text: str, words: str) -> None:
    assert words in _denied(text).reason


def test_a_schema_nothing_is_known_in_is_for_ddl() -> None:
    assert prepare_under("DROP SCHEMA scratch CASCADE", _SCOPE).verdict is Verdict.FORWARD


def test_a_text_of_unknown_names_alone_keeps_nobody_waiting() -> None:
    many = frozenset(_name(f"s{n % 50}.table_number_{n}") for n in range(20_000))
    scope = dataclasses.replace(_SCOPE, known_relations=many)
    text = "; ".join(f"SELECT * FROM nope.tabel_number_{n}" for n in range(90))
    assert len(text) < 4096
    began = time.process_time()
    denied = prepare_under(text, scope)
    # Looking for what was meant took 8 s when it was done for each of them.
    assert time.process_time() - began < 1
    assert "no relation nope.tabel_number_0 is known; did you mean" in denied.reason


def test_daypass_s_own_tables_are_named_only_where_nothing_else_lacks() -> None:
    locked = "LOCK TABLE daypass.pads, dp_v_0_sales.orders, {} IN ACCESS SHARE MODE"
    denied = _denied(locked.format("sales.orders, sales.secret"))
    assert denied.reason.startswith("the grant does not have sales.secret; ")
    assert denied.missing == (_name("sales.secret"),)
    denied = _denied(locked.format("sales.orders"))
    assert (denied.code, denied.missing) == ("unknown_relation", (_name("daypass.pads"),))
    assert "daypass.pads is Daypass's own" in denied.reason
    assert "--exclude-schema=daypass" in denied.reason
    _denied("CREATE TABLE daypass.mine (id int)")


def test_one_denied_statement_denies_the_text_and_all_that_is_missing_is_listed() -> None:
    prepared = _denied("SELECT * FROM sales.secret; SELECT 1; DELETE FROM hr.salaries; CALL f()")
    assert prepared.code == "not_in_scope"
    assert prepared.reason.startswith("statement 1 of 4: ")
    assert prepared.missing == (_name("hr.salaries"), _name("sales.secret"))
    assert prepared.missing_classes == _classes("select delete call")
    assert [facts.command for facts in prepared.statements] == [
        "SELECT",
        "SELECT",
        "DELETE",
        "CALL",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT version(), current_schema(), pg_backend_pid()",
        "SELECT c.relname, pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c",
        "EXPLAIN SELECT * FROM sales.orders",
        "EXPLAIN DELETE FROM sales.orders",
        "BEGIN",
    ],
)
def test_explain_alone_lets_plans_and_looking_around_through(text: str) -> None:
    _forwarded(text, _EXPLAIN_ONLY)


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("SELECT * FROM sales.orders", "select"),
        ("SELECT * FROM orders", "select"),
        ("TABLE nowhere_known", "select"),
        ("EXPLAIN ANALYZE SELECT * FROM sales.orders", "select"),
        ("SELECT sales.read_orders()", "select"),
        ("SELECT read_orders() FROM pg_class", "select"),
        ("SELECT query_to_xml('table orders', true, true, '')", "call select"),
        ("COPY (SELECT * FROM pg_class) TO STDOUT", "export"),
        ("COPY pg_class TO STDOUT", "export"),
        ("DECLARE c CURSOR FOR SELECT * FROM orders", "select"),
        ("PREPARE p AS SELECT * FROM orders", "select"),
        ("CREATE TEMP TABLE t AS SELECT 1", "select"),
    ],
)
def test_explain_alone_lets_no_row_through(text: str, classes: str) -> None:
    prepared = _denied(text, _EXPLAIN_ONLY)
    assert prepared.code == "class_not_in_scope"
    assert prepared.missing_classes <= _classes(classes)
    assert prepared.missing_classes


def test_temporary_tables_of_the_session_are_its_own() -> None:
    made = "CREATE TEMP TABLE mine AS SELECT * FROM sales.orders; "
    own = "INSERT INTO mine SELECT 1; UPDATE mine SET a = 1; DELETE FROM mine; DROP TABLE mine"
    assert _forwarded(made + own, _SELECT_ONLY).startswith(
        'CREATE TEMP TABLE mine AS SELECT * FROM "dp_v_1_sales".orders; '
    )
    assert _denied(own, _SELECT_ONLY).code == "class_not_in_scope"
    _forwarded(own, dataclasses.replace(_SELECT_ONLY, temporary=frozenset({"mine"})))
    _forwarded("DELETE FROM pg_temp.anything", _SELECT_ONLY)
    shadowing = "CREATE TEMP TABLE orders (id int); DELETE FROM orders"
    assert _denied(shadowing, _SELECT_ONLY).missing == (_name("sales.orders"),)


def test_prepared_statements_are_explained_when_they_are_known() -> None:
    _forwarded("PREPARE p AS SELECT * FROM orders; EXPLAIN ANALYZE EXECUTE p")
    prepared = _denied("PREPARE p AS SELECT * FROM customers; EXPLAIN ANALYZE EXECUTE p")
    assert prepared.code == "explain_analyze_filtered"
    known = dataclasses.replace(_SCOPE, prepared={"p": frozenset({_name("sales.customers")})})
    _forwarded("EXPLAIN EXECUTE p", known)
    assert _denied("EXPLAIN ANALYZE EXECUTE p", known).code == "explain_analyze_filtered"


def test_a_native_role_keeps_its_text_its_classes_and_its_guards() -> None:
    text = "SELECT sales.secret.id FROM sales.secret; INSERT INTO anything.at_all VALUES (1)"
    assert _forwarded(text, _NATIVE) == text
    prepared = _denied("DELETE FROM sales.secret", _NATIVE)
    assert (prepared.code, prepared.missing_classes) == ("class_not_in_scope", _classes("delete"))
    assert _denied("SET ROLE postgres", _NATIVE).code == "session_guard"
    assert _denied("COPY t TO PROGRAM 'x'", _NATIVE).code == "session_guard"


def test_shifts_lead_back_to_the_original() -> None:
    prepared = prepare_under("SELECT é FROM sales.orders, hr.staff WHERE x", _SCOPE)
    assert prepared.shifts == ((19, 9), (30, 9))


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("COPY orders TO STDOUT CSV", "COPY (SELECT * FROM orders) TO STDOUT CSV"),
        ('COPY sales.orders (id, "Total", interval) TO stdout;',
         'COPY (SELECT "id", "Total", "interval" FROM "dp_v_1_sales".orders) TO stdout;'),
        ("COPY db.sales.orders(a) TO STDOUT WITH CSV",
         'COPY (SELECT "a" FROM db."dp_v_1_sales".orders) TO STDOUT WITH CSV'),
        ("COPY dp_v_1_sales.orders TO STDOUT",
         "COPY (SELECT * FROM dp_v_1_sales.orders) TO STDOUT"),
        ("copy /*(*/ sales /*)*/ . orders /*(*/ ( a /*)*/ , b ) to stdout; TABLE staff",
         'copy /*(*/ (SELECT "a", "b" FROM "dp_v_1_sales" /*)*/ . orders) to stdout; TABLE staff'),
        ("COPY pg_class TO STDOUT", "COPY pg_class TO STDOUT"),
    ],
)  # fmt: skip
def test_copies_of_relations_become_copies_of_queries(text: str, sent: str) -> None:
    assert _forwarded(text) == sent


def test_what_pg_dump_begins_with_is_sent() -> None:
    for text in (
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "RESET search_path",
        "SET search_path = ''",
    ):
        assert _forwarded(text) == text
    # It would make every view of the grant unreadable.
    sent = _forwarded(
        "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings "
        "WHERE name = 'restrict_nonsystem_relation_kind'"
    )
    assert "'foreign-table'" in sent
    assert "view" not in sent
    # A sequence is nobody's relation; the system's view shows what one may know of it.
    sent = _forwarded("""SELECT last_value, is_called FROM sales."o'rders_id""seq\"""")
    assert sent.endswith("schemaname = 'sales' AND sequencename = 'o''rders_id\"seq'")
    of_18 = (
        "SELECT seqrelid, format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin, "
        "seqcache, seqcycle, last_value, is_called FROM pg_catalog.pg_sequence, "
        "pg_get_sequence_data(seqrelid) ORDER BY seqrelid;"
    )
    assert "coalesce(last_value, seqstart)" in _forwarded(of_18)
    assert _forwarded(of_18, _SELECT_ONLY) == _forwarded(of_18)
    for text in (
        "SELECT last_value, is_called FROM hr.x; DELETE FROM sales.orders",
        "SELECT last_value, is_called FROM hr.x y",
        "SELECT last_value, is_called FROM HR.x",
    ):
        assert _denied(text).code in ("unknown_relation", "class_not_in_scope")
    assert _denied("SET search_path = pg_temp").code == "session_guard"
    assert _denied("SELECT set_config('search_path', 'evil', false)").code == "session_guard"


def test_positions_in_a_copy_that_became_a_query_lead_back() -> None:
    text = "COPY sales.orders (id, nope) TO STDOUT; SELECT wrong"
    prepared = prepare_under(text, _SCOPE)
    at = prepared.text.index("wrong")
    assert original_position(prepared.shifts, at + 1) == text.index("wrong") + 1
    for column in ("id", "nope"):
        at = prepared.text.index(f'"{column}"')
        assert 5 <= original_position(prepared.shifts, at + 1) <= text.index("TO")


def test_a_native_role_copies_the_relation_itself() -> None:
    native = dataclasses.replace(_NATIVE, classes=_classes("export"))
    assert _forwarded("COPY sales.orders (id) TO STDOUT", native) == (
        "COPY sales.orders (id) TO STDOUT"
    )


def test_prepare_text_takes_the_same_scope_in_parts() -> None:
    prepared = prepare_text(
        "SELECT * FROM sales.customers",
        relation_classes=_SCOPE.relation_classes,
        scope_classes=_SCOPE.classes,
        view_schema_of=_SCOPE.view_schema_of,
        search_path=_SCOPE.search_path,
        known_relations=_SCOPE.known_relations,
        native=False,
    )
    assert prepared == prepare_under("SELECT * FROM sales.customers", _SCOPE)
