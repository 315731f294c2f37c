"""What a target tells of itself: catalogs, samples, clocks, standing logins; what texts mean."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daypass.domain.catalog import RelationKind
from daypass.domain.errors import Invalid
from daypass.domain.masks import FullMask
from daypass.domain.scope import RowFilter
from daypass.engines.contract import Verdict
from tests.contract.conftest import CUSTOMERS, C, World


async def test_the_catalog_has_relations_columns_and_types(here: World) -> None:
    catalog = await here.target.read_catalog(here.database)
    assert catalog.engine == here.engine.name
    assert catalog.server_version
    known = catalog.relation(here.under_test.relation("customers"))
    assert known is not None
    assert known.kind is RelationKind.TABLE
    assert tuple(column.name for column in known.columns) == CUSTOMERS
    families = {column.name: column.type_family for column in known.columns}
    assert families == {
        "id": "integer",
        "name": "text",
        "email": "text",
        "region": "text",
        "born": "date",
        "salary": "decimal",
    }
    assert [column.name for column in known.columns if column.primary_key] == ["id"]
    assert {column.name for column in known.columns if column.not_null} == {"id", "name", "region"}


async def test_the_catalog_is_steady_and_does_not_show_daypass(here: World) -> None:
    first = await here.target.read_catalog(here.database)
    plan = await here.applied(here.customers(email=FullMask()))
    await here.open(plan)
    assert await here.target.read_catalog(here.database) == first


async def test_databases_are_listed(here: World) -> None:
    assert here.database in await here.target.databases()


async def test_samples_are_texts(here: World) -> None:
    rows = await here.target.sample(
        here.database, here.under_test.relation("customers"), ("email", "born"), 5
    )
    assert len(rows) == 5
    assert all(email is not None and email.endswith("@example.com") for email, _ in rows)


async def test_the_clock_is_measured(here: World) -> None:
    assert abs(await here.target.clock_offset()) < timedelta(seconds=2)


async def test_the_admin_is_judged(here: World) -> None:
    found = await here.target.check_admin(here.database)
    assert [each for each in found if each.blocks] == []


async def test_standing_logins_are_scored_and_accounts_are_none(here: World) -> None:
    plan = await here.applied(here.notes())
    session = await here.open(plan)
    logins = await here.target.standing_logins()
    assert session.account not in {each.name for each in logins}
    admin = next(each for each in logins if each.name == here.under_test.address().admin_user)
    assert 0 <= admin.score <= 100
    assert admin.kind


async def test_exposures_are_of_the_catalog_alone(here: World) -> None:
    catalog = await here.target.read_catalog(here.database)
    sensitive = frozenset({here.under_test.relation("customers")})
    assert here.engine.exposures(catalog, sensitive) == here.engine.exposures(catalog, sensitive)


async def test_row_filters_are_checked(here: World) -> None:
    catalog = await here.target.read_catalog(here.database)
    customers = here.under_test.relation("customers")

    def problem(text: str, *values: str, narrowing: bool = False) -> str | None:
        row_filter = RowFilter(text, values, None if narrowing else "a rule")
        return here.engine.check_row_filter(row_filter, customers, catalog, narrowing=narrowing)

    assert problem("region = {1}", "EU") is None
    assert problem("id > 7 and region in ('EU', 'US')", narrowing=True) is None
    for text in ("missing = 1", "region = ", "1 = 1; drop table customers", "id in (select 1)"):
        assert problem(text, narrowing=True), text


async def test_statements_are_read_for_what_they_do(here: World) -> None:
    [select] = here.engine.statement_facts("select name from customers where id = 1")
    assert select.classes == {C.SELECT}
    assert [each.name for each in select.read] == ["customers"]
    assert select.written == frozenset()
    [again] = here.engine.statement_facts("select name from customers where id = 2")
    assert again.fingerprint == select.fingerprint
    first, second = here.engine.statement_facts("delete from notes; update notes set body = 'x'")
    assert first.classes == {C.DELETE}
    assert C.UPDATE in second.classes
    with pytest.raises(Invalid):
        here.engine.statement_facts(here.under_test.dialect.nonsense)


async def test_texts_are_prepared_or_denied_with_what_is_missing(here: World) -> None:
    plan = await here.applied(here.customers(C.SELECT))
    schema = here.under_test.schema
    ready = here.engine.prepare(f"select name from {schema}.customers where id = 3", plan)
    assert ready.verdict is Verdict.FORWARD
    session = await here.open(plan)
    assert await here.rows(session, ready.text) == [("Name 3",)]
    other = here.engine.prepare(f"select * from {schema}.notes", plan)
    assert other.verdict is Verdict.DENY
    assert other.missing == (here.under_test.relation("notes"),)
    assert other.reason
    write = here.engine.prepare(f"delete from {schema}.customers", plan)
    assert write.verdict is Verdict.DENY
    assert write.missing_classes == {C.DELETE}
