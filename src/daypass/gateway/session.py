"""One session: a client and its line, with the engine's relay between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog

from daypass.domain.errors import Error, Unavailable
from daypass.domain.ids import GrantId, SessionId
from daypass.domain.permit import SessionPermit
from daypass.engines.relay_contract import Ended, Line, Refused, Relay, Started
from daypass.gateway.client_port import ClientPort
from daypass.gateway.journal.clock import StoreClock, moment
from daypass.gateway.throttle import Pace
from daypass.gateway.wording import deadline_came, deadline_moved, ends_soon

_log = structlog.get_logger(__name__)

_WARNED_BEFORE: Final = (timedelta(minutes=5), timedelta(minutes=1))
_LAST_WORDS_S: Final = 0.25
"""So long a relay may take to say goodbye at a place of its protocol."""
_CLOSING_S: Final = 5.0
"""So long a client may take to read what was sent to it."""
_SERVER_HIGH_WATER: Final = 256 * 2**10


class SessionLog(Protocol):
    """Where a session's statements are written down before they go on."""

    def started(self, statement: Started) -> int:
        """Write a statement down and return its number; raises `Unavailable` if it cannot."""

    def refused(self, statement: Refused) -> None:
        """Write a refusal down."""

    def ended(self, number: int, end: Ended) -> None:
        """Write down how a statement ended."""

    def end_all(self, outcome: str) -> None:
        """Write down that whatever still runs ended with its session."""

    async def synced(self) -> None:
        """Return once all that was written down is on disk; raises `Unavailable` if it is not."""


@dataclass(frozen=True, slots=True)
class SessionPorts:
    """What a session needs of whoever keeps it.

    `spawn` runs something beside the loop's callbacks; `over` is told once, with the reason.
    """

    clock: StoreClock
    spawn: Callable[[Awaitable[None], str], None]
    cancelled: Callable[[Line], Awaitable[None]]
    pace: Pace
    over: Callable[[GatewaySession, str], None]


