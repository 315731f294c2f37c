"""Deciding: who may, in which order, in whose place, and for how long."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daypass.audit.entry import EntryKind
from daypass.domain.catalog import RelationName
from daypass.domain.errors import Conflict, Denied, Invalid, NotFound
from daypass.domain.ids import RequestId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.domain.states import RequestState
from daypass.operations.apply_policy import apply_policy
from daypass.operations.apply_tags import TagChange, apply_tags
from daypass.operations.change_groups import put_in_group, take_out_of_group
from daypass.operations.change_principal import PrincipalChange, change_principal
from daypass.operations.decide_request import decide_request
from daypass.operations.delegate_decisions import delegate_decisions
from daypass.operations.show_requests import RequestFilter, list_requests, show_request
from tests.people import person
from tests.story import (
    MINUTE,
    TWO_DBAS,
    addresses,
    agree,
    grant_of,
    log,
    request_of,
    told,
)
from tests.world import World

pytestmark = pytest.mark.one_major

C = StatementClass
WRITE = frozenset({C.SELECT, C.UPDATE})
EMAIL = ("sales.customers.email",)


async def no(here: World, request_id: RequestId, actor: Actor, **more: object) -> str:
    """Try to say yes and return the code of the denial."""
    with pytest.raises(Denied) as caught:
        await decide_request(here.ctx, actor, request_id, yes=True, **more)  # type: ignore[arg-type]
    return caught.value.detail_code


async def test_steps_go_in_order_and_by_distinct_people(here: World) -> None:
    filed = await here.ask("ben", "sales.orders", classes=WRITE, unmask=("sales.orders.ship_to",))
    assert [str(step) for step in filed.decision.steps] == [
        "1 of requester.manager",
        "1 of group:dba, owners",
        "1 of group:security",
    ]
    number = filed.request_id
    lena, dana, samira = [await here.actor(name) for name in ("lena", "dana", "samira")]
    # Only those who are up have been told.
    assert await addresses(here, "request.waits") == {"lena"}
    assert await no(here, number, samira) == "not_an_approver"
    assert await no(here, number, dana) == "not_an_approver"
    assert await no(here, number, await here.actor("ben")) == "own_request"
    # Lena is the manager and, through her team, an owner: she counts once.
    done = await decide_request(here.ctx, lena, number, yes=True)
    assert (done.step, done.steps, done.remaining) == (2, 3, 1)
    assert await no(here, number, lena) == "already_approved"
    assert await addresses(here, "request.waits") == {"lena", "dana", "dmitri"}
    await decide_request(here.ctx, dana, number, yes=True)
    assert await no(here, number, await here.actor("dmitri")) == "not_an_approver"
    done = await decide_request(here.ctx, samira, number, yes=True, comment="go on")
    assert done.request.state == RequestState.APPROVED
    assert (done.request.decided_by, done.request.decided_reason) == (
        "samira@example.com",
        "go on",
    )
    given = await log(here, EntryKind.APPROVAL_GIVEN, request_id=number)
    assert [(each.actor, each.content["step"]) for each in given] == [
        ("lena@example.com", 1),
        ("dana@example.com", 2),
        ("samira@example.com", 3),
    ]


async def test_a_step_of_two_takes_two(here: World) -> None:
    samira = await here.actor("samira")
    files = TWO_DBAS
    await apply_policy(here.ctx, samira, files)
    filed = await here.ask("ben", "sales.orders")
    dana = await here.actor("dana")
    # Dana is in dba and in the team that owns the database: still one person.
    done = await decide_request(here.ctx, dana, filed.request_id, yes=True)
    assert (done.step, done.remaining) == (1, 1)
    assert await no(here, filed.request_id, dana) == "already_approved"
    shown = await show_request(here.ctx, dana, filed.request_id)
    assert not shown.awaits_me
    assert (await agree(here, filed.request_id, "lena")).state == RequestState.APPROVED


async def test_nobody_decides_their_own_whatever_their_role(here: World) -> None:
    robin = await here.actor("robin")
    for name in ("dana", "robin"):
        await put_in_group(here.ctx, robin, "dba", (await here.actor(name)).id)
        filed = await here.ask(name, "sales.orders", classes=frozenset({C.SELECT}))
        own = await here.actor(name)
        assert await no(here, filed.request_id, own) == "own_request"
        with pytest.raises(Denied) as deny:
            await decide_request(here.ctx, own, filed.request_id, yes=False, comment="no")
        assert deny.value.detail_code == "own_request"
        waiting, _ = await list_requests(
            here.ctx, own, RequestFilter(awaiting_me=True), before=None, limit=9
        )
        assert own.id not in {each.requester_id for each in waiting}


async def test_a_service_account_neither_decides_nor_is_decided_by_its_owner(
    here: World,
) -> None:
    robin, ada = await here.actor("robin"), await here.actor("ada")
    agent = await person(
        here.ctx,
        robin,
        "approver-bot@example.com",
        groups=frozenset({"dba"}),
        owner="ada@example.com",
    )
    filed = await here.ask("ben", "sales.orders")
    with pytest.raises(NotFound) as unseen:
        await decide_request(here.ctx, agent, filed.request_id, yes=True)
    assert unseen.value.detail_code == "no_request"
    # An auditor sees it and still is no person.
    seeing = replace(
        agent, principal=replace(agent.principal, roles=frozenset({DaypassRole.AUDITOR}))
    )
    assert await no(here, filed.request_id, seeing) == "approver_not_a_person"
    # It is told nothing either, and its owner is told nothing in its place.
    assert await addresses(here, "request.waits") == {"dana", "dmitri", "lena"}
    asked = await here.ask(
        "agent-triage",
        profile="triage",
        asked=AskedScope(frozenset()),
        duration=5 * MINUTE,
    )
    # Ada is on call, whom the rule names, and answers for the agent.
    assert await no(here, asked.request_id, ada) == "own_request"
    to_ada = [text for address, text in await told(here, "request.waits") if "ada@" in address]
    assert to_ada == []
    assert not (await show_request(here.ctx, ada, asked.request_id)).awaits_me
    # Neither does whoever stands in for her, by her name.
    cleo = await here.actor("cleo")
    await delegate_decisions(
        here.ctx, ada, to="cleo@example.com", ends_at=datetime.now(UTC) + timedelta(hours=1)
    )
    with pytest.raises((Denied, NotFound)):
        await decide_request(here.ctx, cleo, asked.request_id, yes=True)
    assert (await agree(here, asked.request_id, "ben")).state == RequestState.APPROVED


async def test_a_token_decides_only_with_the_capability(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    dana = await here.actor("dana")
    without = replace(dana, capabilities=frozenset(Capability) - {Capability.APPROVE})
    assert await no(here, filed.request_id, without) == "token_capability"
    bare = replace(dana, capabilities=frozenset({Capability.APPROVE}))
    await decide_request(here.ctx, bare, filed.request_id, yes=True)


async def test_no_needs_a_reason_and_ends_it(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    dana = await here.actor("dana")
    for comment in ("", "  \n"):
        with pytest.raises(Invalid) as silent:
            await decide_request(here.ctx, dana, filed.request_id, yes=False, comment=comment)
        assert silent.value.detail_code == "reason_missing"
    with pytest.raises(Invalid) as long:
        await decide_request(here.ctx, dana, filed.request_id, yes=False, comment="x" * 2001)
    assert long.value.detail_code == "too_long_text"
    await decide_request(here.ctx, dana, filed.request_id, yes=False, comment="use staging")
    request = await request_of(here, filed.request_id)
    assert (request.state, request.decided_reason) == (RequestState.DENIED, "use staging")
    ((_, _), (address, message)) = await told(here, "request.denied")
    assert address == "ben@example.com"
    assert "use staging" in message["text"]
    with pytest.raises(Conflict) as late:
        await decide_request(here.ctx, await here.actor("dmitri"), filed.request_id, yes=True)
    assert late.value.detail_code == "request_denied"
    assert "dana@example.com" in late.value.message


async def test_approvers_may_allow_less_time_and_never_more(here: World) -> None:
    filed = await here.ask("ben", "sales.customers", unmask=EMAIL)
    dana, samira = await here.actor("dana"), await here.actor("samira")
    for wrong, code in ((61 * MINUTE, "longer_than_asked"), (0 * MINUTE, "invalid_duration")):
        with pytest.raises(Invalid) as caught:
            await decide_request(here.ctx, dana, filed.request_id, yes=True, duration=wrong)
        assert caught.value.detail_code == code
    await decide_request(here.ctx, dana, filed.request_id, yes=True, duration=20 * MINUTE)
    done = await decide_request(here.ctx, samira, filed.request_id, yes=True, duration=40 * MINUTE)
    assert done.request.grant_id is not None
    grant = await grant_of(here, done.request.grant_id)
    # The shortest that anybody said.
    assert grant.deadline - grant.starts_at == 20 * MINUTE


# Standing in


async def test_who_stands_in_counts_once_and_not_for_whoever_asks(here: World) -> None:
    samira, ada, ben = [await here.actor(name) for name in ("samira", "ada", "ben")]
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    # Security is away: Ben may decide in Samira's place, but not what he asked for himself.
    await delegate_decisions(here.ctx, samira, to="ben@example.com", ends_at=in_an_hour)
    own = await here.ask("ben", "sales.customers", unmask=EMAIL)
    await agree(here, own.request_id, "dana")
    assert await no(here, own.request_id, ben) == "own_request"
    other = await here.ask("ada", "sales.customers", unmask=EMAIL)
    await agree(here, other.request_id, "dana")
    assert "ben" in await addresses(here, "request.waits")
    done = await decide_request(here.ctx, ben, other.request_id, yes=True)
    assert done.request.state == RequestState.APPROVED
    (entry,) = await log(here, EntryKind.APPROVAL_GIVEN, actor="ben@example.com")
    assert entry.on_behalf_of == "samira@example.com"
    assert ada.id != ben.id


async def test_a_delegate_of_two_counts_for_one(here: World) -> None:
    samira = await here.actor("samira")
    await apply_policy(
        here.ctx,
        samira,
        TWO_DBAS,
    )
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    for name in ("dana", "dmitri"):
        await delegate_decisions(
            here.ctx, await here.actor(name), to="fay@example.com", ends_at=in_an_hour
        )
    filed = await here.ask("ben", "sales.orders")
    fay, dana = await here.actor("fay"), await here.actor("dana")
    done = await decide_request(here.ctx, fay, filed.request_id, yes=True)
    assert done.remaining == 1
    assert await no(here, filed.request_id, fay) == "already_approved"
    (vote,) = (await show_request(here.ctx, fay, filed.request_id)).approvals
    # Whoever she stood in for has been counted with her.
    away = {"dana@example.com": dana, "dmitri@example.com": await here.actor("dmitri")}
    assert vote.on_behalf_of is not None
    counted = away.pop(vote.on_behalf_of)
    assert await no(here, filed.request_id, counted) == "already_approved"
    ((_, free),) = away.items()
    await decide_request(here.ctx, free, filed.request_id, yes=True)
    assert (await request_of(here, filed.request_id)).state == RequestState.APPROVED


async def test_a_delegation_gives_no_more_than_its_giver_has(here: World) -> None:
    cleo = await here.actor("cleo")
    lena = await here.actor("lena")
    await delegate_decisions(
        here.ctx, lena, to="cleo@example.com", ends_at=datetime.now(UTC) + timedelta(hours=1)
    )
    filed = await here.ask("ada", "sales.customers", unmask=EMAIL)
    # Lena's team owns the shop: hers is the first step, never security's.
    await decide_request(here.ctx, cleo, filed.request_id, yes=True)
    assert await no(here, filed.request_id, cleo) == "already_approved"
    assert await no(here, filed.request_id, lena) in ("not_an_approver", "already_approved")


# People change


async def test_who_lost_the_group_no_longer_counts_and_cannot_vote_twice(here: World) -> None:
    robin, dana = await here.actor("robin"), await here.actor("dana")
    filed = await here.ask("ben", "sales.customers", unmask=EMAIL)
    await decide_request(here.ctx, dana, filed.request_id, yes=True)
    for group in ("dba", "shop-team"):
        await take_out_of_group(here.ctx, robin, group, dana.id)
    await put_in_group(here.ctx, robin, "security", dana.id)
    samira = await here.actor("samira")
    # The first step is open again.
    assert await no(here, filed.request_id, samira) == "not_an_approver"
    shown = await show_request(here.ctx, samira, filed.request_id)
    assert [step.done for step in shown.steps] == [False, False]
    await agree(here, filed.request_id, "dmitri")
    # Dana's new group is up now, but she has had her vote.
    assert await no(here, filed.request_id, await here.actor("dana")) == "already_approved"
    assert (await agree(here, filed.request_id, "samira")).state == RequestState.APPROVED


async def test_a_new_manager_decides(here: World) -> None:
    robin, ben = await here.actor("robin"), await here.actor("ben")
    filed = await here.ask("ben", "sales.orders", classes=WRITE)
    await change_principal(here.ctx, robin, ben.id, PrincipalChange(manager="samira@example.com"))
    assert await no(here, filed.request_id, await here.actor("lena")) == "not_an_approver"
    done = await decide_request(here.ctx, await here.actor("samira"), filed.request_id, yes=True)
    assert done.step == 2


async def test_a_request_is_decided_by_who_the_asker_is_now(here: World) -> None:
    robin, ben, dana = [await here.actor(name) for name in ("robin", "ben", "dana")]
    filed = await here.ask("ben", "sales.orders")
    # On call now: a rule allows it by itself.
    await put_in_group(here.ctx, robin, "oncall", ben.id)
    with pytest.raises(Conflict) as anew:
        await decide_request(here.ctx, dana, filed.request_id, yes=False, comment="no")
    assert anew.value.detail_code == "request_redecided"
    request = await request_of(here, filed.request_id)
    assert request.state == RequestState.APPROVED
    assert request.rule == "on-call reads production by itself"
    assert len(await log(here, EntryKind.REQUEST_REDECIDED, request_id=filed.request_id)) == 1
    # And the other way: from outside now.
    second = await here.ask("ben", "sales.customers", unmask=EMAIL)
    await put_in_group(here.ctx, robin, "contractors", ben.id)
    with pytest.raises(Conflict):
        await decide_request(here.ctx, dana, second.request_id, yes=True)
    request = await request_of(here, second.request_id)
    assert request.state == RequestState.DENIED
    assert "contractors" in request.decided_reason
    assert await addresses(here, "request.denied") == {"ben"}


async def test_a_column_that_was_clear_when_decided_is_not_unmasked_later(here: World) -> None:
    dana = await here.actor("dana")
    filed = await here.ask("ben", "sales.customers", unmask=EMAIL)
    assert len(filed.decision.steps) == 2
    change = TagChange(RelationName("sales", "customers"), "email", frozenset())
    await apply_tags(here.ctx, dana, here.shop, [change])
    # Nothing is hidden any more, so security need not be asked.
    with pytest.raises(Conflict):
        await decide_request(here.ctx, dana, filed.request_id, yes=True)
    request = await agree(here, filed.request_id, "dana")
    assert request.state == RequestState.APPROVED
    assert request.grant_id is not None
    # Once it is hidden again, this grant does not show what security never saw.
    assert (await grant_of(here, request.grant_id)).asked.unmask == ()


async def test_oversight_is_no_approval(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    for name in ("robin", "anton"):
        actor = await here.actor(name)
        assert actor.has_role(DaypassRole.ADMIN, DaypassRole.AUDITOR)
        assert await no(here, filed.request_id, actor) == "not_an_approver"
