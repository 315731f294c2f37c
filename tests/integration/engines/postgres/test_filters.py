"""Row filters on a real server: values as literals, and nothing hidden coming out."""

from __future__ import annotations

import pytest

from daypass.domain.masks import FullMask
from daypass.domain.scope import LiteralValue, RowFilter
from tests.integration.engines.postgres.conftest import CUSTOMERS, WRITES, Shop, customers


async def _ids(shop: Shop, *filters: RowFilter) -> list[int]:
    plan = await shop.applied(customers(filters=filters))
    assert plan.left_out == ()
    async with shop.session(plan) as session:
        result = await session.execute("select id from customers order by id")
        assert result.sqlstate == "", result.error
        return [int(str(row[0])) for row in result.rows]


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("id = {1}", (7,), [7]),
        ("id < {1} and id > {2}", (4, -5), [1, 2, 3]),
        ("name = {1}", ("Name 7",), [7]),
        ("name = {1}", ("' or true --",), []),
        ("name = {1}", ("\\' or true --",), []),
        ("name = {1} or id = {2}", ("{2}", 3), [3]),
        ("name = '{1}' or id = {1}", (3,), [3]),
        ("region = {1} and id < 4", ("EU",), [2]),
        ("region = any ({1}) and id < 4", (("EU", "US"),), [1, 2, 3]),
        ("region = any ({1})", ((),), []),
        ("id = any ({1})", ((1, 2, 5000),), [1, 2]),
        ("name = any ({1})", (('x"', "a,b", "Name 1", "back\\slash"),), [1]),
        ("salary = {1}", (1003.5,), [3]),
        ("(profile ->> 'likes' = {1}) = {2} and id = 1", ("tea", True), [1]),
        ("born < {1}", ("1990-01-18",), [1, 2]),
        ("id = 1 or name is null or {1} is null and id = 2", (None,), [1, 2]),
        ("pg_catalog.length(name) = {1} and id in (1, 10)", (6,), [1]),
    ],
)
async def test_values_are_literals(
    shop: Shop, text: str, values: tuple[LiteralValue, ...], expected: list[int]
) -> None:
    assert await _ids(shop, RowFilter(text, values, "rule")) == expected


async def test_filters_are_anded_and_kept_apart(shop: Shop) -> None:
    two = (RowFilter("id = 1 or id = 2", (), "a"), RowFilter("id = 2 or id = 3", (), "b"))
    assert await _ids(shop, *two) == [2]


async def test_a_narrowing_filter_is_a_comparison(shop: Shop) -> None:
    assert await _ids(shop, RowFilter("id between 3 and 4 and name like 'Name%'")) == [3, 4]


@pytest.mark.parametrize(
    "text",
    [
        "email = 'user1@example.com'",
        "id in (select id from sales.notes)",
        "pg_catalog.pg_sleep(1) is null",
        "nowhere = 1",
        "true) or (true",
        "id = 1; drop table sales.notes",
    ],
)
async def test_what_narrowing_must_not_say_leaves_the_relation_out(shop: Shop, text: str) -> None:
    plan = await shop.plan(customers(email=FullMask(), filters=(RowFilter(text),)))
    assert plan.relation(CUSTOMERS) is None
    [left_out] = plan.left_out
    assert left_out.code in ("invalid_filter", "filter_on_masked")
    assert (left_out.code == "filter_on_masked") == text.startswith("email")


async def test_policy_may_filter_by_a_masked_column(shop: Shop) -> None:
    plan = await shop.applied(
        customers(
            WRITES,
            email=FullMask(),
            filters=(RowFilter("email = {1}", ("user2@example.com",), "r"),),
        )
    )
    async with shop.session(plan) as session:
        result = await session.execute("select id, email from customers")
        assert result.rows == (("2", "***"),)


async def test_hidden_rows_stay_hidden(shop: Shop) -> None:
    """Try what shows a hidden row when a filter is no barrier or an error tells of it."""
    plan = await shop.applied(
        customers(WRITES, filters=(RowFilter("region = {1}", ("EU",), "own region"),))
    )
    async with shop.session(plan) as session:
        for statement in (
            "select * from customers where 1 / (id - 3) > 0",
            "select * from customers where name::int > 0 and name = 'Name 1'",
            "update customers set name = name where 1 / (id - 3) > 0",
            "delete from customers where 1 / (id - 3) > 5",
            "select * from customers c where exists (select from customers d where d.id = 3)",
        ):
            result = await session.execute(statement)
            assert result.sqlstate in ("", "22P02"), statement
            assert "Name 1" not in result.error.split()
        everything = await session.execute("select table_to_xml('customers', true, false, '')")
        if everything.sqlstate == "":
            assert "US" not in str(everything.rows)
