"""Say where clients of databases connect to, and which certificate they find there."""

from __future__ import annotations

from typing import Final

from daypass.domain.principal import Actor
from daypass.operations.context import Context
from daypass.store.gateways import GatewayRow, forget_gateway, list_gateways, note_gateway

_SILENT_S: Final = 15.0


async def list_live_gateways(ctx: Context, actor: Actor) -> tuple[GatewayRow, ...]:
    """List the gateways that are alive; whoever is known may know where they are."""
    del actor
    async with ctx.store.connection() as connection:
        return await list_gateways(connection, _SILENT_S)


async def announce_gateway(
    ctx: Context, *, engine: str, host: str, port: int, tls: str, certificate: str
) -> None:
    """Say where this process takes clients in."""
    async with ctx.store.transaction() as tx:
        await note_gateway(
            tx,
            ctx.process_id,
            engine=engine,
            host=host,
            port=port,
            tls=tls,
            certificate=certificate,
        )


async def withdraw_gateway(ctx: Context) -> None:
    """Say that this process takes nobody in any more."""
    async with ctx.store.transaction() as tx:
        await forget_gateway(tx, ctx.process_id)
