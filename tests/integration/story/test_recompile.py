"""Live grants follow what changes: tags, policy, people, the database itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from daypass.audit.entry import EntryKind
from daypass.domain.catalog import RelationName
from daypass.domain.errors import Conflict, Denied, Unavailable
from daypass.domain.ids import GrantId
from daypass.domain.scope import AskedScope
from daypass.domain.states import GrantState
from daypass.engines.contract import Session
from daypass.operations.accept_exposure import accept_exposure
from daypass.operations.apply_policy import apply_policy
from daypass.operations.apply_scope import ensure_applied, note_scope
from daypass.operations.apply_tags import TagChange, apply_tags
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.change_groups import put_in_group, take_out_of_group
from daypass.operations.plan_grant import plan_grant
from daypass.operations.recompile_grants import recompile_grants
from daypass.operations.reconcile_instance import reconcile_instance
from daypass.operations.run_query import run_query
from daypass.operations.sync_catalog import sync_catalog
from daypass.operations.yield_instance import resume_instance, yield_instance
from tests.story import MINUTE, grant_of, granted, jobs_running, log, policy_with, session_of, until
from tests.world import World

SHOP = "prod/shop"
ORDERS = RelationName("sales", "orders")
CUSTOMERS = RelationName("sales", "customers")


async def values(here: World, name: str, text: str) -> list[str | None]:
    """Return the first column of a query in somebody's name."""
    outcome = await run_query(here.ctx, await here.actor(name), SHOP, text)
    assert outcome.result.sqlstate == "", outcome.result.error
    return [row[0] for row in outcome.result.rows]


@contextlib.contextmanager
def mended(here: World, change: str, back: str) -> Iterator[None]:
    """Have the customer change something for the length of a block."""
    here.company.sql(change)
    try:
        yield
    finally:
        here.company.sql(back)


def _create_passing(here: World, columns: str) -> None:
    """Have the company's owner make a table that will not stay."""
    here.company.sql(f"create table sales.passing ({columns})")
    here.company.sql("alter table sales.passing owner to shop_owner")


@contextlib.asynccontextmanager
async def open_session(here: World, name: str, grant_id: GrantId) -> AsyncIterator[Session]:
    """Hold a session open for the length of a block."""
    session = await session_of(here, name, grant_id)
    try:
        yield session
    finally:
        await session.aclose()


async def is_cut(session: Session) -> bool:
    """Say whether a session has been ended."""
    return (await session.execute("select 1")).lost


async def why_closed(here: World) -> str:
    """Return why the only closed session was closed."""
    ((reason,),) = await here.rows(
        "select close_reason from session where state = 'closed' order by id desc limit 1"
    )
    return str(reason)


# Tags, policy, people


