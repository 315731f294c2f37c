"""Masks on a real server: what comes out, of which type, and that no value makes one fail."""

from __future__ import annotations

import hashlib
import json

import pytest

from daypass.domain.catalog import RelationName
from daypass.domain.masks import (
    ConstantMask,
    DateMask,
    EmailMask,
    FullMask,
    HashMask,
    JsonMask,
    Mask,
    NullMask,
    PartialMask,
    RangeMask,
    RegexMask,
)
from daypass.domain.scope import ScopedColumn, ScopedRelation
from daypass.engines.postgres.masks import masked_type
from tests.integration.engines.postgres.conftest import READS, Shop

VALUES = RelationName("sales", "values")
# A collation under which regular expressions and LIKE raise, a domain that no NULL passes, a type
# of the customer's own: each has broken a mask once.
_TYPES = """
do $$begin
  create collation sales.same (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
exception when feature_not_supported then
  create collation sales.same from "C";
end$$;
create domain sales.never_null as int not null;
create domain sales.cents as bigint check (value >= 0);
create domain sales.mail as varchar(80) check (value like '%@%');
create domain sales.document as jsonb;
create type sales.mood as enum ('calm', 'tense');
create type sales.pair as (a int, b text);
"""
_EDGES: dict[str, list[object]] = {
    "text": ["", "a", "ab", "Jane Doe", "o'neil\\x", "naïve ☕ 漢字", "x" * 5000, "a@b", None],
    "varchar(5)": ["", "abcde", None],
    "char(8)": ["abc", None],
    "name": ["pg_class", None],
    "text collate sales.same": ["Jane", None],
    "sales.mail": ["jane@example.com", None],
    "sales.mood": ["calm", None],
    "smallint": [-32768, -1, 0, 1, 32767, None],
    "integer": [-(2**31), -1, 0, 99, 2**31 - 1, None],
    "bigint": [-(2**63), -150, 0, 2**63 - 1, None],
    "sales.cents": [0, 12345, None],
    "sales.never_null": [7],
    "numeric": ["NaN", "-0.5", "0", "123456789012345678901234567890.99", "Infinity", None],
    "numeric(4,2)": ["-99.99", "0.01", "99.99", None],
    "real": ["NaN", "-Infinity", "1.5", "3.4e38", None],
    "double precision": ["NaN", "Infinity", "-1.5", "1.7976931348623157e308", None],
    "boolean": ["true", "false", None],
    "date": ["infinity", "-infinity", "4714-11-24 BC", "1990-07-16", "5874897-12-31", None],
    "timestamp": ["infinity", "4714-11-24 00:00 BC", "1990-07-16 12:34:56", "294276-12-31", None],
    "timestamptz(3)": ["-infinity", "1990-07-01 00:30+02", "294276-12-30 00:00+00", None],
    "uuid": ["0b9f1c8e-2e4e-4d0c-9a44-6a7d3f3c9b11", None],
    "bytea": ["\\x00ff", "", None],
    "jsonb": ['{"a": {"mail": "x@y.zz"}, "l": [{"mail": "q@r.ss"}]}', "[1]", '"x"', "null", None],
    "json": [
        '{"a": {"mail": "x@y.zz"}}',
        r'{"a": {"mail": "\u0000secret"}}',
        r'{"a": "\ud800"}',
        '{"n": 1e999999}',
        "[]",
        None,
    ],
    "sales.document": ['{"a": {"mail": "x@y.zz"}}', None],
    "money": ["12.34", None],
    "text[]": ["{a,b}", None],
    "sales.pair": ["(1,x)", None],
    "inet": ["10.0.0.1", None],
    "point": ["(1,2)", None],
    "interval": ["1 day", None],
    "int4range": ["[1,5)", None],
    "tsvector": ["a b", None],
}
_MASKS: dict[str, Mask] = {
    "full": FullMask(),
    "nothing": NullMask(),
    "partial": PartialMask(1, 1),
    "email": EmailMask(),
    "hash": HashMask(),
    "month": DateMask("month"),
    "range": RangeMask(100),
    "constant": ConstantMask("hidden"),
    "number": ConstantMask("0"),
    "regex": RegexMask("[0-9]", "#"),
    "json": JsonMask((("a.mail", EmailMask()), ("l[].mail", FullMask()))),
}


