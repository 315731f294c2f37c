"""Breaking the glass: at once, for a few, never in clear, told to all, and judged by another."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from psycopg import errors

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Conflict, Denied, Invalid, NotFound
from daypass.domain.ids import GrantId
from daypass.domain.principal import Capability
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.operations.apply_policy import apply_policy
from daypass.operations.change_groups import put_in_group
from daypass.operations.extend_grant import extend_grant
from daypass.operations.remind_reviewers import remind_reviewers
from daypass.operations.review_break_glass import review_break_glass
from daypass.operations.run_query import run_query
from daypass.operations.show_grants import GrantFilter, list_grants, show_grant
from daypass.store import grants
from tests.people import person
from tests.story import MINUTE, addresses, grant_of, granted, log, policy_with, told
from tests.world import World

C = StatementClass


async def broken(here: World) -> GrantId:
    """Break the glass in the on-call engineer's name."""
    return await here.grant(
        "ada", "sales.customers", break_glass=True, ticket="", duration=30 * MINUTE
    )


async def judged(here: World, name: str, grant_id: GrantId) -> None:
    """Find it justified, in somebody's name."""
    actor = await here.actor(name)
    await review_break_glass(here.ctx, actor, grant_id, justified=True, comment="the outage")


async def overdue(here: World, grant_id: GrantId) -> None:
    """Let the time to review a grant be over."""
    await here.rows(
        """
        update access_grant
        set review = jsonb_set(review, '{due_at}', '"2026-01-01T00:00:00.000000Z"')
        where id = %s returning id
        """,
        grant_id,
    )


async def test_it_opens_at_once_masked_for_those_a_rule_names(here: World) -> None:
    grant_id = await broken(here)
    ada = await here.actor("ada")
    outcome = await run_query(here.ctx, ada, "prod/shop", "select email from customers limit 3")
    assert outcome.grant_id == grant_id
    assert all("***" in str(email) for (email,) in outcome.result.rows)
    assert outcome.masked == ("email",)
    for name in ("ben", "dana", "samira", "robin", "cleo"):
        with pytest.raises(Denied) as denied:
            await here.ask(name, "sales.customers", break_glass=True)
        assert denied.value.detail_code in ("denied", "no_rule", "rule_denies"), name
    await here.end("ada", grant_id)


@pytest.mark.one_major
async def test_it_asks_for_a_reason_and_never_lifts_a_mask_nor_waits(here: World) -> None:
    for more, code in (
        ({"unmask": ("sales.customers.email",)}, "unmask_denied"),
        ({"reason": ""}, "reason_missing"),
        ({"duration": 61 * MINUTE}, "too_long"),
        ({"starts_at": datetime.now(UTC) + 5 * MINUTE}, "break_glass_later"),
        (
            {"asked": AskedScope(frozenset({C.SELECT}), native_role="shop_readonly")},
            "native_role_denied",
        ),
        ({"direct_credentials": True}, "direct_denied"),
    ):
        with pytest.raises(Denied) as caught:
            await here.ask("ada", "sales.customers", break_glass=True, **more)
        codes = [each.code for each in caught.value.decision.reasons]
        assert code in codes, (more, codes)
        assert caught.value.decision.rule == "on-call breaks the glass"
    assert await here.rows("select count(*) from access_grant") == [(0,)]


@pytest.mark.one_major
async def test_everybody_concerned_is_told_when_it_opens_and_when_it_ends(here: World) -> None:
    grant_id = await broken(here)
    # Owners of the shop, admins, auditors, and those who will review it; not whoever did it.
    assert await addresses(here, "break_glass.opened") == {
        "dana",
        "lena",
        "robin",
        "anton",
        "samira",
    }
    ((_, programs), *_) = await told(here, "break_glass.opened")
    assert "a test" in programs["text"]
    await here.end("ada", grant_id)
    assert await addresses(here, "grant.ended") == {"ada", "dana", "lena"}


@pytest.mark.one_major
async def test_reviewers_named_in_any_way_are_told(here: World) -> None:
    samira = await here.actor("samira")
    files = policy_with(
        (
            "review: {approvers: [group:security], within: 24h}",
            "review: {approvers: [requester.manager, 'user:fay@example.com'], within: 2h}",
        )
    )
    await apply_policy(here.ctx, samira, files)
    grant_id = await broken(here)
    assert {"lena", "fay"} <= await addresses(here, "break_glass.opened")
    await here.end("ada", grant_id)
    with pytest.raises(NotFound):
        await judged(here, "samira", grant_id)
    await judged(here, "fay", grant_id)


# More of it


@pytest.mark.one_major
async def test_it_is_never_extended_but_broken_again(here: World) -> None:
    grant_id = await broken(here)
    ada = await here.actor("ada")
    before = (await grant_of(here, grant_id)).deadline
    with pytest.raises(Conflict) as caught:
        await extend_grant(here.ctx, ada, grant_id, 10 * MINUTE, reason="more", ticket="INC-42")
    assert caught.value.detail_code == "break_glass_once"
    assert "break the glass again" in caught.value.next_step
    assert (await grant_of(here, grant_id)).deadline == before
    # Again is a grant of its own, told and reviewed for itself.
    again = await broken(here)
    assert again != grant_id
    assert len(await told(here, "break_glass.opened")) == 2 * 6
    unreviewed, _ = await list_grants(
        here.ctx, await here.actor("samira"), GrantFilter(unreviewed=True), before=None, limit=9
    )
    assert {each.id for each in unreviewed} == {grant_id, again}


