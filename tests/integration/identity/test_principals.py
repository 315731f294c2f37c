"""People, service accounts and groups: who may change them, and what leaving ends."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from daypass.domain.errors import Conflict, Denied, Error, Invalid, NotFound, Unauthenticated
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.operations.add_principal import PrincipalFacts, add_principal
from daypass.operations.authenticate import BearerToken, authenticate
from daypass.operations.change_groups import add_group, put_in_group, take_out_of_group
from daypass.operations.change_principal import PrincipalChange, change_principal
from daypass.operations.context import Context
from daypass.operations.delegate_decisions import (
    delegate_decisions,
    end_delegation,
    list_delegations,
)
from daypass.operations.principal_leaves import principal_leaves
from daypass.operations.principal_returns import principal_returns
from daypass.operations.show_principals import (
    PrincipalFilter,
    list_principals,
    show_group,
    show_principal,
)
from daypass.store import delegations, principals
from tests.people import actor_of, first_admin, person, token_of, using


@pytest.fixture
async def admin(ctx: Context) -> Actor:
    return await first_admin(ctx)


@pytest.fixture
async def bob(ctx: Context, admin: Actor) -> Actor:
    return await person(ctx, admin, "bob@example.com")


async def _kinds(ctx: Context) -> list[str]:
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute("select kind from entry order by id")
        return [row[0] for row in await cursor.fetchall()]


async def test_adding_with_everything(ctx: Context, admin: Actor, bob: Actor) -> None:
    await add_group(ctx, admin, "dba")
    added = await add_principal(
        ctx,
        admin,
        PrincipalFacts(
            email="Carol@Example.com",
            name="  Carol   Jones ",
            roles=frozenset({DaypassRole.AUDITOR}),
            groups=frozenset({"dba"}),
            attributes={"region": "eu", "level": 3, "teams": ["a", "b"], "share": 0.5},
            manager="bob@example.com",
        ),
    )
    assert added.principal.email == "carol@example.com"
    assert added.name == "Carol Jones"
    assert added.principal.roles == {DaypassRole.AUDITOR, DaypassRole.MEMBER}
    assert added.principal.groups == {"dba"}
    assert added.principal.attributes == {
        "region": "eu",
        "level": 3,
        "teams": ("a", "b"),
        "share": 0.5,
    }
    assert added.manager == "bob@example.com"
    with pytest.raises(Conflict):
        await add_principal(ctx, admin, PrincipalFacts(email="carol@example.com", name="C"))


@pytest.mark.parametrize(
    "facts",
    [
        PrincipalFacts(email="nobody", name="x"),
        PrincipalFacts(email="a@b\n.com", name="x"),
        PrincipalFacts(email="a@example.com", name="\u202e"),
        PrincipalFacts(email="a@example.com", name=" "),
        PrincipalFacts(email="a@example.com", name="x", manager="ghost@example.com"),
        PrincipalFacts(email="a@example.com", name="x", owner="ghost@example.com"),
        PrincipalFacts(email="a@example.com", name="x", attributes={"Bad Name": 1}),
        PrincipalFacts(email="a@example.com", name="x", attributes={"nested": {"a": 1}}),
        PrincipalFacts(email="a@example.com", name="x", attributes={"nan": float("nan")}),
        PrincipalFacts(email="a@example.com", name="x", attributes={"deep": [[1]]}),
    ],
)
async def test_wrong_facts(ctx: Context, admin: Actor, facts: PrincipalFacts) -> None:
    with pytest.raises(Invalid) as caught:
        await add_principal(ctx, admin, facts)
    assert caught.value.problems


async def test_members_change_nobody_and_raise_nothing(
    ctx: Context, admin: Actor, bob: Actor
) -> None:
    async def code(principal: Actor, change: PrincipalChange) -> str:
        with pytest.raises(Error) as caught:
            await change_principal(ctx, bob, principal.id, change)
        return caught.value.detail_code

    own_roles = PrincipalChange(roles=frozenset({DaypassRole.ADMIN}))
    assert await code(bob, own_roles) == "daypass_role"
    assert await code(bob, PrincipalChange(attributes={"region": "us"})) == "daypass_role"
    assert await code(bob, PrincipalChange(manager="ada@example.com")) == "daypass_role"
    assert await code(admin, PrincipalChange(name="Eve")) == "principal_not_found"
    for attempt in (
        add_principal(ctx, bob, PrincipalFacts(email="eve@example.com", name="Eve")),
        add_group(ctx, bob, "dba"),
        put_in_group(ctx, bob, "dba", bob.id),
        take_out_of_group(ctx, bob, "dba", bob.id),
        principal_leaves(ctx, bob, bob.id, reason="why not"),
    ):
        with pytest.raises(Denied) as caught:
            await attempt
        assert caught.value.detail_code == "daypass_role"
    with pytest.raises(NotFound):
        await principal_leaves(ctx, bob, admin.id, reason="sabotage")
    changed = await change_principal(ctx, bob, bob.id, PrincipalChange(name="Robert"))
    assert changed.name == "Robert"


async def test_an_admins_weak_token_is_no_admin(ctx: Context, admin: Actor, bob: Actor) -> None:
    weak = using(admin, await token_of(ctx, admin, Capability.READ, Capability.APPROVE))
    with pytest.raises(Denied):
        await change_principal(ctx, weak, bob.id, PrincipalChange(name="x"))
    with pytest.raises(Denied):
        await add_group(ctx, weak, "dba")


async def test_changes_are_recorded_and_raise_the_revision(
    ctx: Context, admin: Actor, bob: Actor
) -> None:
    before = await show_principal(ctx, admin, bob.id)
    change = PrincipalChange(roles=frozenset({DaypassRole.AUDITOR}), manager="ada@example.com")
    after = await change_principal(ctx, admin, bob.id, change, expected_revision=before.revision)
    assert after.revision == before.revision + 1
    assert after.principal.manager == "ada@example.com"
    with pytest.raises(Conflict) as caught:
        await change_principal(
            ctx, admin, bob.id, PrincipalChange(name="x"), expected_revision=before.revision
        )
    assert caught.value.detail_code == "revision_changed"
    assert (await change_principal(ctx, admin, bob.id, change)).revision == after.revision
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute(
            "select content -> 'changed' from entry where kind = 'principal.changed'"
        )
        assert await cursor.fetchall() == [
            (
                {
                    "roles": {"from": ["member"], "to": ["auditor", "member"]},
                    "manager": {"from": None, "to": admin.id},
                },
            )
        ]
    assert (await change_principal(ctx, admin, bob.id, PrincipalChange(manager=""))).manager is None


async def test_groups(ctx: Context, admin: Actor, bob: Actor) -> None:
    group = await add_group(ctx, admin, "dba")
    assert group.members == 0
    for _ in range(2):
        await put_in_group(ctx, admin, "dba", bob.id)
    fresh = await actor_of(ctx, "bob@example.com")
    assert fresh.principal.groups == {"dba"}
    _, members = await show_group(ctx, fresh, "dba")
    assert members is not None
    assert [each.id for each in members] == [bob.id]
    await take_out_of_group(ctx, admin, "dba", bob.id)
    _, members = await show_group(ctx, bob, "dba")
    assert members is None
    kinds = await _kinds(ctx)
    assert kinds.count("group.changed") == 3
    with pytest.raises(Conflict):
        await add_group(ctx, admin, "dba")
    with pytest.raises(Invalid):
        await add_group(ctx, admin, "D B A")


async def test_who_sees_whom(ctx: Context, admin: Actor, bob: Actor) -> None:
    auditor = await person(ctx, admin, "aud@example.com", DaypassRole.AUDITOR)
    agent = await person(ctx, admin, "agent@example.com", owner="bob@example.com")

    async def seen_by(actor: Actor) -> list[int]:
        found = await list_principals(ctx, actor, PrincipalFilter(), after=0, limit=50)
        return [each.id for each in found]

    assert await seen_by(bob) == [bob.id, agent.id]
    assert await seen_by(auditor) == [admin.id, bob.id, auditor.id, agent.id]
    assert (await show_principal(ctx, bob, agent.id)).owner == "bob@example.com"
    for hidden in (admin.id, auditor.id):
        with pytest.raises(NotFound):
            await show_principal(ctx, bob, hidden)


async def test_the_last_admin_stays(ctx: Context, admin: Actor, bob: Actor) -> None:
    demote = PrincipalChange(roles=frozenset())
    with pytest.raises(Conflict) as caught:
        await change_principal(ctx, admin, admin.id, demote)
    assert caught.value.detail_code == "last_admin"
    with pytest.raises(Conflict):
        await principal_leaves(ctx, admin, admin.id, reason="bye")
    # A service account is no admin anybody can ask.
    await person(ctx, admin, "robot@example.com", DaypassRole.ADMIN, owner="ada@example.com")
    with pytest.raises(Conflict):
        await change_principal(ctx, admin, admin.id, demote)


async def test_two_admins_cannot_take_each_other_away(ctx: Context, admin: Actor) -> None:
    other = await person(ctx, admin, "olga@example.com", DaypassRole.ADMIN)
    done = await asyncio.gather(
        principal_leaves(ctx, admin, other.id, reason="no, you"),
        change_principal(ctx, other, admin.id, PrincipalChange(roles=frozenset())),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Conflict) for each in done) == 1
    async with ctx.store.transaction() as tx:
        assert len(await principals.list_principals(tx, role=DaypassRole.ADMIN)) == 1


async def test_leaving(ctx: Context, admin: Actor, bob: Actor) -> None:
    await add_group(ctx, admin, "dba")
    await put_in_group(ctx, admin, "dba", bob.id)
    agent = await person(ctx, admin, "agent@example.com", owner="bob@example.com")
    heir = await person(ctx, admin, "heir@example.com")
    later = datetime.now(UTC) + timedelta(days=2)
    await delegate_decisions(ctx, bob, to="heir@example.com", ends_at=later)
    left = await principal_leaves(
        ctx, admin, bob.id, reason="left", service_accounts_to="heir@example.com"
    )
    assert left == (bob.id,)
    assert await principal_leaves(ctx, admin, bob.id, reason="again") == ()
    gone = await show_principal(ctx, admin, bob.id)
    assert not gone.active
    assert gone.left_at is not None
    assert gone.groups == []
    account = await show_principal(ctx, heir, agent.id)
    assert account.active
    assert account.owner == "heir@example.com"
    assert await list_delegations(ctx, heir, live=True, after=0, limit=10) == ()
    assert (await _kinds(ctx))[-1] == "principal.changed"
    assert (await _kinds(ctx)).count("principal.left") == 1
    for attempt in (
        put_in_group(ctx, admin, "dba", bob.id),
        change_principal(ctx, admin, bob.id, PrincipalChange(name="x")),
        delegate_decisions(ctx, bob, to="heir@example.com", ends_at=later),
    ):
        with pytest.raises(Conflict) as caught:
            await attempt
        assert caught.value.detail_code == "principal_left"


async def test_coming_back_brings_nothing_back(ctx: Context, admin: Actor) -> None:
    eve = await person(
        ctx, admin, "eve@example.com", DaypassRole.AUDITOR, groups=frozenset({"dba"})
    )
    agent = await person(ctx, admin, "agent@example.com", owner="eve@example.com")
    issued = await token_of(ctx, eve)
    await principal_leaves(ctx, admin, eve.id, reason="left")
    with pytest.raises(Denied):
        await principal_returns(ctx, eve, eve.id)
    with pytest.raises(Conflict) as caught:
        await principal_returns(ctx, admin, agent.id)
    assert caught.value.detail_code == "principal_left"
    back = await principal_returns(ctx, admin, eve.id)
    assert back.active
    assert (back.roles, back.groups, back.left_at) == (["member"], [], None)
    with pytest.raises(Unauthenticated):
        await authenticate(ctx, BearerToken(issued.secret), address="", application="")
    again = await principal_returns(ctx, admin, agent.id, owner="ada@example.com")
    assert again.owner == "ada@example.com"
    assert (await principal_returns(ctx, admin, eve.id)).revision == back.revision


async def test_an_account_is_not_given_to_somebody_leaving(
    ctx: Context, admin: Actor, bob: Actor
) -> None:
    facts = PrincipalFacts(email="agent@example.com", name="Agent", owner="bob@example.com")
    added, _ = await asyncio.gather(
        add_principal(ctx, admin, facts),
        principal_leaves(ctx, admin, bob.id, reason="left"),
        return_exceptions=True,
    )
    async with ctx.store.transaction() as tx:
        account = await principals.find_principal(tx, "agent@example.com")
    assert isinstance(added, Invalid) if account is None else not account.active


async def test_delegation(ctx: Context, admin: Actor, bob: Actor) -> None:
    carol = await person(ctx, admin, "carol@example.com")
    dave = await person(ctx, admin, "dave@example.com")
    soon, later = (datetime.now(UTC) + timedelta(days=days) for days in (1, 2))
    now_ = await delegate_decisions(
        ctx, bob, to="Carol@example.com", ends_at=later, reason="holidays"
    )
    future = await delegate_decisions(
        ctx, admin, to="carol@example.com", starts_at=soon, ends_at=later
    )
    await delegate_decisions(ctx, carol, to="dave@example.com", ends_at=later)
    assert (now_.live, future.live) == (True, False)
    async with ctx.store.transaction() as tx:
        assert await delegations.givers_to(tx, carol.id) == (bob.id,)
        assert await delegations.givers_to(tx, dave.id) == (carol.id,)  # not handed on
    with pytest.raises(NotFound):
        await end_delegation(ctx, dave, now_.id)
    await end_delegation(ctx, carol, now_.id)
    await end_delegation(ctx, bob, now_.id)
    async with ctx.store.transaction() as tx:
        assert await delegations.givers_to(tx, carol.id) == ()
        await tx.execute("update principal set active = false where id = %s", (carol.id,))
        assert await delegations.givers_to(tx, dave.id) == ()
    seen = await list_delegations(ctx, bob, live=None, after=0, limit=10)
    assert [each.id for each in seen] == [now_.id]


@pytest.mark.parametrize(
    ("to", "days"),
    [("bob@example.com", 1), ("ghost@example.com", 1), ("ada@example.com", 93)],
)
async def test_wrong_delegations(
    ctx: Context, admin: Actor, bob: Actor, to: str, days: int
) -> None:
    ends_at = datetime.now(UTC) + timedelta(days=days)
    with pytest.raises(Invalid):
        await delegate_decisions(ctx, bob, to=to, ends_at=ends_at)


async def test_delegating_needs_the_capability(ctx: Context, bob: Actor, admin: Actor) -> None:
    weak = using(bob, await token_of(ctx, bob, Capability.READ))
    ends_at = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(Denied) as caught:
        await delegate_decisions(ctx, weak, to="ada@example.com", ends_at=ends_at)
    assert caught.value.detail_code == "token_capability"
