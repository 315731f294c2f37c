"""One gateway process's work: it takes clients in, keeps their sessions, and lets go of them."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import psycopg
import structlog

from daypass.cancelling import cancellable, heed_cancellation
from daypass.domain.errors import Conflict, Error
from daypass.domain.ids import PrincipalId
from daypass.domain.permit import SessionPermit
from daypass.domain.principal import Actor
from daypass.engines.relay_contract import Line, RelayEngine
from daypass.gateway.certificate import ServerTls
from daypass.gateway.client_port import ClientPort
from daypass.gateway.closing import Closing
from daypass.gateway.journal.clock import StoreClock, moment
from daypass.gateway.keys import number_meant
from daypass.gateway.limits import HANDSHAKE_BYTES, ConnectionLimits, Places
from daypass.gateway.live import LiveSessions
from daypass.gateway.reception import Reception
from daypass.gateway.session import GatewaySession, SessionLog, SessionPorts
from daypass.gateway.throttle import Pace, Throttle
from daypass.gateway.watch import Watch
from daypass.gateway.wording import shutting_down
from daypass.operations.context import Context
from daypass.operations.live_sessions import pass_cancel_on
from daypass.store.grants import GrantRow
from daypass.store.processes import forget_process, note_process

_log = structlog.get_logger(__name__)

_BACKLOG: Final = 1024
_CANCELS_AT_ONCE: Final = 50
_HEARTBEAT_S: Final = 3.0
_DRAIN_LOOK_S: Final = 0.1
_LAST_S: Final = 5.0
_WAITING_FOR_ONE: Final = 4
"""So many times the sessions of a person may wait or be open in one process."""


class OpensLogs(Protocol):
    """Where sessions' statements are written down."""

    def open_log(self, permit: SessionPermit, actor: Actor, grant: GrantRow) -> SessionLog:
        """Begin to write a session's statements down."""


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How a gateway behaves; `per_person` counts sessions on one instance, in all processes.

    How many statements and connections one person may have is counted in each process; 0 is any.
    """

    tls: str = "required"
    per_person: int = 50
    statements_per_s: float = 0
    connects_per_minute: float = 0
    longest_wait: timedelta = timedelta(hours=1)
    drain_s: float = 30.0
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)


class Gateway:
    """A gateway of one kind of database; `serving` runs it."""

    def __init__(
        self,
        ctx: Context,
        engine: RelayEngine,
        tls: ServerTls | None,
        logs: OpensLogs,
        clock: StoreClock,
        options: GatewayOptions,
    ) -> None:
        self.ctx = ctx
        self.engine = engine
        if tls is not None:
            tls.context.set_alpn_protocols([engine.alpn])
        self.tls = tls
        self.options = options
        self.places = Places(options.limits)
        self.throttle = Throttle()
        self.live = LiveSessions()
        self.cancel_secret = ctx.secrets.derive("keys to cancel by")
        self.watch = Watch(ctx, clock, self.live, self._cancel_asked)
        self.closing = Closing(ctx, self._spawn)
        statements = options.statements_per_s
        self.ports = SessionPorts(
            clock,
            self._spawn,
            self._cancel_line,
            Pace(statements, burst=statements),
            self._session_over,
        )
        self._connects = Pace(options.connects_per_minute / 60, burst=options.connects_per_minute)
        self._logs = logs
        self._clock = clock
        self._group: asyncio.TaskGroup | None = None
        self._receptions: dict[Reception, None] = {}
        """In the order in which they came."""
        self._of_person: Counter[int] = Counter()
        self._held: dict[GatewaySession, tuple[int | None, str, SessionLog]] = {}
        self._cancels = asyncio.Semaphore(_CANCELS_AT_ONCE)
        self._draining = False

    @property
    def group(self) -> asyncio.TaskGroup:
        """Return the group that every task of the gateway is in."""
        if self._group is None:
            raise RuntimeError("the gateway does not run")
        return self._group

    @asynccontextmanager
    async def serving(
        self, sockets: Sequence[socket.socket], *, beats: bool = False
    ) -> AsyncIterator[None]:
        """Take clients in until the block ends, then drain.

        `beats` tells the store that this process is alive, where nobody else of it does.
        """
        loop = asyncio.get_running_loop()
        if beats:
            await self._beat()
        await self.watch.look()
        async with asyncio.TaskGroup() as group:
            self._group = group
            background = [
                group.create_task(self.watch.run(), name="gateway-watch"),
                group.create_task(cancellable(self.closing.run()), name="gateway-strays"),
            ]
            if beats:
                background.append(
                    group.create_task(cancellable(self._heartbeat()), name="gateway-heartbeat")
                )
            servers = [
                await loop.create_server(self._arriving, sock=each, backlog=_BACKLOG)
                for each in sockets
            ]
            try:
                yield
            finally:
                self._draining = True
                self.closing.stop()
                for server in servers:
                    server.close()
                try:
                    await self._drain()
                finally:
                    for task in background:
                        task.cancel()
        if beats:
            with suppress(Error, psycopg.Error, TimeoutError):
                async with asyncio.timeout(_LAST_S), self.ctx.store.transaction() as tx:
                    await forget_process(tx, self.ctx.process_id)

    # Clients

    def _arriving(self) -> _Arrival:
        return _Arrival(self)

    def receive(self, port: ClientPort, address: str) -> str | None:
        """Begin with a client, or say why not."""
        if self._draining:
            return "draining"
        crowd = self.places.crowd(address)
        if crowd is not None:
            for each in self._receptions:
                if each.gives_way(crowd):
                    _log.warning("handshake_gave_way", place=crowd)
                    break
        full = self.places.take(address)
        if full is not None:
            _log.warning("client_turned_away", address=address, reason=full)
            return full
        reception = Reception(self, port, address)
        self._receptions[reception] = None
        port.hand_to(reception)
        return None

    def hold_place(self, principal_id: PrincipalId) -> PrincipalId:
        """Count a client of somebody who is known; raises `Conflict` when there are too many."""
        moment = time.monotonic()
        wait_s = self._connects.wait_s(principal_id, moment)
        if wait_s > 0:
            # Each makes a role on the target, and entries in the log.
            raise Conflict(
                f"you connect more often than {self.options.connects_per_minute:g} times a minute",
                next_step=f"keep connections open, and try again in {int(wait_s) + 1} seconds",
                code="too_many_connections",
            )
        self._connects.spend(principal_id, moment)
        if self._of_person[principal_id] >= self.options.per_person * _WAITING_FOR_ONE:
            raise Conflict(
                "you have too many connections to this gateway",
                next_step="close some of them",
                code="too_many_connections",
            )
        self._of_person[principal_id] += 1
        return principal_id

    def let_go(self, reception: Reception, principal_id: int | None, address: str) -> None:
        """Give the places of a client back that was not let in."""
        self._receptions.pop(reception, None)
        self._give_back(principal_id, address)

    def keep(
        self,
        reception: Reception,
        session: GatewaySession,
        log: SessionLog,
        principal_id: int | None,
        address: str,
    ) -> None:
        """Keep the session of a client that was let in."""
        self._receptions.pop(reception, None)
        self._held[session] = (principal_id, address, log)
        self.live.add(session)

    def open_log(self, permit: SessionPermit, actor: Actor, grant: GrantRow) -> SessionLog:
        """Begin to write a session's statements down."""
        return self._logs.open_log(permit, actor, grant)

    def left_until(self, deadline: datetime) -> timedelta:
        """Return how long it is to a moment, by the store's clock."""
        return deadline - moment(self._clock.now_us())

    # Cancelling

    async def cancel_by_key(self, key: bytes) -> None:
        """Cancel what runs in the session of a key, wherever it is kept; a wrong key does nothing.

        Returns once that was sent, or passed on.
        """
        number = number_meant(self.cancel_secret, key)
        if number is None:
            return
        session = self.live.by_key(number)
        if session is not None:
            await session.cancel_now()
        else:
            await pass_cancel_on(self.ctx, number)

    def _cancel_asked(self, number: int) -> None:
        session = self.live.by_key(number)
        if session is not None:
            session.cancel()

    async def _cancel_line(self, line: Line) -> None:
        async with self._cancels:
            await line.cancel()

    # Ends of sessions

    def _session_over(self, session: GatewaySession, reason: str) -> None:
        self.live.drop(session)
        held = self._held.pop(session, None)
        if held is not None:
            principal_id, address, log = held
            log.end_all("lost")
            self._give_back(principal_id, address)
        self.closing.close(session.permit, reason)

    def _give_back(self, principal_id: int | None, address: str) -> None:
        self.places.left(address)
        if principal_id is not None:
            self._of_person[principal_id] -= 1
            if not self._of_person[principal_id]:
                del self._of_person[principal_id]

    async def _drain(self) -> None:
        """Let sessions end at a good moment, within a bound; whoever waits to be let in goes."""
        for reception in tuple(self._receptions):
            reception.stop()
        until = time.monotonic() + self.options.drain_s
        for session in await self._idle_until(until):
            session.end(shutting_down())
        await self._idle_until(time.monotonic() + _LAST_S)

    async def _idle_until(self, until: float) -> list[GatewaySession]:
        """End sessions as they become idle; return those that still run when the time is over."""
        while len(self.live) and time.monotonic() < until:
            for session in self.live.all():
                if session.relay is not None and session.relay.idle:
                    session.end(shutting_down())
            await asyncio.sleep(_DRAIN_LOOK_S)
        return self.live.all()

    # Inside

    def _spawn(self, work: Awaitable[None], name: str) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception:  # noqa: BLE001 - logged; nobody waits for it
                _log.exception("gateway_task_failed", task=name)

        self.group.create_task(guarded(), name=name)

    async def _beat(self) -> None:
        async with self.ctx.store.transaction() as tx:
            await note_process(
                tx, self.ctx.process_id, "gateway", socket.gethostname(), os.getpid()
            )

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            try:
                await self._beat()
            except (Error, psycopg.Error, OSError) as error:
                _log.warning("heartbeat_failed", error=str(error))
            heed_cancellation()


class _Arrival(ClientPort):
    """A client's connection that finds its gateway."""

    __slots__ = ("_gateway",)

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(HANDSHAKE_BYTES)
        self._gateway = gateway

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with the client, or hang up."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        address = peer[0].removeprefix("::ffff:") if peer else ""
        sock = transport.get_extra_info("socket")
        if sock is not None and peer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
        if self._gateway.receive(self, address) is not None:
            self.abort()
