"""A repeated call with an idempotency key acts once and answers the same."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from daypass.domain.principal import Actor
from daypass.operations.context import Context

Connect = Callable[..., httpx.AsyncClient]
ClientOf = Callable[..., Awaitable[httpx.AsyncClient]]
BODY = {"name": "laptop", "capabilities": ["read"], "valid_for": "30m"}


async def _count(ctx: Context, what: str) -> int:
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute(what.encode())
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


TOKENS = "select count(*) from access_token where name = 'laptop'"


async def test_one_after_the_other(ctx: Context, client_of: ClientOf, bob: Actor) -> None:
    client = await client_of(bob)
    key = {"Idempotency-Key": "k1"}
    first = await client.post("/api/v1/tokens", json=BODY, headers=key)
    second = await client.post("/api/v1/tokens", json=BODY, headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    assert first.json()["token"].startswith("dpt_")
    # A secret is shown once: the repeated answer lacks it, and so does the store.
    assert second.json() == {**first.json(), "token": None}
    assert await _count(ctx, TOKENS) == 1
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute("select response::text from idempotency_key")
        assert first.json()["token"] not in str(await cursor.fetchall())


async def test_many_at_once(ctx: Context, client_of: ClientOf, bob: Actor) -> None:
    client = await client_of(bob)
    answers = await asyncio.gather(
        *(
            client.post("/api/v1/tokens", json=BODY, headers={"Idempotency-Key": "k2"})
            for _ in range(5)
        )
    )
    assert {each.status_code for each in answers} == {201}
    assert len({each.json()["id"] for each in answers}) == 1
    assert sum(each.json()["token"] is not None for each in answers) == 1
    assert await _count(ctx, TOKENS) == 1


async def test_a_key_is_for_one_call(
    ctx: Context, client_of: ClientOf, bob: Actor, admin: Actor
) -> None:
    client, other = await client_of(bob), await client_of(admin)
    key = {"Idempotency-Key": "k3"}
    await client.post("/api/v1/tokens", json=BODY, headers=key)
    reused = await client.post("/api/v1/tokens", json={**BODY, "name": "phone"}, headers=key)
    assert reused.status_code == 409
    assert reused.json()["code"] == "idempotency_key_reused"
    # Keys are each principal's own.
    assert (await other.post("/api/v1/tokens", json=BODY, headers=key)).status_code == 201
    assert await _count(ctx, TOKENS) == 2


async def test_what_failed_may_be_tried_again(
    ctx: Context, client_of: ClientOf, admin: Actor
) -> None:
    boss = await client_of(admin)
    key = {"Idempotency-Key": "k4"}
    body = {"email": "carol@example.com", "name": "Carol", "manager": "bob@example.com"}
    missing = await boss.post("/api/v1/principals", json=body, headers=key)
    assert missing.status_code == 422
    bob = {"email": "bob@example.com", "name": "Bob"}
    assert (await boss.post("/api/v1/principals", json=bob)).status_code == 201
    found = await boss.post("/api/v1/principals", json=body, headers=key)
    assert found.status_code == 201


async def test_what_nobody_knows_the_end_of_does_not_act_twice(
    ctx: Context, client_of: ClientOf, bob: Actor
) -> None:
    client = await client_of(bob)
    key = {"Idempotency-Key": "k5"}
    await client.post("/api/v1/tokens", json=BODY, headers=key)
    async with ctx.store.transaction() as tx:
        # As after a process was killed between acting and keeping its answer.
        await tx.execute(
            "update idempotency_key set status = null, response = null,"
            " created_at = now() - interval '1 hour'"
        )
    unknown = await client.post("/api/v1/tokens", json=BODY, headers=key)
    assert unknown.status_code == 409
    assert unknown.json()["code"] == "idempotency_unknown"
    assert await _count(ctx, TOKENS) == 1


async def test_keys_have_a_form(client_of: ClientOf, bob: Actor) -> None:
    client = await client_of(bob)
    for key in ("", "x" * 201):
        answer = await client.post("/api/v1/tokens", json=BODY, headers={"Idempotency-Key": key})
        assert answer.status_code == 400
