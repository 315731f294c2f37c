"""A policy that changes while requests wait: each is decided anew, and its people are told."""

import pytest

from daypass.audit.entry import EntryKind
from daypass.demo.sample import policy_files
from daypass.domain.errors import Conflict, Denied, Invalid
from daypass.domain.scope import AskedScope
from daypass.domain.states import RequestState
from daypass.operations.apply_policy import apply_policy, roll_back_policy
from daypass.operations.decide_request import decide_request
from daypass.operations.run_query import run_query
from daypass.operations.show_requests import show_request
from daypass.store import requests
from tests.story import (
    MINUTE,
    TWO_DBAS,
    addresses,
    agree,
    grant_of,
    granted,
    log,
    policy_with,
    request_of,
    told,
)
from tests.world import World

pytestmark = pytest.mark.one_major

EMAIL = ("sales.customers.email",)
_FIRST = "access:\n"


def first(rule: str) -> dict[str, str]:
    """Return the sample's policy with a rule before all others."""
    return policy_with((_FIRST, f"{_FIRST}{rule}\n"))


AUTOMATIC = first(
    """  - name: orders for everybody
    when: 'request.relations == ["sales.orders"] && request.unmask == []'
    max_duration: 4h
    approve: automatic
"""
)
CLOSED = first(
    """  - name: closed today
    when: 'request.relations.exists(r, r.startsWith("sales."))'
    deny: the year is being closed
"""
)
MORE_STEPS = policy_with(
    (
        """      - {approvers: [group:security], count: 1, when: 'request.unmask != []'}
    pending_ttl: 24h
""",
        """      - {approvers: [group:security], count: 1}
    pending_ttl: 24h
""",
    )
)