async def _make(shop: Shop, types: dict[str, list[object]]) -> dict[str, str]:
    """Make a table with one column a type and one row an edge; return its columns by type."""
    columns = {f"c{i}": spelled for i, spelled in enumerate(types)}
    shop.owner(_TYPES)
    definitions = ", ".join(f"{name} {spelled}" for name, spelled in columns.items())
    shop.owner(f"create table sales.values (line int, {definitions})")
    filler = {n: "7" for n, spelled in columns.items() if spelled == "sales.never_null"}
    for name, spelled in columns.items():
        for line, value in enumerate(types[spelled]):
            given = {**filler, name: value}
            names = ", ".join(given)
            marks = ", ".join("%s" for _ in given)
            shop.superuser(
                f"insert into sales.values (line, {names}) values ({line}, {marks})",
                *given.values(),
            )
    return columns


@pytest.mark.parametrize("kind", _MASKS)
async def test_no_value_makes_a_mask_fail_or_shows(shop: Shop, kind: str) -> None:
    columns = await _make(shop, _EDGES)
    mask = _MASKS[kind]
    relation = ScopedRelation(
        VALUES, READS, (ScopedColumn("line"), *(ScopedColumn(n, mask) for n in columns))
    )
    plan = await shop.applied(relation)
    known = (await shop.catalog()).relation(VALUES)
    assert known is not None
    async with shop.session(plan) as session:
        for name, spelled in columns.items():
            result = await session.execute(
                f"select {name}, pg_typeof({name})::text from values where {name} is not null"
            )
            assert result.sqlstate == "", (spelled, result.error)
            column = known.column(name)
            assert column is not None
            [(made,)] = shop.superuser(
                "set search_path = pg_catalog; select format_type(a.atttypid, a.atttypmod)"
                " from pg_attribute as a"
                f" where a.attrelid = '{plan.view_schema('sales')}.values'::regclass"
                f" and a.attname = '{name}'"
            )
            assert made == masked_type(mask, column), spelled
            for sort in (f"order by {name}", f"group by {name}") if kind == "full" else ():
                if spelled in ("json", "point"):
                    continue
                tried = await session.execute(f"select {name} from values {sort}")
                assert tried.sqlstate == "", (spelled, tried.error)
            if kind in ("full", "nothing"):
                shown = {row[0] for row in result.rows}
                assert shown <= {"***", "***     "}, spelled


async def _shown(shop: Shop, mask: Mask, spelled: str, values: list[object]) -> list[str | None]:
    """Return what a mask makes of some values of a type."""
    await _make(shop, {spelled: values})
    plan = await shop.applied(
        ScopedRelation(VALUES, READS, (ScopedColumn("line"), ScopedColumn("c0", mask)))
    )
    async with shop.session(plan, settings=(("timezone", "Pacific/Auckland"),)) as session:
        result = await session.execute("select c0 from values order by line")
        assert result.sqlstate == "", result.error
        return [row[0] for row in result.rows]


async def test_full(shop: Shop) -> None:
    assert await _shown(shop, FullMask(), "text", ["", "secret", None]) == ["***", "***", None]


async def test_partial_hides_short_values_and_lengths(shop: Shop) -> None:
    values: list[object] = ["", "a", "abcd", "abcde", "abcdefghij", None]
    assert await _shown(shop, PartialMask(1, 1), "text", values) == [
        "***",
        "***",
        "***",
        "a***e",
        "a***j",
        None,
    ]


async def test_partial_of_one_side(shop: Shop) -> None:
    values: list[object] = ["12345678", "123456789"]
    assert await _shown(shop, PartialMask(0, 4), "text", values) == ["***", "***6789"]


async def test_email(shop: Shop) -> None:
    cases: dict[object, str] = {
        "ivo@example.com": "i***@***.com",
        "i@x.co.uk": "i***@***.uk",
        "é@x.org": "é***@***.org",
        "no address": "***",
        "no.address": "***",
        "first.last@localhost": "***",
        "@x.com": "***",
        "a@b": "***",
        "a@b.c1": "***",
        "write to a@b.de about it": "***",
        "a@b." + "x" * 25: "a***@***." + "x" * 24,
    }
    assert await _shown(shop, EmailMask(), "text", list(cases)) == list(cases.values())