class GatewaySession(asyncio.Protocol):
    """The server's end as asyncio sees it, the client's as its port sees it, a relay's as it does.

    It ends no later than its deadline, whoever else is still there by then.
    """

    def __init__(
        self,
        client: ClientPort,
        line: Line,
        permit: SessionPermit,
        database: str,
        log: SessionLog,
        ports: SessionPorts,
    ) -> None:
        self.permit = permit
        self.database = database
        self.deadline = permit.deadline
        self.relay: Relay | None = None
        self.over_reason = ""
        self.shown_since: datetime | None = None
        """Of the statement that others were told of last."""
        self._client = client
        self._line = line
        self._server = line.transport
        self._log = log
        self._ports = ports
        self._timer: asyncio.TimerHandle | None = None
        self._to_server: list[bytes | memoryview] = []
        self._ending = False
        self._holds = 0
        """Reasons for which nothing of the client goes on for now."""
        self._paced = False
        self._server_full = False
        self._client_held = False
        self._left_because = ""
        self._statement_timeout_s = permit.limits.statement_timeout_s
        self._strict = permit.limits.strict
        self._unsynced = False
        """Something in `_to_server` may not go before what was written down of it is on disk."""
        self._syncing = False
        self._limit_timer: asyncio.TimerHandle | None = None

    @property
    def id(self) -> SessionId:
        """Return the session's number."""
        return self.permit.session_id

    @property
    def grant_id(self) -> GrantId:
        """Return the grant it is opened under."""
        return self.permit.grant_id

    def begin(self, relay: Relay, early: bytes) -> None:
        """Begin to relay; `early` is what the client has sent already."""
        self.relay = relay
        self._client.limit_bytes = None
        self._client.hand_to(self)
        self._server.set_write_buffer_limits(high=_SERVER_HIGH_WATER)
        self._server.set_protocol(self)
        self._arm()
        if self._line.reserved:
            self._drive(relay.from_server, self._line.reserved)
        if early:
            self._drive(relay.from_client, early)
        self._server.resume_reading()
        self._client.flush()

    # The client's end

    def receive(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self.relay is not None:
            self._drive(self.relay.from_client, data)
            self._watch_time()

    def tls_started(self, alpn: str | None) -> None:
        """Not again: it started before the client was let in."""

    def gone(self, reason: str) -> None:
        """Note that the client has left; what runs for it is cancelled."""
        if self.over_reason or self.relay is None:
            return
        self._left_because = reason
        # Whoever took leave as it should has what it sent done: that goes on, read by nobody.
        self._guarded(lambda relay: relay.client_gone())
        self.resume()

    def pause(self) -> None:
        """Bring nothing more: the client reads too slowly."""
        if not self._server.is_closing():
            self._server.pause_reading()

    def resume(self) -> None:
        """Bring again."""
        if not self._server.is_closing() and not self.over_reason:
            self._server.resume_reading()

    # The server's end, called by asyncio

    def data_received(self, data: bytes) -> None:
        """Take bytes of the server."""
        if self.relay is not None:
            self._drive(self.relay.from_server, data)
            # Something that waited may run now.
            self._watch_time()

    def eof_received(self) -> None:
        """Note that the server sends no more; `connection_lost` follows."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's own
        """Note that the server has gone."""
        if self.over_reason or self.relay is None:
            return
        self._guarded(lambda relay: relay.server_gone())
        self._finish("the database closed the connection")

    def pause_writing(self) -> None:
        """Take nothing more of the client: the server reads too slowly."""
        self._server_full = True
        self._hold_client()

    def resume_writing(self) -> None:
        """Take of the client again."""
        self._server_full = False
        self._hold_client()

    # What the relay has done for it

    def to_server(self, data: bytes | memoryview) -> None:
        """Send bytes to the server, with whatever else comes out of the same ones."""
        self._to_server.append(data)

    def to_client(self, data: bytes | memoryview) -> None:
        """Send bytes to the client, with whatever else comes out of the same ones."""
        self._client.write(data)

    def started(self, statement: Started) -> int:
        """Write a statement down before it is forwarded."""
        number = self._log.started(statement)
        self._unsynced = self._strict
        self._keep_pace()
        return number

    def refused(self, statement: Refused) -> None:
        """Write a refusal down."""
        self._log.refused(statement)
        self._keep_pace()

    def ended(self, number: int, end: Ended) -> None:
        """Write down how a statement ended."""
        self._log.ended(number, end)

    def cancel(self) -> None:
        """Have what runs on the server cancelled, soon; nothing else goes there before."""
        self._hold()
        self._ports.spawn(self._cancel_held(), f"cancel-{self.id}")

    async def _cancel_held(self) -> None:
        try:
            await self.cancel_now()
        finally:
            self._let_go_on()

    def _hold(self) -> None:
        self._holds += 1
        if self.relay is not None:
            self.relay.hold()

    def _let_go_on(self) -> None:
        self._holds -= 1
        if not self._holds and not self.over_reason:
            self._guarded(lambda relay: relay.resume())
            self._watch_time()

    def _keep_pace(self) -> None:
        """Let somebody who sends more than one may wait: all of it is recorded."""
        loop = asyncio.get_running_loop()
        wait_s = self._ports.pace.spend(self.permit.principal_id, loop.time())
        if wait_s > 0 and not self._paced:
            self._paced = True
            self._hold()
            loop.call_later(wait_s, self._at_pace)

    def _at_pace(self) -> None:
        self._paced = False
        self._let_go_on()

    async def cancel_now(self) -> None:
        """Have what runs on the server cancelled; returns once that was sent."""
        await self._ports.cancelled(self._line)

    def aside(self, work: Callable[[], Awaitable[None]] | None) -> None:
        """Let others have their turn, and work be done, before this session goes on."""
        self._ports.spawn(self._set_aside(work), f"aside-{self.id}")

    def over(self, reason: str) -> None:
        """Close both ends once what was sent is sent."""
        self._finish(self._left_because or reason)

    # Time

    def move_deadline(self, deadline: datetime) -> None:
        """Take over another deadline of the grant, and say so."""
        if deadline == self.deadline:
            return
        self.deadline = deadline
        left = self._left()
        if left > timedelta():
            self.tell(deadline_moved(self.grant_id, deadline, left))
        self._arm()

    def tell(self, text: str) -> None:
        """Give the client a notice."""
        if self.relay is not None and not self._ending and not self.over_reason:
            self._guarded(lambda relay: relay.tell(text))

    def end(self, error: Error) -> None:
        """End the session: tell the client why, cancel what runs, close both ends."""
        if self._ending or self.over_reason or self.relay is None:
            return
        self._ending = True
        self._guarded(lambda relay: relay.end(error))
        if not self.over_reason:
            loop = asyncio.get_running_loop()
            loop.call_later(_LAST_WORDS_S, self._finish, error.message)

    def rearm(self) -> None:
        """Set the timer anew: the clock may have been set."""
        if not self.over_reason:
            self._arm()

    def _watch_time(self) -> None:
        """See to it that what runs is stopped in time: it may have been written down long ago."""
        limit_s = self._statement_timeout_s
        if limit_s is None or self._limit_timer is not None or self.over_reason:
            return
        if self.relay is not None and self.relay.running is not None:
            self._limit_in(limit_s)

    def _limit_in(self, wait_s: float) -> None:
        self._limit_timer = asyncio.get_running_loop().call_later(wait_s, self._limit)

    def _limit(self) -> None:
        """Stop what has run for as long as its rule lets it."""
        self._limit_timer = None
        limit_s = self._statement_timeout_s
        running = self.relay.running if self.relay is not None else None
        if running is None or limit_s is None or self.over_reason:
            return
        left_s = limit_s - (datetime.now(UTC) - running[1]).total_seconds()
        if left_s > 0:
            # Another one by now.
            self._limit_in(left_s)
        else:
            reason = f"the rule of grant {self.grant_id} stops statements after {limit_s:g} s"
            self._guarded(lambda relay: relay.stop_statement(reason))
            self._limit_in(limit_s)

    def _left(self) -> timedelta:
        return self.deadline - moment(self._ports.clock.now_us())

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wait_for(self._left())

    def _wait_for(self, left: timedelta) -> None:
        wait_s = max(0.0, _until_next(left).total_seconds())
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._on_time)

    def _on_time(self) -> None:
        left = self._left()
        if left <= timedelta():
            self.end(deadline_came(self.grant_id, self.database))
            return
        if any(abs(left - before) < timedelta(seconds=1) for before in _WARNED_BEFORE):
            rounded = min(_WARNED_BEFORE, key=lambda before: abs(left - before))
            self.tell(ends_soon(self.grant_id, self.deadline, rounded))
            # Past the moment, so that it is not told twice.
            left -= timedelta(seconds=1)
        self._wait_for(left)

    # Inside

    async def _set_aside(self, work: Callable[[], Awaitable[None]] | None) -> None:
        try:
            await (asyncio.sleep(0) if work is None else work())
        except Exception:  # noqa: BLE001 - logged; nobody knows what the client sent
            _log.exception("text_not_read", session=self.id)
            self._broken()
            return
        if not self.over_reason:
            self._guarded(lambda relay: relay.taken_up())
            self._watch_time()

    def _drive(self, take: Callable[[bytes], None], data: bytes) -> None:
        if self.over_reason:
            return
        try:
            take(data)
        except Exception:  # noqa: BLE001 - logged; a session nobody understands any more ends
            _log.exception("relay_failed", session=self.id)
            self._broken()
        self._flush()

    def _guarded(self, act: Callable[[Relay], None]) -> None:
        if self.relay is None:
            return
        try:
            act(self.relay)
        except Exception:  # noqa: BLE001 - logged; a session nobody understands any more ends
            _log.exception("relay_failed", session=self.id)
            self._finish("the gateway failed", cancel=True)
        self._flush()

    def _broken(self) -> None:
        error = Unavailable("the gateway failed", next_step="connect again", code="gateway_failed")
        if self.relay is not None and not self._ending:
            self._ending = True
            self._guarded(lambda relay: relay.end(error))
        self._finish("the gateway failed", cancel=True)

    def _flush(self) -> None:
        self._flush_server()
        self._client.flush()
        self._hold_client()

    def _hold_client(self) -> None:
        """Read the client only while what it sends has somewhere to go."""
        hold = self._server_full or self._syncing or (self.relay is not None and self.relay.held)
        if hold is not self._client_held and not self.over_reason:
            self._client_held = hold
            if hold:
                self._client.pause_reading()
            else:
                self._client.resume_reading()

    def _flush_server(self) -> None:
        out = self._to_server
        if self._syncing:
            # All that comes meanwhile goes behind it.
            return
        if self._unsynced and out:
            self._syncing = True
            self._ports.spawn(self._sync_first(), f"sync-{self.id}")
            return
        if out:
            self._to_server = []
            if not self._server.is_closing():
                self._server.write(out[0] if len(out) == 1 else b"".join(out))

    async def _sync_first(self) -> None:
        """Send what waits once it is on record on disk; should it not get there, end the session.

        What was written down while this waited is on disk only after the next turn.
        """
        try:
            while self._unsynced and not self.over_reason:
                self._unsynced = False
                await self._log.synced()
        except Unavailable as error:
            self._to_server.clear()
            self.end(error)
            self._finish(error.message)
            return
        self._syncing = False
        if not self.over_reason:
            self._flush()

    def _finish(self, reason: str, cancel: bool = False) -> None:
        if self.over_reason:
            return
        self.over_reason = reason or "it is over"
        for timer in (self._timer, self._limit_timer):
            if timer is not None:
                timer.cancel()
        if self._syncing or self._unsynced:
            # Never sent: nobody can say that it is on record.
            self._to_server.clear()
        self._flush()
        if cancel:
            self.cancel()
        self._client.close()
        if not self._server.is_closing():
            self._server.close()
        loop = asyncio.get_running_loop()
        loop.call_later(_CLOSING_S, self._abort)
        self._ports.over(self, self.over_reason)

    def _abort(self) -> None:
        self._client.abort()
        self._server.abort()


def _until_next(left: timedelta) -> timedelta:
    """Return how long it is to the next warning, or to the end."""
    return min((left - before for before in _WARNED_BEFORE if before < left), default=left)