async def test_what_is_automatic_now_is_approved_at_once(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    other = await here.ask("ben", "sales.customers")
    applied = await apply_policy(here.ctx, await here.actor("samira"), AUTOMATIC)
    assert applied.reconsidered == (filed.request_id,)
    request = await request_of(here, filed.request_id)
    assert (request.state, request.rule) == (RequestState.APPROVED, "orders for everybody")
    assert request.decided_by is None
    assert "now allows it" in request.decided_reason
    assert request.grant_id is not None
    assert await addresses(here, "grant.made") == {"ben"}
    outcome = await run_query(
        here.ctx, await here.actor("ben"), "prod/shop", "select count(*) > 0 from orders"
    )
    assert outcome.grant_id == request.grant_id
    assert (await request_of(here, other.request_id)).state == RequestState.PENDING


async def test_what_is_denied_now_ends_with_the_reason(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    elsewhere = await here.ask("ben", "app.audit_log")
    applied = await apply_policy(here.ctx, await here.actor("samira"), CLOSED)
    assert applied.reconsidered == (filed.request_id,)
    request = await request_of(here, filed.request_id)
    assert (request.state, request.decided_by) == (RequestState.DENIED, None)
    assert "the year is being closed" in request.decided_reason
    (_, (address, message)) = await told(here, "request.denied")
    assert address == "ben@example.com"
    assert "the year is being closed" in message["text"]
    (entry,) = await log(here, EntryKind.REQUEST_DENIED, request_id=filed.request_id)
    assert entry.rule == "closed today"
    with pytest.raises(Conflict) as late:
        await decide_request(here.ctx, await here.actor("dana"), filed.request_id, yes=True)
    assert late.value.detail_code == "request_denied"
    assert (await request_of(here, elsewhere.request_id)).state == RequestState.PENDING


async def test_other_steps_are_a_new_round(here: World) -> None:
    filed = await here.ask("ben", "sales.customers", unmask=EMAIL)
    await agree(here, filed.request_id, "dana")
    before = len(await told(here, "request.waits"))
    applied = await apply_policy(here.ctx, await here.actor("samira"), TWO_DBAS)
    assert applied.reconsidered == (filed.request_id,)
    request = await request_of(here, filed.request_id)
    assert (request.state, request.round) == (RequestState.PENDING, 2)
    # Those who are up are told once more; the approval of before is shown, and does not count.
    assert len(await told(here, "request.waits")) > before
    dana = await here.actor("dana")
    shown = await show_request(here.ctx, dana, filed.request_id)
    assert [(each.round, each.approver) for each in shown.approvals] == [(1, "dana@example.com")]
    assert [(step.done, step.remaining) for step in shown.steps] == [(False, 2), (False, 1)]
    assert shown.awaits_me
    done = await decide_request(here.ctx, dana, filed.request_id, yes=True)
    assert (done.step, done.remaining) == (1, 1)
    assert (await agree(here, filed.request_id, "dmitri", "samira")).state == RequestState.APPROVED
    # Once the first policy is back the request, decided, stays as it is.
    await roll_back_policy(here.ctx, await here.actor("samira"), request.policy_version)
    assert (await request_of(here, filed.request_id)).state == RequestState.APPROVED


async def test_what_is_decided_as_before_keeps_its_approvals(here: World) -> None:
    filed = await here.ask("ben", "sales.customers", unmask=EMAIL)
    await agree(here, filed.request_id, "dana")
    waits = len(await told(here, "request.waits"))
    ticket = "\n    require: {reason: true, ticket: '^INC"
    shorter = policy_with((f"max_duration: 2h{ticket}", f"max_duration: 90m{ticket}"))
    applied = await apply_policy(here.ctx, await here.actor("samira"), shorter)
    assert (applied.changed, applied.reconsidered) == (True, ())
    request = await request_of(here, filed.request_id)
    assert (request.round, request.policy_version) == (1, applied.version)
    assert len(await told(here, "request.waits")) == waits
    assert await log(here, EntryKind.REQUEST_REDECIDED) == []
    assert (await agree(here, filed.request_id, "samira")).state == RequestState.APPROVED


async def test_a_shorter_longest_denies_what_waits_for_more(here: World) -> None:
    filed = await here.ask("ben", "sales.orders", duration=200 * MINUTE)
    shorter = policy_with(
        (
            "max_duration: 4h\n    require: {reason: true}\n    settings:",
            "max_duration: 3h\n    require: {reason: true}\n    settings:",
        )
    )
    await apply_policy(here.ctx, await here.actor("samira"), shorter)
    request = await request_of(here, filed.request_id)
    assert request.state == RequestState.DENIED
    assert "at most 3h" in request.decided_reason


async def test_a_profile_that_is_gone_ends_what_was_asked_with_it(here: World) -> None:
    filed = await here.ask("ben", profile="order-fix", asked=AskedScope(frozenset()))
    files = policy_files()
    files["profiles.yaml"] = files["profiles.yaml"].replace("order-fix", "order-mend")
    await apply_policy(here.ctx, await here.actor("samira"), files)
    request = await request_of(here, filed.request_id)
    assert request.state == RequestState.DENIED
    assert "order-fix" in request.decided_reason


async def test_every_profile_of_the_sample_outlives_being_decided_again(here: World) -> None:
    asks = {
        "order-fix": "ben",
        "payroll-check": "ben",
        "acme-invoices": "ben",
        "support-role": "ada",
        "fraud-review": "fay",
        "triage": "agent-triage",
    }
    filed = {
        name: await here.ask(who, profile=name, asked=AskedScope(frozenset()), duration=10 * MINUTE)
        for name, who in asks.items()
    }
    before = {name: await request_of(here, each.request_id) for name, each in filed.items()}
    harmless = policy_with(("description: Short, read only", "description: Short and read only"))
    applied = await apply_policy(here.ctx, await here.actor("samira"), harmless)
    assert applied.reconsidered == ()
    for name, each in filed.items():
        after = await request_of(here, each.request_id)
        assert (after.state, after.round) == (RequestState.PENDING, 1), name
        assert after.asked_document == before[name].asked_document
        assert after.rule == before[name].rule


async def test_live_grants_keep_their_time_under_a_policy_that_would_deny_them(
    here: World,
) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    deadline = (await grant_of(here, grant_id)).deadline
    await apply_policy(here.ctx, await here.actor("samira"), CLOSED)
    grant = await grant_of(here, grant_id)
    assert (grant.state, grant.deadline) == ("active", deadline)
    with pytest.raises(Denied):
        await here.ask("ada", "sales.orders")


async def test_who_may_change_policy_and_what_is_not_applied(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    for name in ("ben", "ada", "dana", "anton", "agent-triage"):
        with pytest.raises(Denied) as denied:
            await apply_policy(here.ctx, await here.actor(name), AUTOMATIC)
        assert denied.value.detail_code == "daypass_role"
    samira = await here.actor("samira")
    agents = '"agents" in requester.groups && request'
    for broken in (
        policy_with(("max_duration: 15m", "max_duration: tomorrow")),
        policy_with((agents, agents.replace("requester.groups", "requester.group"))),
    ):
        with pytest.raises(Invalid) as wrong:
            await apply_policy(here.ctx, samira, broken)
        assert wrong.value.problems[0][0].startswith("policy.yaml:")
    version = (await request_of(here, filed.request_id)).policy_version
    with pytest.raises(Conflict) as stale:
        await apply_policy(here.ctx, samira, AUTOMATIC, expected=type(version)(version + 1))
    assert stale.value.detail_code == "policy_changed"
    request = await request_of(here, filed.request_id)
    assert (request.state, request.policy_version) == (RequestState.PENDING, version)


async def test_one_request_that_cannot_be_decided_holds_up_no_policy(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    other = await here.ask("ben", "sales.customers")
    # As if what it names had gone from the catalog since.
    async with here.ctx.store.transaction() as tx:
        await tx.execute("alter table request disable trigger request_immutable")
        await tx.execute(
            "update request set asked = jsonb_set(asked, '{relations}', '[\"sales.gone\"]')"
            " where id = %s",
            (filed.request_id,),
        )
        await tx.execute("alter table request enable trigger request_immutable")
    applied = await apply_policy(here.ctx, await here.actor("samira"), MORE_STEPS)
    assert set(applied.reconsidered) == {filed.request_id, other.request_id}
    gone = await request_of(here, filed.request_id)
    assert gone.state == RequestState.DENIED
    assert "sales.gone" in gone.decided_reason
    async with here.ctx.store.connection() as connection:
        steps = await requests.steps_of(connection, other.request_id, 2)
    assert [str(step) for step in steps] == ["1 of group:dba, owners", "1 of group:security"]
    assert await granted(here, other, "dana", "samira")


async def test_what_a_policy_is_warned_of_is_said_where_it_is_applied(here: World) -> None:
    unknown = {
        name: text.replace("group:security", "group:securty")
        for name, text in policy_files().items()
    }
    samira = await here.actor("samira")
    applied = await apply_policy(here.ctx, samira, unknown)
    assert applied.changed
    assert any("did you mean security" in each.text for each in applied.warnings)
    assert (await apply_policy(here.ctx, samira, unknown)).warnings == ()