async def test_a_tag_that_hides_more_ends_the_session_and_masks_the_next(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    before = (await grant_of(here, grant_id)).scope_hash
    async with open_session(here, "ada", grant_id) as session:
        clear = await session.execute("select total from orders where total is not null limit 1")
        assert clear.rows
        assert clear.rows[0][0] not in (None, "***")
        change = TagChange(ORDERS, "total", frozenset({"pii.spending"}))
        await apply_tags(here.ctx, await here.actor("dana"), here.shop, [change])
        assert await recompile_grants(here.ctx, here.shop) == 1
        assert await is_cut(session)
    assert await why_closed(here) == "the policy or the catalog changed"
    assert await values(here, "ada", "select distinct total from orders") == [None]
    grant = await grant_of(here, grant_id)
    assert grant.scope_hash != before
    (entry,) = await log(here, EntryKind.GRANT_RECOMPILED)
    assert entry.content == {"from": before, "to": grant.scope_hash}
    # A second time there is nothing to do.
    assert await recompile_grants(here.ctx, here.shop) == 0


async def test_with_jobs_running_it_is_done_within_moments(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    async with jobs_running(here), open_session(here, "ada", grant_id) as session:
        change = TagChange(ORDERS, "total", frozenset({"pii.spending"}))
        await apply_tags(here.ctx, await here.actor("dana"), here.shop, [change])
        async with asyncio.timeout(5):
            assert (await session.execute("select pg_sleep(10)")).lost


@pytest.mark.one_major
async def test_another_mask_and_a_rule_that_is_gone(here: World) -> None:
    await here.grant("ada", "sales.customers")
    samira = await here.actor("samira")
    text = "select distinct email from customers where email is not null"
    assert all("***@***" in str(each) for each in await values(here, "ada", text))
    rule = "    columns: 'column.tags.exists(t, t == \"pii.email\")'\n    mask: "
    await apply_policy(here.ctx, samira, policy_with((f"{rule}email", f'{rule}constant("(mail)")')))
    await recompile_grants(here.ctx, here.shop)
    assert await values(here, "ada", text) == ["(mail)"]
    # Without the rule, the next that matches decides: never none.
    gone = policy_with((rule, rule.replace("pii.email", "pii.nothing")))
    await apply_policy(here.ctx, samira, gone)
    await recompile_grants(here.ctx, here.shop)
    assert await values(here, "ada", text) == ["***"]


@pytest.mark.one_major
async def test_who_leaves_a_group_sees_what_others_see(here: World) -> None:
    filed = await here.ask("fay", asked=AskedScope(frozenset()), profile="fraud-review")
    await granted(here, filed, "samira")
    text = "select email from customers where email is not null limit 1"
    (clear,) = await values(here, "fay", text)
    assert "***" not in str(clear)
    robin, fay = await here.actor("robin"), await here.actor("fay")
    await take_out_of_group(here.ctx, robin, "fraud", fay.id)
    await recompile_grants(here.ctx, here.shop)
    (masked,) = await values(here, "fay", text)
    assert "***" in str(masked)
    # A row rule for those who come in.
    await put_in_group(here.ctx, robin, "contractors", fay.id)
    await recompile_grants(here.ctx, here.shop)
    assert await values(here, "fay", "select distinct region from customers") == ["EU"]


# The database itself


async def test_a_new_column_is_hidden_until_somebody_has_looked_at_it(here: World) -> None:
    await here.grant("ada", "sales.orders")
    before = await run_query(
        here.ctx, await here.actor("ada"), SHOP, "select * from orders limit 1"
    )
    with mended(
        here,
        "alter table sales.orders add column secret_note text default 'gin'",
        "alter table sales.orders drop column if exists secret_note cascade",
    ):
        # In no view at first; then, once read, masked.
        again = await run_query(
            here.ctx, await here.actor("ada"), SHOP, "select * from orders limit 1"
        )
        assert again.result.columns == before.result.columns
        await sync_catalog(here.ctx, None, here.shop)
        await recompile_grants(here.ctx, here.shop)
        assert await values(here, "ada", "select distinct secret_note from orders") == ["***"]
        change = TagChange(ORDERS, "secret_note", frozenset())
        await apply_tags(here.ctx, await here.actor("dana"), here.shop, [change])
        await recompile_grants(here.ctx, here.shop)
        assert await values(here, "ada", "select distinct secret_note from orders") == ["gin"]


async def test_a_relation_that_is_gone_leaves_the_rest(here: World) -> None:
    _create_passing(here, "id int")
    try:
        await sync_catalog(here.ctx, None, here.shop)
        both = await here.grant("ada", "sales.passing", "sales.orders")
        only = await here.grant("ada", "sales.passing")
        async with open_session(here, "ada", both) as session:
            await session.execute("select * from passing")
            # Our views are in the way of a plain DROP, as they should say.
            here.company.sql("drop table sales.passing cascade")
            await sync_catalog(here.ctx, None, here.shop)
            assert await recompile_grants(here.ctx, here.shop) == 2
            assert await is_cut(session)
        ada = await here.actor("ada")
        kept = await run_query(
            here.ctx, ada, SHOP, "select count(*) > 0 from orders", grant_id=both
        )
        assert kept.result.rows == (("t",),)
        with pytest.raises(Denied) as gone:
            await run_query(here.ctx, ada, SHOP, "select * from sales.passing", grant_id=only)
        assert "sales.passing" in gone.value.message
        for grant_id in (both, only):
            assert (await grant_of(here, grant_id)).state == GrantState.ACTIVE
    finally:
        here.company.sql("drop table if exists sales.passing cascade")


async def test_an_exposure_blocks_until_its_owner_accepts_it(here: World) -> None:
    grant_id = await here.grant("ada", "sales.customers")
    ada, dana = await here.actor("ada"), await here.actor("dana")
    with mended(
        here,
        "grant select on sales.customers to public",
        "revoke select on sales.customers from public",
    ):
        async with open_session(here, "ada", grant_id) as session:
            await sync_catalog(here.ctx, None, here.shop)
            await recompile_grants(here.ctx, here.shop)
            assert await is_cut(session)
        with pytest.raises(Denied) as blocked:
            await run_query(here.ctx, ada, SHOP, "select 1 from customers")
        assert blocked.value.detail_code == "exposed"
        assert "public" in blocked.value.message.lower()
        assert "daypass doctor prod/shop" in blocked.value.next_step
        (entry,) = await log(here, EntryKind.STATEMENT_DENIED)
        assert entry.content["code"] == "exposed"
        key = "public_grant:sales.customers"
        await accept_exposure(here.ctx, dana, here.shop, key, "a test")
        await recompile_grants(here.ctx, here.shop)
        masked = await values(here, "ada", "select email from customers limit 1")
        assert "***" in str(masked[0])


async def test_a_grant_to_public_between_two_readings_ends_sessions_and_says_why(
    here: World,
) -> None:
    grant_id = await here.grant("ada", "sales.customers")
    with mended(
        here,
        "grant select on sales.customers to public",
        "revoke select on sales.customers from public",
    ):
        async with open_session(here, "ada", grant_id) as session:
            result = await reconcile_instance(here.ctx, here.instance_id)
            assert await is_cut(session)
        assert "sales.customers can be read directly by every session" in result.unverified[0]
        assert "sales.customers can be read directly" in await why_closed(here)
        with pytest.raises(Unavailable) as caught:
            await run_query(here.ctx, await here.actor("ada"), SHOP, "select 1 from customers")
        assert caught.value.detail_code == "not_verified"
        # The catalog is to be read again at once.
        waiting = await here.rows(
            "select count(*) from procrastinate_jobs where task_name = 'daypass.sync_catalog'"
            " and status = 'todo'"
        )
        assert waiting == [(1,)]
    # Mended: it opens again without anybody's doing.
    assert await values(here, "ada", "select count(*) > 0 from customers") == ["t"]


async def test_stepping_aside_and_back(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    robin = await here.actor("robin")
    async with open_session(here, "ada", grant_id) as session:
        yielding = await yield_instance(
            here.ctx, robin, here.instance_id, duration=timedelta(hours=1), reason="a migration"
        )
        assert yielding.clear
        assert await is_cut(session)
    assert here.company.ours() == []
    with mended(
        here,
        "alter table sales.orders rename column total to amount",
        "alter table sales.orders rename column amount to total",
    ):
        with pytest.raises(Unavailable) as aside:
            await run_query(here.ctx, await here.actor("ada"), SHOP, "select 1")
        assert aside.value.detail_code == "instance_yielded"
        # Following a change meanwhile makes nothing on it, and is no failure.
        await recompile_grants(here.ctx, here.shop)
        assert here.company.ours() == []
        await resume_instance(here.ctx, robin, here.instance_id)
        await sync_catalog(here.ctx, None, here.shop)
        await recompile_grants(here.ctx, here.shop)
        assert await values(here, "ada", "select distinct amount from orders") == [None]
        await here.end("ada", grant_id)
        await reconcile_instance(here.ctx, here.instance_id)
        assert here.company.ours() == []


# What goes wrong on the way


async def test_one_grant_that_cannot_follow_holds_up_no_other(here: World) -> None:
    _create_passing(here, "id int, word text")
    try:
        await sync_catalog(here.ctx, None, here.shop)
        # The newest is seen to first; its relation will have changed under the catalog.
        good = await here.grant("ada", "sales.orders")
        bad = await here.grant("ada", "sales.passing")
        async with open_session(here, "ada", good) as session:
            here.company.sql(
                "alter table sales.passing drop column word cascade, add column word int"
            )
            changes = [
                TagChange(ORDERS, "total", frozenset({"pii.spending"})),
                TagChange(RelationName("sales", "passing"), "id", frozenset({"pii.x"})),
            ]
            await apply_tags(here.ctx, await here.actor("dana"), here.shop, changes)
            with pytest.raises(Conflict) as caught:
                await recompile_grants(here.ctx, here.shop)
            assert caught.value.detail_code == "catalog_changed"
            assert await is_cut(session)
        assert await values(here, "ada", "select distinct total from orders") == [None]
        await sync_catalog(here.ctx, None, here.shop)
        await recompile_grants(here.ctx, here.shop)
        outcome = await run_query(
            here.ctx, await here.actor("ada"), SHOP, "select * from passing", grant_id=bad
        )
        assert outcome.result.sqlstate == ""
    finally:
        here.company.sql("drop table if exists sales.passing cascade")


async def test_a_crash_after_the_note_leaves_no_session_behind(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    async with open_session(here, "ada", grant_id) as session:
        change = TagChange(ORDERS, "total", frozenset({"pii.spending"}))
        await apply_tags(here.ctx, await here.actor("dana"), here.shop, [change])
        # As if the process were killed once it had written down the new scope.
        async with here.ctx.store.transaction() as tx:
            found = await plan_grant(here.ctx, tx, await grant_of(here, grant_id))
        await note_scope(here.ctx, grant_id, found)
        assert not await is_cut(session)
        await recompile_grants(here.ctx, here.shop)
        assert await is_cut(session)


async def test_a_slow_session_does_not_put_the_old_scope_back(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    ada = await here.actor("ada")
    (candidate,) = await find_candidates(here.ctx, ada, SHOP, grant_id)
    change = TagChange(ORDERS, "total", frozenset({"pii.spending"}))
    await apply_tags(here.ctx, await here.actor("dana"), here.shop, [change])
    await recompile_grants(here.ctx, here.shop)
    now = (await grant_of(here, grant_id)).scope_hash
    assert now != candidate.found.plan.scope_hash
    # Whoever looked before the change comes to write after it.
    await ensure_applied(here.ctx, candidate.found)
    with pytest.raises(Conflict) as slow:
        await note_scope(here.ctx, grant_id, candidate.found)
    assert slow.value.detail_code == "scope_changed"
    with pytest.raises(Conflict) as refused:
        await authorize_session(here.ctx, ada, candidate, kind="query")
    assert refused.value.detail_code == "scope_changed"
    assert (await grant_of(here, grant_id)).scope_hash == now
    # And should a grant ever stand for an old one, reconciling notices.
    await here.rows(
        "update access_grant set scope_hash = %s where id = %s returning id",
        candidate.found.plan.scope_hash,
        grant_id,
    )
    await reconcile_instance(here.ctx, here.instance_id)
    assert (await grant_of(here, grant_id)).scope_hash == now


@pytest.mark.one_major
async def test_scopes_nobody_needs_are_collected(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders", duration=30 * MINUTE)
    change = TagChange(ORDERS, "total", frozenset({"pii.spending"}))
    await apply_tags(here.ctx, await here.actor("dana"), here.shop, [change])
    async with jobs_running(here):

        async def one() -> bool:
            roles = here.company.sql("select rolname from pg_roles where rolname ~ '^dp_s_'")
            now = (await grant_of(here, grant_id)).scope_hash
            return roles == [(f"dp_s_{now}",)]

        await until(one, "the old scope's end")
        await here.end("ada", grant_id)

        async def none() -> bool:
            return here.company.ours() == []

        await until(none, "the last scope's end")
