"""An instance steps aside for a migration and comes back; grants stay, nothing is in the way."""

from datetime import timedelta

import psycopg
import pytest

from daypass.domain.errors import Conflict, Denied, Invalid, Unavailable
from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.domain.states import GrantState
from daypass.engines.contract import Session
from daypass.operations.accept_exposure import accept_exposure
from daypass.operations.apply_policy import apply_policy
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.close_grant import close_grant
from daypass.operations.consider import Ask
from daypass.operations.open_session import open_session
from daypass.operations.open_target import open_target
from daypass.operations.remove_instance import remove_instance
from daypass.operations.request_access import request_access
from daypass.operations.yield_instance import (
    advance_yields,
    resume_instance,
    yield_instance,
    yield_progress,
)
from daypass.store.grants import get_grant
from tests.integration.places.conftest import Place
from tests.people import person

POLICY = """
defaults: {unclassified: full}
access:
  - name: developers read
    when: '"developers" in requester.groups && request.unmask == []'
    max_duration: 2h
    approve: automatic
"""
HOUR = timedelta(hours=1)


async def _granted(place: Place, email: str = "dev@example.com") -> tuple[Actor, GrantId]:
    await apply_policy(place.ctx, place.editor, {"p.yaml": POLICY})
    developer = await person(place.ctx, place.admin, email, groups=frozenset({"developers"}))
    asked = AskedScope(frozenset({StatementClass.SELECT}), ("sales.orders",))
    filed = await request_access(
        place.ctx, developer, Ask(database="prod/shop", asked=asked, duration=HOUR)
    )
    assert filed.grant_id is not None
    return developer, filed.grant_id


async def _session(place: Place, actor: Actor) -> Session:
    (candidate,) = await find_candidates(place.ctx, actor, "prod/shop")
    if candidate.found.plan.blocked:
        with pytest.raises(Denied) as caught:
            await authorize_session(place.ctx, actor, candidate, kind="query")
        assert caught.value.detail_code == "exposed"
        for exposure in candidate.found.plan.blocked:
            await accept_exposure(
                place.ctx, place.owner, place.shop, exposure.key, "known, being mended"
            )
        (candidate,) = await find_candidates(place.ctx, actor, "prod/shop")
    permit = await authorize_session(place.ctx, actor, candidate, kind="query")
    return await open_session(place.ctx, permit, candidate.found.plan)


def _alter(place: Place) -> None:
    place.company.sql("alter table sales.orders alter column ship_to type varchar(500)")
    place.company.sql("alter table sales.orders alter column ship_to type text")


async def _scopes(place: Place) -> int:
    target = await open_target(place.ctx, place.id)
    return len((await target.inventory()).scopes)


async def test_a_migration_meets_nothing_of_ours_and_grants_go_on_afterwards(
    place: Place,
) -> None:
    ctx = place.ctx
    developer, grant_id = await _granted(place)
    session = await _session(place, developer)
    assert (await session.execute("select count(*) from orders")).row_count == 1
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        _alter(place)

    progress = await yield_instance(ctx, place.owner, place.id, duration=HOUR, reason="v2 schema")
    assert progress.clear
    assert (await session.execute("select 1")).sqlstate
    await session.aclose()
    _alter(place)
    assert await _scopes(place) == 0
    with pytest.raises(Unavailable, match="stepped aside"):
        await find_candidates(ctx, developer, "prod/shop")
    async with ctx.store.transaction() as tx:
        grant = await get_grant(tx, grant_id)
    assert grant is not None
    assert grant.state == GrantState.ACTIVE

    await resume_instance(ctx, place.owner, place.id)
    assert await place.jobs("sync_catalog")
    again = await _session(place, developer)
    assert (await again.execute("select count(*) from orders")).row_count == 1
    await again.aclose()
    told = [entry for entry in await place.entries("instance.changed") if "reason" in entry]
    assert [entry["reason"] for entry in told] == ["v2 schema"]
    await remove_instance(ctx, place.admin, place.id, reason="the test is over")


async def test_sessions_have_until_the_notice_is_over(place: Place) -> None:
    ctx = place.ctx
    developer, _ = await _granted(place)
    session = await _session(place, developer)
    progress = await yield_instance(
        ctx, place.admin, place.id, duration=HOUR, notice=timedelta(minutes=5), reason="v3"
    )
    assert not progress.clear
    assert progress.open_sessions == 1
    assert await advance_yields(ctx) == ()
    assert not (await session.execute("select 1")).sqlstate
    ((told,),) = await place.rows("select count(*) from outbox where event = 'instance.yields'")
    assert told == 2
    await place.rows("update instance set yield_notice_until = now() - interval '1 s' returning id")
    assert await advance_yields(ctx) == ()
    assert (await session.execute("select 1")).sqlstate
    await session.aclose()
    assert (await yield_progress(ctx, place.id)).clear
    await place.rows(
        "update instance set yield_notice_until = now() - interval '2 s',"
        " yielded_until = now() - interval '1 s' returning id"
    )
    assert await advance_yields(ctx) == ()
    assert (await yield_progress(ctx, place.id)).until is None
    await remove_instance(ctx, place.admin, place.id, reason="the test is over")


async def test_who_may_have_it_step_aside_and_for_how_long(place: Place) -> None:
    with pytest.raises(Denied, match="admin"):
        await yield_instance(place.ctx, place.editor, place.id, duration=HOUR, reason="x")
    with pytest.raises(Invalid, match="1d"):
        await yield_instance(place.ctx, place.admin, place.id, duration=30 * HOUR, reason="x")
    with pytest.raises(Invalid, match="what it yields to"):
        await yield_instance(place.ctx, place.admin, place.id, duration=HOUR, reason="")


async def test_removing_an_instance_ends_its_grants_and_leaves_nothing_on_it(
    place: Place,
) -> None:
    ctx = place.ctx
    developer, grant_id = await _granted(place)
    session = await _session(place, developer)
    target = await open_target(ctx, place.id)
    await remove_instance(ctx, place.admin, place.id, reason="moved")
    assert (await session.execute("select 1")).sqlstate
    await session.aclose()
    async with ctx.store.transaction() as tx:
        grant = await get_grant(tx, grant_id)
    assert grant is not None
    assert (grant.state, grant.end_cause) == (GrantState.REVOKED, "database_removed")
    assert await place.rows("select from receipt where grant_id = %s", grant_id)
    inventory = await target.inventory()
    assert (dict(inventory.accounts), inventory.scopes) == ({}, frozenset())


async def test_an_instance_that_is_away_is_only_removed_by_force(place: Place) -> None:
    ctx = place.ctx
    developer, grant_id = await _granted(place)
    session = await _session(place, developer)
    await place.rows("update instance set port = 1, revision = revision + 1 returning id")
    with pytest.raises(Conflict) as caught:
        await remove_instance(ctx, place.admin, place.id, reason="burnt down")
    assert caught.value.detail_code == "still_revoking"
    await remove_instance(ctx, place.admin, place.id, reason="burnt down", force=True)
    (entry,) = await place.entries("instance.removed")
    assert (entry["forced"], entry["reason"]) == (True, "burnt down")
    async with ctx.store.transaction() as tx:
        grant = await get_grant(tx, grant_id)
    assert grant is not None
    assert grant.state == GrantState.REVOKING

    # It was not burnt down after all: revoking goes on, with the credential it had.
    await place.rows(
        "update instance set port = %s, revision = revision + 1 returning id", place.company.port
    )
    assert await close_grant(ctx, grant_id)
    assert (await session.execute("select 1")).sqlstate
    await session.aclose()
