"""What an access token opened ends with it, and with whoever it was of."""

from __future__ import annotations

import time

import psycopg
import pytest

from daypass.domain.ids import TokenId
from daypass.domain.principal import Actor
from daypass.domain.secret import Secret
from daypass.operations.change_password import change_password
from daypass.operations.principal_leaves import principal_leaves
from daypass.operations.revoke_token import revoke_token
from daypass.store import tokens
from tests.gateways import Gate
from tests.world import PASSWORD

_Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def _ends(connection: _Connection, says: str, within_s: float = 1.0) -> None:
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match=says):
        await _on_and_on(connection, began + 10)
    assert time.monotonic() - began < within_s + 1


async def _on_and_on(connection: _Connection, until: float) -> None:
    while time.monotonic() < until:
        await connection.execute("select pg_sleep(0.02)")


async def _token_ids(gate: Gate, ada: Actor) -> list[int]:
    async with gate.world.ctx.store.connection() as connection:
        found = await tokens.list_tokens(connection, principal_id=ada.id, live=True)
    return [each.id for each in found]


async def test_a_revoked_token_ends_its_sessions_and_no_others(gate: Gate) -> None:
    here = gate.world
    await here.grant("ada", "sales.*")
    ada = await here.actor("ada")
    first, second = await gate.token("ada"), await gate.token("ada")
    async with (
        await gate.connect("ada", first) as lost,
        await gate.connect("ada", first) as lost_too,
        await gate.connect("ada", second) as kept,
    ):
        (number, *_) = await here.rows("select token_id from session order by id limit 1")
        await revoke_token(here.ctx, ada, TokenId(int(str(number[0]))))
        await _ends(lost, "its access token was revoked")
        await _ends(lost_too, "its access token was revoked")
        assert await (await kept.execute("select 1")).fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            await gate.connect("ada", first)
    killed = await here.rows(
        "select content->>'reason' from entry where kind = 'session.killed' order by id"
    )
    assert killed == [("token revoked",)] * 2


async def test_whoever_leaves_loses_their_sessions(gate: Gate) -> None:
    here = gate.world
    await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as lost:
        ada = await here.actor("ada")
        await principal_leaves(here.ctx, await here.actor("robin"), ada.id, reason="left us")
        await _ends(lost, "ended")


async def test_an_admin_revokes_somebody_elses(gate: Gate) -> None:
    here = gate.world
    await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as lost:
        ada = await here.actor("ada")
        for each in await _token_ids(gate, ada):
            await revoke_token(here.ctx, await here.actor("robin"), TokenId(each))
        await _ends(lost, "its access token was revoked")


async def test_a_new_password_leaves_what_access_tokens_opened(gate: Gate) -> None:
    here = gate.world
    await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as kept:
        ada = await here.actor("ada")
        assert await _token_ids(gate, ada)
        await change_password(
            here.ctx, ada, old=PASSWORD, new=Secret("another-cold-kettle-51"), cookie=None
        )
        assert await (await kept.execute("select 1")).fetchone() == (1,)
