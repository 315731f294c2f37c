"""Lineage of definitions as PostgreSQL writes them."""

from collections.abc import Sequence

import pytest

from daypass.domain.catalog import ColumnName, RelationName
from daypass.engines.postgres.lineage import view_lineage

A = RelationName("s", "a")
B = RelationName("s", "b")
COLUMNS = {A: ("id", "x", "y", "j"), B: ("id", "x", "z")}
USED = tuple(COLUMNS.items())


def lineage(
    definition: str,
    width: int,
    used: Sequence[tuple[RelationName, Sequence[str]]] = USED,
) -> list[str]:
    found = view_lineage(definition, width, COLUMNS, used)
    return [" ".join(sorted(f"{c.relation.name}.{c.name}" for c in each)) for each in found]


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("SELECT id, x AS other FROM s.a WHERE y = 'secret'", ["a.id", "a.x"]),
        ("SELECT t.x, t.id FROM s.a t(id, y, x, j)", ["a.y", "a.id"]),
        ("SELECT lower(x) || y, 1 FROM s.a", ["a.x a.y", ""]),
        ("SELECT count(*) AS count FROM s.a GROUP BY x", [""]),
        ("SELECT max(x) FILTER (WHERE y IS NULL) AS m FROM s.a", ["a.x a.y"]),
        ("SELECT a.x, b.x FROM s.a JOIN s.b ON a.id = b.id AND b.z = a.y", ["a.x", "b.x"]),
        ("SELECT id, a.x, b.z FROM s.a FULL JOIN s.b USING (id)", ["a.id b.id", "a.x", "b.z"]),
        (
            "SELECT j.k, j.x2, j.z FROM (s.a JOIN s.b USING (id)) j(k, x1, y, j, x2, z)",
            ["a.id b.id", "b.x", "b.z"],
        ),
        (
            (
                "SELECT o.p FROM ((s.a JOIN s.b USING (id)) JOIN s.b c(id, q, r) USING (id))"
                " o(i, x, y, j, bx, bz, q, p)"
            ),
            ["b.z"],
        ),
        ("SELECT m.id, a.y FROM (s.a JOIN s.b USING (id) AS m)", ["a.id b.id", "a.y"]),
        ("SELECT q.v FROM (SELECT a.y AS v, a.x FROM s.a) q", ["a.y"]),
        (
            "WITH w(p, q) AS (SELECT a.x, a.y FROM s.a) SELECT w.q FROM w",
            ["a.y"],
        ),
        (
            (
                "WITH RECURSIVE r(n, path) AS (SELECT a.id, a.x FROM s.a UNION ALL"
                " SELECT b.id, r_1.path || b.z FROM s.b JOIN r r_1 ON r_1.n = b.id)"
                " SELECT r.n, r.path FROM r"
            ),
            ["a.id b.id", "a.x b.z"],
        ),
        (
            (
                "WITH RECURSIVE r(p, q) AS (SELECT a.x, a.y FROM s.a UNION"
                " SELECT r_1.q, r_1.p FROM r r_1) SELECT r.p FROM r"
            ),
            ["a.x a.y"],
        ),
        ("SELECT a.x FROM s.a UNION ALL SELECT b.z FROM s.b", ["a.x b.z"]),
        ("VALUES (1, 2), (3, 4)", ["", ""]),
        ("SELECT v.column2 FROM s.a, (VALUES (1, 2)) v(column1, column2)", [""]),
        (
            "SELECT l.top FROM s.a, LATERAL (SELECT b.z || a.y AS top FROM s.b LIMIT 1) l",
            ["a.y b.z"],
        ),
        ("SELECT (SELECT max(b.z) FROM s.b WHERE b.x = a.y) AS m FROM s.a", ["b.z"]),
        ("SELECT EXISTS (SELECT 1 FROM s.b WHERE b.x = a.y) AS e FROM s.a", [""]),
        ("SELECT (a.y IN (SELECT b.z FROM s.b)) AS e FROM s.a", ["a.y b.z"]),
        ("SELECT e.value FROM s.a, LATERAL jsonb_each(a.j) e(key, value)", ["a.j"]),
        ("SELECT g FROM generate_series(1, 3) g(g)", [""]),
        ("SELECT a.x, a.ctid FROM s.a TABLESAMPLE system (10)", ["a.x", ""]),
        ("SELECT rank() OVER (ORDER BY a.y) AS r FROM s.a", ["a.y"]),
        ("SELECT sum(a.id) OVER w AS r FROM s.a WINDOW w AS (PARTITION BY a.x)", ["a.id a.x"]),
        ("SELECT (a.j).street AS street FROM s.a", ["a.j"]),
        ("SELECT to_jsonb(a.*) AS doc, a.x FROM s.a", ["a.id a.j a.x a.y", "a.x"]),
        ("SELECT q.*::record AS q FROM (SELECT a.x, a.y FROM s.a) q", ["a.x a.y"]),
        (
            "SELECT CASE WHEN a.x = 'k' THEN a.y ELSE NULL::text END AS c FROM s.a",
            ["a.x a.y"],
        ),
        ("SELECT relname, a.y FROM pg_class, s.a", ["", "a.y"]),
        (
            "SELECT jt.v FROM s.a, LATERAL JSON_TABLE(a.j, '$' COLUMNS (v text PATH '$.v')) jt",
            ["a.j"],
        ),
        (
            "SELECT xt.v FROM s.a, LATERAL XMLTABLE(('/r') PASSING (a.j) COLUMNS v text) xt",
            ["a.j"],
        ),
    ],
)
def test_tells_where_each_column_comes_from(definition: str, expected: list[str]) -> None:
    assert lineage(definition, len(expected)) == expected


ALL_USED = "a.id a.j a.x a.y b.id b.x b.z"


@pytest.mark.parametrize(
    "definition",
    [
        "this is not SQL",
        "DELETE FROM s.a",
        "SELECT a.x FROM s.a; SELECT b.x FROM s.b",
        "SELECT nowhere.x FROM s.a",
        "SELECT x, y FROM s.a",
        (
            "WITH RECURSIVE r(n) AS (SELECT a.id FROM s.a UNION ALL SELECT r_1.n FROM r r_1)"
            " SEARCH DEPTH FIRST BY n SET o SELECT r.n FROM r"
        ),
        "SELECT a.x FROM s.a NATURAL JOIN s.b",
    ],
)
def test_what_is_not_understood_is_everything_the_view_depends_on(definition: str) -> None:
    assert lineage(definition, 1) == [ALL_USED]


def test_more_than_the_server_says_falls_back_to_what_it_says() -> None:
    only_ids = [(A, ("id",)), (B, ("id",))]
    assert lineage("SELECT a.x FROM s.a", 1, only_ids) == ["a.id b.id"]


def test_a_whole_row_that_is_not_understood_counts_every_column() -> None:
    used = [(A, ("id",))]
    definition = "SELECT nowhere.x, a.*::s.a AS row FROM s.a"
    assert lineage(definition, 2, used) == ["a.id a.j a.x a.y"] * 2


def test_a_text_nested_beyond_reading_falls_back() -> None:
    deep = "SELECT " + "(" * 3000 + "a.x" + " + 1)" * 3000 + " FROM s.a"
    assert lineage(deep, 1) in ([ALL_USED], ["a.x"])


def test_origins_are_columns_of_relations() -> None:
    [origin] = view_lineage("SELECT x FROM s.a", 1, COLUMNS, USED)
    assert origin == frozenset({ColumnName(A, "x")})
