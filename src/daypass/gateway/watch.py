"""Keep in contact with the store: deadlines that move, grants that end, sessions that are killed.

Hints come at once and may be lost; looking each second guarantees. Without contact nothing new is
opened, and what is open ends by the deadline it was last known to have.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import psycopg
import structlog

from daypass.cancelling import cancellable, heed_cancellation
from daypass.domain.errors import Error, Unavailable
from daypass.domain.ids import RequestId, SessionId
from daypass.domain.states import GrantState, SessionState
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.live import LiveSessions
from daypass.gateway.wording import why_ended
from daypass.operations.context import Context
from daypass.operations.live_sessions import look_at_sessions, note_running
from daypass.store.listening import listen
from daypass.store.processes import Hint
from daypass.store.session_activity import Activity
from daypass.store.sessions import WatchedSession

_log = structlog.get_logger(__name__)

_POLL_S: Final = 1.0
_SILENT_S: Final = 15.0
_GOOD_ROUND_TRIP_NS: Final = 20_000_000
_CLOCK_KEPT_S: Final = 10.0
_CLOCK_JUMP_US: Final = 5_000
_SHOWN: Final = 2000
_SAME: Final = timedelta(milliseconds=20)
_LIVE: Final = (GrantState.SCHEDULED, GrantState.ACTIVE)
_OVER: Final = (SessionState.CLOSING, SessionState.CLOSED)


@dataclass(slots=True)
class Change:
    """Something somebody waits for."""

    event: asyncio.Event

    async def wait(self, timeout_s: float) -> None:
        """Wait until it has changed, or for the time to pass."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.event.wait()


class Watch:
    """One process's view of the store; `cancel_asked` is told the number of a session's key."""

    def __init__(
        self,
        ctx: Context,
        clock: StoreClock,
        live: LiveSessions,
        cancel_asked: Callable[[int], None],
    ) -> None:
        self._ctx = ctx
        self._clock = clock
        self._live = live
        self._cancel_asked = cancel_asked
        self._wake = asyncio.Event()
        self._last_contact = -_SILENT_S
        self._clock_set = -_CLOCK_KEPT_S
        self._requests: dict[RequestId, set[asyncio.Event]] = {}
        self._shown: set[SessionId] = set()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(
                cancellable(listen(self._ctx.store, self._heard)), name="gateway-listen"
            )
            group.create_task(cancellable(self._repeat("look", self.look)), name="gateway-look")
            group.create_task(cancellable(self._repeat("show", self._show)), name="gateway-show")

    def require_contact(self) -> None:
        """Raise `Unavailable` unless the store has answered lately."""
        if time.monotonic() - self._last_contact > _SILENT_S:
            raise Unavailable(
                "the gateway has lost contact with Daypass's store: nothing new is opened",
                next_step="try again in a moment",
                code="no_contact",
            )

    @contextlib.contextmanager
    def request_changes(self, request_id: RequestId) -> Iterator[Change]:
        """Listen for the decision of a request, from now on until the block ends."""
        event = asyncio.Event()
        self._requests.setdefault(request_id, set()).add(event)
        try:
            yield Change(event)
        finally:
            waiting = self._requests[request_id]
            waiting.discard(event)
            if not waiting:
                del self._requests[request_id]

    def _heard(self, hint: Hint, number: int) -> None:
        match hint:
            case Hint.GRANT_ENDED | Hint.GRANT_MOVED:
                if self._live.of_grant(number):
                    self._wake.set()
            case Hint.SESSION_KILLED:
                if self._live.find(SessionId(number)) is not None:
                    self._wake.set()
            case Hint.CANCEL_ASKED:
                self._cancel_asked(number)
            case Hint.REQUEST_CHANGED:
                for event in self._requests.get(RequestId(number), ()):
                    event.set()
            case _:
                pass

    async def look(self) -> None:
        """Ask the store for its clock and for what has become of every session that is kept."""
        self._wake.clear()
        ids = self._live.ids()
        asked = time.monotonic_ns()
        moment, found = await look_at_sessions(self._ctx, ids)
        answered = time.monotonic_ns()
        self._last_contact = time.monotonic()
        good = answered - asked < _GOOD_ROUND_TRIP_NS
        if good or self._last_contact - self._clock_set > _CLOCK_KEPT_S:
            self._clock_set = self._last_contact
            before = self._clock.now_us()
            self._clock.set(moment, asked, answered)
            if abs(self._clock.now_us() - before) > _CLOCK_JUMP_US:
                for session in self._live.all():
                    session.rearm()
        for each in found:
            self._judge(each)

    def _judge(self, found: WatchedSession) -> None:
        session = self._live.find(found.id)
        if session is None:
            return
        if found.grant_state not in _LIVE or found.state in _OVER:
            session.end(why_ended(found, session.database))
        else:
            session.move_deadline(found.deadline)

    async def _show(self) -> None:
        """Write down what runs now, where that has changed."""
        running: dict[SessionId, Activity] = {}
        still: set[SessionId] = set()
        for session in self._live.all():
            now = session.relay.running if session.relay is not None else None
            if now is None:
                session.shown_since = None
                continue
            still.add(session.id)
            shown = session.shown_since
            if shown is None or abs(now[1] - shown) > _SAME:
                session.shown_since = now[1]
                running[session.id] = Activity(_shown(now[0]), now[1])
        over = self._shown - still
        self._shown = still
        if running or over:
            try:
                await note_running(self._ctx, running, over)
            except (Error, psycopg.Error):
                for each in running:
                    again = self._live.find(each)
                    if again is not None:
                        again.shown_since = None
                self._shown |= over
                raise

    async def _repeat(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        wake = self._wake if name == "look" else asyncio.Event()
        while True:
            try:
                async with asyncio.timeout(_SILENT_S):
                    await work()
            except (Error, psycopg.Error, OSError, TimeoutError) as error:
                _log.warning("watch_failed", loop=name, error=str(error))
            except Exception:  # noqa: BLE001 - logged; the loop goes on, deadlines depend on it
                _log.exception("watch_broken", loop=name)
            heed_cancellation()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await wake.wait()


def _shown(text: str) -> str:
    """Return what others may read of a statement: it could set a password."""
    if "password" in text.lower():
        return "(not shown: it may set a password)"
    return text[:_SHOWN].replace("\0", "")
