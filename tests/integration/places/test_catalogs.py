"""Catalogs are kept in versions, and what changed is told."""

import asyncio

import pytest

from daypass.domain.catalog import ColumnName, RelationName
from daypass.domain.errors import Denied, Unavailable
from daypass.operations.apply_tags import TagChange, apply_tags
from daypass.operations.database_facts import load_facts
from daypass.operations.sync_catalog import sync_catalog
from daypass.store.catalogs import list_versions, prune_versions
from tests.integration.places.conftest import Place

ORDERS = RelationName("sales", "orders")
NOTES = ColumnName(ORDERS, "gift_note")


async def test_an_unchanged_catalog_makes_no_version_and_no_entry(place: Place) -> None:
    before = await place.entries("catalog.synced")
    outcome = await sync_catalog(place.ctx, None, place.shop)
    assert not outcome.changed
    assert outcome.version == 1
    assert await place.entries("catalog.synced") == before


async def test_a_migration_is_told_in_full(place: Place) -> None:
    ctx, company = place.ctx, place.company
    jobs = await place.jobs("recompile_grants")
    company.sql("alter table sales.orders add column gift_note text")
    company.sql("create table sales.vouchers (code text)")
    try:
        outcome = await sync_catalog(ctx, place.owner, place.shop)
        assert outcome.changed
        assert outcome.difference.added_columns == (NOTES,)
        assert outcome.difference.added_relations == (RelationName("sales", "vouchers"),)
        assert await place.jobs("recompile_grants") == jobs + 1
        async with ctx.store.transaction() as tx:
            facts = await load_facts(tx, place.shop)
            assert [v.version for v in await list_versions(tx, place.shop)] == [2, 1]
        assert facts.catalog_version == 2
        assert NOTES not in facts.tags.classified
        company.sql("alter table sales.orders alter column gift_note type varchar(40)")
        outcome = await sync_catalog(ctx, place.owner, place.shop)
        assert outcome.difference.retyped_columns == (NOTES,)
    finally:
        company.sql("alter table sales.orders drop column gift_note")
        company.sql("drop table sales.vouchers")
    outcome = await sync_catalog(ctx, place.owner, place.shop)
    assert outcome.difference.removed_columns == (NOTES,)
    assert outcome.difference.removed_relations == (RelationName("sales", "vouchers"),)
    entry = (await place.entries("catalog.synced"))[-1]
    assert entry["removed_columns"] == ["sales.orders.gift_note"]


async def test_a_column_that_comes_back_is_unclassified_but_keeps_its_tags(place: Place) -> None:
    ctx, company = place.ctx, place.company
    company.sql("alter table sales.orders add column gift_note text")
    try:
        await sync_catalog(ctx, None, place.shop)
        change = TagChange(ORDERS, "gift_note", frozenset({"pii.free_text"}))
        await apply_tags(ctx, place.owner, place.shop, [change])
        company.sql("alter table sales.orders drop column gift_note")
        outcome = await sync_catalog(ctx, None, place.shop)
        assert outcome.stale == (NOTES,)
        company.sql("alter table sales.orders add column gift_note text")
        outcome = await sync_catalog(ctx, None, place.shop)
        assert outcome.stale == ()
        async with ctx.store.transaction() as tx:
            facts = await load_facts(tx, place.shop)
        assert facts.tags.columns[NOTES] == {"pii.free_text"}
        assert NOTES not in facts.tags.classified
    finally:
        company.sql("alter table sales.orders drop column if exists gift_note")


async def test_many_at_once_make_one_version(place: Place) -> None:
    place.company.sql("create table sales.flash_sales (id int)")
    try:
        outcomes = await asyncio.gather(
            *(sync_catalog(place.ctx, None, place.shop) for _ in range(4))
        )
    finally:
        place.company.sql("drop table sales.flash_sales")
    assert {outcome.version for outcome in outcomes} == {2}
    assert sum(outcome.changed for outcome in outcomes) == 1


async def test_old_versions_go_and_those_grants_rest_on_stay(place: Place) -> None:
    for number in range(3):
        place.company.sql(f"create table sales.pruned_{number} (id int)")
    try:
        await sync_catalog(place.ctx, None, place.shop)
    finally:
        for number in range(3):
            place.company.sql(f"drop table sales.pruned_{number}")
    await sync_catalog(place.ctx, None, place.shop)
    async with place.ctx.store.transaction() as tx:
        assert await prune_versions(tx, place.shop, keep=1) == 2
        assert [v.version for v in await list_versions(tx, place.shop)] == [3]
        assert (await load_facts(tx, place.shop)).catalog_version == 3


async def test_an_instance_that_is_away_leaves_its_error_and_the_old_catalog(place: Place) -> None:
    await place.rows("update instance set port = 1, revision = revision + 1 returning id")
    with pytest.raises(Unavailable):
        await sync_catalog(place.ctx, place.admin, place.shop)
    ((error, last),) = await place.rows(
        "select d.sync_error, i.last_error from database d join instance i on i.id = d.instance_id"
        " where d.id = %s",
        place.shop,
    )
    assert error
    assert last
    async with place.ctx.store.transaction() as tx:
        assert (await load_facts(tx, place.shop)).catalog.relations


async def test_a_member_cannot_sync(place: Place) -> None:
    with pytest.raises(Denied, match="owner"):
        await sync_catalog(place.ctx, place.member, place.shop)