async def test_email_keeps_the_columns_type(shop: Shop) -> None:
    assert await _shown(shop, EmailMask(), "varchar(60)", ["a@b.cd"]) == ["a***@***.cd"]


async def test_hash_is_keyed_by_the_database_and_equal_for_equal_values(shop: Shop) -> None:
    shown = await _shown(shop, HashMask(), "text", ["jane", "joe", "jane", None, "", "x" * 300])
    assert shown[0] == shown[2] != shown[1]
    assert shown[3] is None
    [(pad,)] = shop.superuser("select ipad from daypass.pads")
    assert isinstance(pad, bytes)
    assert len(pad) == 64
    assert len(set(pad)) > 30
    for value, given in ((shown[0], b"jane"), (shown[4], b""), (shown[5], b"x" * 300)):
        # Half of it: what is kept back is what somebody would need to go on from it.
        assert value == hashlib.sha512(pad + given).digest()[:32].hex()


async def test_hashed_keys_of_different_widths_join(shop: Shop) -> None:
    shop.owner(
        "create table sales.a (k int); create table sales.b (k bigint);"
        " insert into sales.a values (7); insert into sales.b values (7)"
    )
    plan = await shop.applied(
        *(
            ScopedRelation(RelationName("sales", t), READS, (ScopedColumn("k", HashMask()),))
            for t in ("a", "b")
        )
    )
    async with shop.session(plan) as session:
        joined = await session.execute("select count(*) from a join b using (k)")
        assert joined.rows == (("1",),)
        # The pads are out of the session's reach, and no function hashes for it.
        assert (await session.execute("select * from daypass.pads")).sqlstate == "42501"


async def test_a_hashed_uuid_stays_one(shop: Shop) -> None:
    given = "0b9f1c8e-2e4e-4d0c-9a44-6a7d3f3c9b11"
    [shown] = await _shown(shop, HashMask(), "uuid", [given])
    assert shown is not None
    assert len(shown) == 36
    assert shown != given


async def test_dates_are_cut_whatever_the_time_zone(shop: Shop) -> None:
    # In Auckland it is April already.
    assert await _shown(shop, DateMask("month"), "timestamptz", ["1990-03-31 20:00+00"]) == [
        "1990-03-01 13:00:00+13"
    ]


@pytest.mark.parametrize(
    ("spelled", "unit", "expected"),
    [
        ("date", "month", ["1990-07-01", None]),
        ("date", "year", ["1990-01-01", None]),
        ("timestamp", "year", ["1990-01-01 00:00:00", None]),
        ("text", "year", ["1990", "***"]),
    ],
)
async def test_dates(shop: Shop, spelled: str, unit: str, expected: list[str | None]) -> None:
    values: list[object] = ["1990-07-16", "infinity"]
    assert await _shown(shop, DateMask(unit), spelled, values) == expected


@pytest.mark.parametrize(
    ("spelled", "values", "expected"),
    [
        (
            "integer",
            [-150, -100, -1, 0, 99, 100, None],
            ["-200", "-100", "-100", "0", "0", "100", None],
        ),
        ("smallint", [-32768], ["-32768"]),
        ("numeric", ["-0.5", "NaN", "250.75"], ["-100.0", "NaN", "200"]),
        ("numeric(4,2)", ["-99.99", "99.99"], ["-100", "0"]),
        ("double precision", ["-1.5", "250.7", "1e300"], ["-100", "200", None]),
        ("text", ["123"], ["***"]),
    ],
)
async def test_ranges(
    shop: Shop, spelled: str, values: list[object], expected: list[str | None]
) -> None:
    shown = await _shown(shop, RangeMask(100), spelled, values)
    assert [None if s is None else s.removesuffix(".00") for s in shown] == expected


