"""Scopes: what they allow and deny, hide and filter, and that nothing is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from daypass.domain.catalog import RelationName
from daypass.domain.errors import Conflict
from daypass.domain.ids import ScopeHash
from daypass.domain.masks import (
    ConstantMask,
    DateMask,
    EmailMask,
    FullMask,
    HashMask,
    Mask,
    NullMask,
    PartialMask,
    RangeMask,
    RegexMask,
)
from daypass.domain.scope import RowFilter, Scope, ScopedColumn, ScopedRelation
from daypass.engines.contract import Target
from tests.contract.adapter import Why
from tests.contract.conftest import READS, C, World

EUROPE = (RowFilter("region = {1}", ("EU",), "own region"),)


async def test_a_scope_shows_its_relations_and_no_others(here: World) -> None:
    session = await here.open(await here.applied(here.customers()))
    assert await here.rows(session, "select count(*) from customers") == [("100",)]
    assert await here.rows(session, "select name from customers where id = 7") == [("Name 7",)]
    assert await here.why(session, "select * from notes") is Why.DENIED
    schema = here.under_test.schema
    for name in ("customers", "notes"):
        assert await here.why(session, f"select * from {schema}.{name}") is Why.DENIED


async def test_classes_are_what_the_session_may_do(here: World) -> None:
    plan = await here.applied(here.notes(C.SELECT, C.INSERT))
    session = await here.open(plan)
    await here.rows(session, "insert into notes (id, customer, body) values (11, 1, 'new')")
    assert await here.rows(session, "select body from notes where id = 11") == [("new",)]
    for statement in ("update notes set body = 'x'", "delete from notes"):
        assert await here.why(session, statement) is Why.DENIED
    assert await here.why(session, "insert into customers (id) values (1)") is Why.DENIED
    reader = await here.open(await here.applied(here.notes()))
    denied = "insert into notes (id, customer, body) values (12, 1, 'x')"
    assert await here.why(reader, denied) is Why.DENIED


@pytest.mark.parametrize(
    ("column", "mask", "shown"),
    [
        ("email", FullMask(), "***"),
        ("email", NullMask(), None),
        ("email", EmailMask(), "u***@***.com"),
        ("email", PartialMask(1, 3), "u***com"),
        ("email", ConstantMask("hidden"), "hidden"),
        ("email", RegexMask("[0-9]+", "#"), "user#@example.com"),
        ("born", DateMask("year"), "1990-01-01"),
        ("salary", RangeMask(1000), "1000.00"),
        ("salary", NullMask(), None),
    ],
)
async def test_masks_hide(here: World, column: str, mask: Mask, shown: str | None) -> None:
    masks = {column: mask}
    session = await here.open(await here.applied(here.customers(filters=(), **masks)))
    found = await here.rows(session, f"select {column} from customers where id = 42")
    assert found == [(shown,)]
    whole = await here.rows(session, "select * from customers where id = 42")
    assert "user42@example.com" not in whole[0] or column != "email"
    assert await here.rows(session, "select name from customers where id = 42") == [("Name 42",)]


async def test_hashes_are_equal_for_equal_values_and_tell_no_other(here: World) -> None:
    session = await here.open(await here.applied(here.customers(email=HashMask(), name=HashMask())))
    [(email, again, name)] = await here.rows(
        session,
        "select a.email, b.email, a.name from customers a join customers b on a.id = b.id"
        " where a.id = 1",
    )
    assert email == again
    assert email != name
    assert "user1" not in (email or "")
    assert await here.rows(session, "select count(distinct email) from customers") == [("100",)]


async def test_a_condition_on_a_masked_column_sees_the_mask(here: World) -> None:
    session = await here.open(await here.applied(here.customers(email=FullMask())))
    guess = "select count(*) from customers where email = 'user42@example.com'"
    assert await here.rows(session, guess) == [("0",)]
    assert await here.rows(session, "select count(distinct email) from customers") == [("1",)]


async def test_filters_hide_rows(here: World) -> None:
    session = await here.open(await here.applied(here.customers(filters=EUROPE)))
    assert await here.rows(session, "select count(*) from customers") == [("50",)]
    assert await here.rows(session, "select id from customers where id = 1") == []
    assert await here.rows(session, "select max(id) from customers where region <> 'EU'") == [
        (None,)
    ]


async def test_writes_stay_within_the_filter(here: World) -> None:
    plan = await here.applied(here.customers(C.SELECT, C.UPDATE, C.DELETE, filters=EUROPE))
    session = await here.open(plan)
    changed = await session.execute("update customers set name = 'x' where id in (1, 2)")
    assert (changed.sqlstate, changed.row_count) == ("", 1)
    moved = "update customers set region = 'US' where id = 2"
    assert await here.why(session, moved) is Why.OUTSIDE
    gone = await session.execute("delete from customers where id in (3, 4)")
    assert gone.row_count == 1
    inserting = await here.open(
        await here.applied(here.customers(C.SELECT, C.INSERT, filters=EUROPE))
    )
    values = "insert into customers (id, name, region) values"
    assert await here.why(inserting, f"{values} (201, 'n', 'US')") is Why.OUTSIDE
    await here.rows(inserting, f"{values} (202, 'n', 'EU')")
    schema = here.under_test.schema
    names = here.under_test.owner(
        f"select id, name from {schema}.customers where id in (1, 2, 3, 4, 201, 202) order by id"
    )
    assert names == [("1", "Name 1"), ("2", "x"), ("3", "Name 3"), ("202", "n")]


async def test_a_masked_column_cannot_be_written(here: World) -> None:
    session = await here.open(
        await here.applied(here.customers(C.SELECT, C.UPDATE, email=FullMask()))
    )
    assert await here.why(session, "update customers set email = 'x'") is Why.NOT_WRITABLE
    shown = await here.rows(
        session, "update customers set name = 'n' where id = 1 returning name, email"
    )
    assert shown == [("n", "***")]


async def test_what_is_not_there_is_left_out_with_a_reason(here: World) -> None:
    gone = ScopedRelation(
        RelationName(here.under_test.schema, "gone"), READS, (ScopedColumn("id"),)
    )
    plan = await here.plan(here.notes(), gone)
    assert [(each.code, each.name) for each in plan.left_out] == [("gone", str(gone.name))]
    assert all(each.reason for each in plan.left_out)
    await here.target.apply(plan)
    session = await here.open(plan)
    assert await here.rows(session, "select count(*) from notes") == [("10",)]


async def test_plans_are_content_addressed(here: World) -> None:
    first = await here.plan(here.customers(email=FullMask()))
    assert (await here.plan(here.customers(email=FullMask()))).scope_hash == first.scope_hash
    others = {
        (await here.plan(each)).scope_hash
        for each in (
            here.customers(),
            here.customers(email=NullMask()),
            here.customers(C.SELECT, C.UPDATE, email=FullMask()),
            here.customers(email=FullMask(), filters=EUROPE),
            here.notes(),
        )
    }
    assert len(others) == 5
    assert first.scope_hash not in others
    assert first.describe()
    assert first.database == here.database


async def test_applying_and_removing_twice_is_the_same_as_once(here: World) -> None:
    target = here.target
    first = await here.applied(here.notes())
    # For good: what Daypass keeps in a database it manages.
    await target.remove_scope(here.database, first.scope_hash)
    before = here.under_test.footprint()
    plan = await here.applied(here.customers(email=FullMask(), filters=EUROPE), here.notes())
    made = here.under_test.footprint()
    assert made != before
    await target.apply(plan)
    assert here.under_test.footprint() == made
    assert (await target.verify(plan)).problems == ()
    for _ in range(2):
        await target.remove_scope(here.database, plan.scope_hash)
        assert here.under_test.footprint() == before
    assert [each.code for each in (await target.verify(plan)).problems] != []


async def test_two_appliers_at_once_make_it_once(
    here: World, targets: Callable[[str], Target]
) -> None:
    others = [targets("test") for _ in range(3)]
    plan = await here.plan(here.customers(email=FullMask()), here.notes())
    await asyncio.gather(here.target.apply(plan), *(each.apply(plan) for each in others))
    assert (await here.target.verify(plan)).problems == ()
    inventory = await here.target.inventory()
    assert inventory.scopes == {(here.database, plan.scope_hash)}
    await asyncio.gather(
        *(each.remove_scope(here.database, plan.scope_hash) for each in (here.target, *others))
    )
    assert (await here.target.inventory()).scopes == frozenset()


async def test_different_scopes_at_once_do_not_hinder_each_other(here: World) -> None:
    plans = [
        await here.plan(here.customers(email=mask))
        for mask in (None, FullMask(), NullMask(), EmailMask(), HashMask(), ConstantMask("x"))
        if mask is not None
    ]
    await asyncio.gather(*(here.target.apply(plan) for plan in plans))
    for plan in plans:
        assert (await here.target.verify(plan)).problems == ()
    await asyncio.gather(
        *(here.target.remove_scope(here.database, plan.scope_hash) for plan in plans)
    )


async def test_sessions_of_two_scopes_see_their_own(here: World) -> None:
    masked = await here.open(await here.applied(here.customers(email=FullMask())))
    clear = await here.open(await here.applied(here.customers()))
    query = "select email from customers where id = 5"
    assert await here.rows(masked, query) == [("***",)]
    assert await here.rows(clear, query) == [("user5@example.com",)]


async def test_a_catalog_that_changed_since_is_noticed(here: World) -> None:
    plan = await here.plan(here.customers())
    here.under_test.owner(f"alter table {here.under_test.schema}.customers drop column born")
    with pytest.raises(Conflict) as caught:
        await here.target.apply(plan)
    assert caught.value.detail_code == "catalog_changed"
    assert (await here.target.inventory()).scopes == frozenset()


async def test_a_scope_that_is_gone_lets_its_sessions_see_nothing(here: World) -> None:
    plan = await here.applied(here.customers())
    session = await here.open(plan)
    await here.target.remove_scope(here.database, plan.scope_hash)
    assert await here.why(session, "select * from customers") in (Why.DENIED, Why.ENDED)


async def test_what_another_installation_made_is_left_alone(
    here: World, targets: Callable[[str], Target]
) -> None:
    plan = await here.applied(here.notes())
    theirs = targets("another")
    with pytest.raises(Conflict) as caught:
        await theirs.apply(plan)
    assert caught.value.detail_code == "other_installation"
    with pytest.raises(Conflict):
        await theirs.remove_scope(here.database, plan.scope_hash)
    assert (await here.target.verify(plan)).problems == ()
    seen = await theirs.inventory()
    assert seen.scopes == frozenset()
    assert seen.strangers != ()


async def test_removing_what_never_was_is_no_error(here: World) -> None:
    await here.applied(here.notes())
    await here.target.remove_scope(here.database, ScopeHash("0" * 16))


async def test_an_empty_scope_opens_nothing_by_mistake(here: World) -> None:
    catalog = await here.target.read_catalog(here.database)
    plan = here.engine.compile(Scope(READS, ()), catalog, here.database)
    await here.target.apply(plan)
    session = await here.open(plan)
    for name in ("customers", "notes", f"{here.under_test.schema}.customers"):
        assert await here.why(session, f"select * from {name}") is Why.DENIED
