"""Put a gateway together: certificate, listeners, journal, and the process's own record."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from daypass.domain.errors import Error, Invalid
from daypass.domain.permit import SessionPermit
from daypass.domain.principal import Actor
from daypass.engines.contract import Engine
from daypass.engines.relay_contract import RelayEngine
from daypass.gateway.certificate import (
    ServerTls,
    given_certificate,
    own_certificate,
    usual_names,
)
from daypass.gateway.gateway import Gateway, GatewayOptions
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.keeping import keep_shipping
from daypass.gateway.journal.limits import JournalLimits
from daypass.gateway.journal.shipping import finish, set_clock
from daypass.gateway.journal.statement_log import StatementLog
from daypass.operations.context import Context
from daypass.operations.show_gateways import announce_gateway, withdraw_gateway
from daypass.operations.statement_entries import PARAMETER_HASHES, Recording
from daypass.store.grants import GrantRow

_WITHDRAW_S: Final = 5.0
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # compared with, not bound to


@dataclass(frozen=True, slots=True)
class GatewayPlace:
    """Where a gateway is: what clients are told, and its journal's and certificate's folder."""

    state_dir: Path
    public_host: str = ""
    public_port: int = 0
    certificate: Path | None = None
    key: Path | None = None
    journal: JournalLimits = field(default_factory=JournalLimits)


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """A gateway that takes clients in, and what they connect to; `certificate` is its file."""

    gateway: Gateway
    host: str
    port: int
    certificate: Path | None


class _Logs:
    """Statements of every session, in this process's journal."""

    def __init__(self, ctx: Context, journal: Journal) -> None:
        self._journal = journal
        self._key = ctx.secrets.derive(PARAMETER_HASHES)

    def open_log(self, permit: SessionPermit, actor: Actor, grant: GrantRow) -> StatementLog:
        """Begin to write a session's statements down."""
        recording = Recording(permit.limits.parameters, self._key)
        return StatementLog(self._journal, permit, actor, grant.rule, recording)


@asynccontextmanager
async def running_gateway(
    ctx: Context,
    engine: Engine,
    sockets: Sequence[socket.socket],
    place: GatewayPlace,
    options: GatewayOptions,
    *,
    beats: bool,
) -> AsyncIterator[RunningGateway]:
    """Take clients in on sockets that are bound, until the block ends; then drain.

    `beats` where nothing else of this process tells the store that it is alive. Raises `Invalid`
    for an engine without a relay or a certificate that cannot be used.
    """
    if not isinstance(engine, RelayEngine):
        raise Invalid(f"there is no gateway for {engine.name}", code="no_relay")
    host, port = _address(sockets, place)
    tls = await asyncio.to_thread(_tls, place, options, host)
    clock = StoreClock()
    await set_clock(ctx, clock)
    folders = JournalFolders(
        place.state_dir / "journal", ctx.secrets.derive("journal"), clock, place.journal
    )
    journal = await asyncio.to_thread(folders.begin)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(finish, ctx, journal)
        await stack.enter_async_context(_shipping(ctx, journal, folders))
        gateway = Gateway(ctx, engine, tls, _Logs(ctx, journal), clock, options)
        await stack.enter_async_context(gateway.serving(sockets, beats=beats))
        await announce_gateway(
            ctx,
            engine=engine.name,
            host=host,
            port=port,
            tls=options.tls,
            certificate=tls.file.read_text(encoding="ascii") if tls is not None else "",
        )
        try:
            yield RunningGateway(gateway, host, port, tls.file if tls is not None else None)
        finally:
            # Nobody is sent here while it drains.
            with suppress(Error, psycopg.Error, TimeoutError):
                async with asyncio.timeout(_WITHDRAW_S):
                    await withdraw_gateway(ctx)


@asynccontextmanager
async def _shipping(ctx: Context, journal: Journal, folders: JournalFolders) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_shipping(ctx, journal, folders), name="gateway-journal")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _address(sockets: Sequence[socket.socket], place: GatewayPlace) -> tuple[str, int]:
    bound, port = sockets[0].getsockname()[:2]
    host = place.public_host or (socket.getfqdn() if bound in _EVERYWHERE else bound)
    return host, place.public_port or port


def _tls(place: GatewayPlace, options: GatewayOptions, host: str) -> ServerTls | None:
    if options.tls == "none":
        return None
    if place.certificate is not None:
        return given_certificate(place.certificate, place.key or place.certificate)
    return own_certificate(place.state_dir / "gateway", usual_names(host), moment=datetime.now(UTC))