@pytest.mark.parametrize("step", [7, 2**31 - 1, 2**40])
@pytest.mark.parametrize(("kind", "bits"), [("smallint", 15), ("integer", 31), ("bigint", 63)])
async def test_ranges_of_integers_to_the_ends_of_their_type(
    shop: Shop, kind: str, bits: int, step: int
) -> None:
    low, high = -(2**bits), 2**bits - 1
    values = [low, low + 1, low + step, -step - 1, -step, -1, 0, 1, step - 1, step, high - 1, high]
    given: list[object] = [each for each in values if low <= each <= high]
    shown = await _shown(shop, RangeMask(step), kind, [*given, None])
    expected = [max(int(str(each)) // step * step, low) for each in given]
    assert shown == [*map(str, expected), None]


async def test_regex_hides_what_does_not_match(shop: Shop) -> None:
    values: list[object] = ["room 12", "no number", "a\nb 7"]
    assert await _shown(shop, RegexMask("[0-9]+", "#"), "text", values) == [
        "room #",
        "***",
        "a\nb #",
    ]


async def test_constant(shop: Shop) -> None:
    assert await _shown(shop, ConstantMask("it's"), "text", ["x", None]) == ["it's", None]


async def test_json_paths(shop: Shop) -> None:
    mask = JsonMask(
        (
            ("mail", EmailMask()),
            ("a.b", FullMask()),
            ("list[].mail", ConstantMask("x")),
            ("every.*", FullMask()),
            ("age", RangeMask(10)),
            ("born", DateMask("year")),
            ("deep[][].v", NullMask()),
        )
    )
    values: list[object] = [
        json.dumps(
            {
                "mail": "ivo@example.com",
                "a": {"b": {"c": "secret"}, "kept": 1},
                "list": [{"mail": "q", "kept": 2}, {"kept": 3}],
                "every": {"x": "s1", "y": ["s2"]},
                "age": 47,
                "born": "1990-07-16",
                "deep": [[{"v": "s3"}]],
                "kept": "clear",
            }
        ),
        json.dumps({"mail": None, "a": "secret", "list": {"mail": "secret"}, "age": "47"}),
        json.dumps({"mail": ["secret"], "every": "secret", "born": "July", "list": ["secret"]}),
        json.dumps({"kept": {}}),
        json.dumps("secret"),
        json.dumps(["secret"]),
        None,
    ]
    shown = await _shown(shop, mask, "jsonb", values)
    assert [None if s is None else json.loads(s) for s in shown] == [
        {
            "mail": "i***@***.com",
            "a": {"b": "***", "kept": 1},
            "list": [{"mail": "x", "kept": 2}, {"kept": 3}],
            "every": {"x": "***", "y": "***"},
            "age": 40,
            "born": "1990",
            "deep": [[{"v": None}]],
            "kept": "clear",
        },
        {"mail": None, "a": "***", "list": "***", "age": "***"},
        {"mail": "***", "every": "***", "born": "***", "list": ["***"]},
        {"kept": {}},
        "***",
        "***",
        None,
    ]


async def test_json_that_jsonb_cannot_hold_is_hidden(shop: Shop) -> None:
    mask = JsonMask((("a", FullMask()),))
    values: list[object] = [r'{"b": "\u0000secret"}', '{"a": 1, "b": "\\u00e9"}', '{"b": 1e99999}']
    shown = await _shown(shop, mask, "json", values)
    assert [json.loads(str(s)) for s in shown] == ["***", {"a": "***", "b": "é"}, "***"]


async def test_predicates_see_masked_values_only(shop: Shop) -> None:
    await _make(shop, {"text": ["secret", "other"]})
    plan = await shop.applied(
        ScopedRelation(VALUES, READS, (ScopedColumn("line"), ScopedColumn("c0", FullMask())))
    )
    async with shop.session(plan) as session:
        for statement in (
            "select count(*) from values where c0 = 'secret'",
            "select count(*) from values where c0 like 's%'",
            "select count(*) from values v where v::text like '%secret%'",
            "select count(*) from values v where row_to_json(v)::text like '%secret%'",
        ):
            assert (await session.execute(statement)).rows == (("0",),), statement
        probe = await session.execute("select c0::int from values")
        assert probe.sqlstate == "22P02"
        assert "secret" not in probe.error
