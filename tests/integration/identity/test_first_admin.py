"""The one-time link that makes the first admin."""

import asyncio

import pytest

from daypass.domain.errors import Error, Invalid, NotFound
from daypass.domain.principal import DaypassRole
from daypass.domain.secret import Secret
from daypass.operations.context import Context
from daypass.operations.make_first_admin import (
    check_first_admin_link,
    make_first_admin,
    offer_first_admin,
)
from daypass.store import principals
from tests.people import PASSWORD, actor_of, first_admin


async def _offer(ctx: Context) -> Secret:
    offer = await offer_first_admin(ctx)
    assert offer is not None
    assert offer.url.reveal().startswith("http://daypass.test/first-admin?token=")
    assert "token=" not in repr(offer)
    return Secret(offer.url.reveal().partition("token=")[2])


async def _make(ctx: Context, token: Secret, email: str = "ada@example.com") -> int:
    return await make_first_admin(
        ctx, token, email=email, name="Ada", password=PASSWORD, address="", application=""
    )


async def test_the_link_makes_one_admin_once(ctx: Context) -> None:
    token = await _offer(ctx)
    await check_first_admin_link(ctx, token)
    done = await asyncio.gather(
        _make(ctx, token), _make(ctx, token, "mallory@example.com"), return_exceptions=True
    )
    assert sum(isinstance(each, int) for each in done) == 1
    assert sum(isinstance(each, NotFound) for each in done) == 1
    async with ctx.store.transaction() as tx:
        admins = await principals.list_principals(tx, role=DaypassRole.ADMIN)
    assert len(admins) == 1
    with pytest.raises(NotFound):
        await _make(ctx, token, "eve@example.com")
    assert await offer_first_admin(ctx) is None


async def test_a_new_link_ends_the_old_one(ctx: Context) -> None:
    old, new = await _offer(ctx), await _offer(ctx)
    with pytest.raises(NotFound):
        await _make(ctx, old)
    await _make(ctx, new)
    assert (await actor_of(ctx, "ada@example.com")).has_role(DaypassRole.ADMIN)


async def test_an_expired_link_is_like_a_wrong_one(ctx: Context) -> None:
    token = await _offer(ctx)
    async with ctx.store.transaction() as tx:
        await tx.execute("update first_admin_link set expires_at = now()")
    seen = []
    for each in (token, Secret("wrong"), Secret("")):
        with pytest.raises(NotFound) as caught:
            await _make(ctx, each)
        seen.append((caught.value.message, caught.value.detail_code))
    assert len(set(seen)) == 1


async def test_a_link_is_useless_once_there_is_an_admin(ctx: Context) -> None:
    token = await _offer(ctx)
    await first_admin(ctx)
    with pytest.raises(NotFound):
        await check_first_admin_link(ctx, token)
    with pytest.raises(NotFound):
        await _make(ctx, token, "eve@example.com")


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("not an address", PASSWORD),
        ("ada@example.com", Secret("short")),
        ("ada@example.com", Secret("password1234")),
        ("ada.lovelace@example.com", Secret("ada.lovelace@example.com1")),
    ],
)
async def test_wrong_input_leaves_the_link_usable(
    ctx: Context, email: str, password: Secret
) -> None:
    token = await _offer(ctx)
    with pytest.raises(Invalid) as caught:
        await make_first_admin(
            ctx, token, email=email, name="Ada", password=password, address="", application=""
        )
    assert isinstance(caught.value, Error)
    assert caught.value.problems
    await _make(ctx, token)