# Judging it


@pytest.mark.one_major
async def test_who_may_judge_it(here: World) -> None:
    grant_id = await broken(here)
    robin = await here.actor("robin")
    with pytest.raises(Conflict) as open_still:
        await judged(here, "samira", grant_id)
    assert open_still.value.detail_code == "grant_live"
    await here.end("ada", grant_id)
    with pytest.raises(Denied) as own:
        await judged(here, "ada", grant_id)
    assert own.value.detail_code == "own_grant"
    # Not even from the group that judges, nor as an admin.
    await put_in_group(here.ctx, robin, "security", (await here.actor("ada")).id)
    with pytest.raises(Denied) as promoted:
        await judged(here, "ada", grant_id)
    assert promoted.value.detail_code == "own_grant"
    for name in ("ben", "cleo", "dmitri"):
        with pytest.raises(NotFound) as hidden:
            await judged(here, name, grant_id)
        assert hidden.value.detail_code == "no_grant"
    for name in ("dana", "anton"):
        with pytest.raises(Denied) as others:
            await judged(here, name, grant_id)
        assert others.value.detail_code == "not_a_reviewer"
    bot = await person(
        here.ctx, robin, "bot@example.com", groups=frozenset({"security"}), owner="ben@example.com"
    )
    with pytest.raises(NotFound):
        await judged(here, "bot", grant_id)
    assert bot.principal.owner is not None
    samira = await here.actor("samira")
    with pytest.raises(Invalid) as silent:
        await review_break_glass(here.ctx, samira, grant_id, justified=False, comment=" ")
    assert silent.value.detail_code == "reason_missing"
    token = replace(samira, capabilities=frozenset({Capability.READ}))
    with pytest.raises(Denied) as bare:
        await review_break_glass(here.ctx, token, grant_id, justified=True, comment="x")
    assert bare.value.detail_code == "token_capability"
    await review_break_glass(
        here.ctx, samira, grant_id, justified=False, comment="it was not urgent"
    )
    assert (await grant_of(here, grant_id)).reviewed
    (entry,) = await log(here, EntryKind.BREAK_GLASS_REVIEWED)
    assert (entry.actor, entry.content["verdict"]) == ("samira@example.com", "not_justified")
    assert await addresses(here, "break_glass.reviewed") == {"ada"}
    with pytest.raises(Conflict) as twice:
        await judged(here, "robin", grant_id)
    assert twice.value.detail_code == "already_reviewed"


@pytest.mark.one_major
async def test_the_store_itself_refuses_an_own_review_and_a_second_one(here: World) -> None:
    grant_id = await broken(here)
    await here.end("ada", grant_id)

    async def review(name: str) -> None:
        async with here.ctx.store.transaction() as tx:
            await grants.insert_review(
                tx,
                grant_id,
                reviewer_id=(await here.actor(name)).id,
                verdict="justified",
                comment="fine",
            )

    with pytest.raises(errors.IntegrityConstraintViolation) as own:
        await review("ada")
    assert own.value.diag.constraint_name == "review_not_by_principal"
    await review("samira")
    with pytest.raises(errors.UniqueViolation) as twice:
        await review("robin")
    assert twice.value.diag.constraint_name == "break_glass_review_pkey"
    with pytest.raises(errors.IntegrityConstraintViolation):
        await here.rows("update break_glass_review set verdict = 'not_justified'")


@pytest.mark.one_major
async def test_an_ordinary_grant_is_not_reviewed(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    await here.end("ada", grant_id)
    with pytest.raises(Conflict) as caught:
        await judged(here, "robin", grant_id)
    assert caught.value.detail_code == "no_break_glass"


# Nobody has


@pytest.mark.one_major
async def test_an_overdue_review_is_seen_and_reminded_of_until_somebody_has(here: World) -> None:
    grant_id = await broken(here)
    grant = await grant_of(here, grant_id)
    assert grant.review is not None
    assert not grant.review_overdue
    assert await remind_reviewers(here.ctx) == ()
    await here.end("ada", grant_id)
    await overdue(here, grant_id)
    samira = await here.actor("samira")
    assert (await show_grant(here.ctx, samira, grant_id)).grant.review_overdue
    assert await remind_reviewers(here.ctx) == (grant_id,)
    assert await addresses(here, "break_glass.review_due") == {"samira", "robin", "anton"}
    # Once a day is enough, whichever process looks.
    assert await remind_reviewers(here.ctx) == ()
    assert await remind_reviewers(here.ctx, every=0 * MINUTE) == (grant_id,)
    assert len(await told(here, "break_glass.review_due")) == 2 * 4
    await judged(here, "samira", grant_id)
    assert not (await grant_of(here, grant_id)).review_overdue
    assert await remind_reviewers(here.ctx, every=0 * MINUTE) == ()


@pytest.mark.one_major
async def test_whoever_broke_it_is_not_asked_to_judge_it(here: World) -> None:
    robin = await here.actor("robin")
    await put_in_group(here.ctx, robin, "security", (await here.actor("ada")).id)
    grant_id = await broken(here)
    await here.end("ada", grant_id)
    await overdue(here, grant_id)
    await remind_reviewers(here.ctx)
    assert "ada" not in await addresses(here, "break_glass.review_due")
    ordinary = await here.ask("ben", "sales.orders")
    assert await granted(here, ordinary, "dana")
    assert await remind_reviewers(here.ctx, every=0 * MINUTE) == (grant_id,)
