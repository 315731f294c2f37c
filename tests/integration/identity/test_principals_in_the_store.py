"""Principals and groups as the store keeps them."""

import pytest

from daypass.domain.errors import Conflict, NotFound
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import DaypassRole, PrincipalKind
from daypass.operations.context import Context
from daypass.store import groups, principals
from daypass.store.database import Tx


async def _person(tx: Tx, email: str, manager: PrincipalId | None = None) -> PrincipalId:
    return await principals.add_principal(
        tx,
        principals.NewPrincipal(
            kind=PrincipalKind.PERSON,
            name=email.partition("@")[0],
            email=email,
            roles=frozenset({DaypassRole.MEMBER}),
            attributes={"region": "eu", "shifts": (1, 2)},
            scram_salt=bytes(16),
            scram_iterations=4096,
            manager_id=manager,
        ),
    )


async def test_facts_come_back_as_policy_knows_them(ctx: Context) -> None:
    async with ctx.store.transaction() as tx:
        boss = await _person(tx, "boss@example.com")
        alice = await _person(tx, "alice@example.com", boss)
        oncall = await groups.add_group(tx, "oncall")
        assert await groups.add_member(tx, oncall, alice)
        assert not await groups.add_member(tx, oncall, alice)
        found = await principals.find_principal(tx, " Alice@Example.com")
        assert found == await principals.get_principal(tx, alice)
        assert found is not None
        assert found.groups == {"oncall"}
        assert found.manager == "boss@example.com"
        assert found.attributes == {"region": "eu", "shifts": (1, 2)}
        in_group = await principals.list_principals(tx, group="oncall")
        assert [each.id for each in in_group] == [alice]
        assert (await groups.get_group(tx, "oncall")).members == 1


async def test_what_does_not_exist_is_said_so(ctx: Context) -> None:
    async with ctx.store.transaction() as tx:
        assert await principals.find_principal(tx, "nobody@example.com") is None
        with pytest.raises(NotFound):
            await principals.lock_principal(tx, PrincipalId(12345))
        with pytest.raises(NotFound):
            await principals.hold_principal(tx, PrincipalId(12345))
        with pytest.raises(NotFound):
            await groups.get_group(tx, "nobodies")


async def test_an_address_is_taken_once(ctx: Context) -> None:
    async with ctx.store.transaction() as tx:
        await _person(tx, "alice@example.com")
        with pytest.raises(Conflict, match="already known"):
            await _person(tx, "alice@example.com")
