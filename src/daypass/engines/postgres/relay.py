"""What goes on between a client that was let in and its session: every message is known.

Without I/O: bytes go in, bytes and records come out through `RelayPorts`. Whoever drives it feeds
it the bytes of both sides, and stops reading the client while `held`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from daypass.domain.errors import Error, Invalid, Unavailable
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.relay_client import ClientSide
from daypass.engines.postgres.relay_conversation import Conversation
from daypass.engines.postgres.relay_judge import ReadsApart
from daypass.engines.postgres.relay_reading import LIMIT_EXCEEDED, Refusal
from daypass.engines.postgres.relay_server import ServerSide
from daypass.engines.postgres.wire.client_messages import TERMINATE
from daypass.engines.postgres.wire.server_messages import IDLE, Report
from daypass.engines.postgres.wire.violation import PROTOCOL_VIOLATION, ProtocolViolation
from daypass.engines.relay_contract import RelayLimits, RelayPorts

_GRANT_ENDED: Final = "57P05"
_SHUT_DOWN: Final = "57P01"
_CONNECTION_FAILED: Final = "08006"


class PostgresRelay:
    """One session's relay; see `Relay` of the contract.

    `clock` counts seconds for durations, `now` tells the time. Bytes the server had sent beyond its
    greeting (`Line.reserved`) are given to `from_server` first. `apart` reads long texts elsewhere;
    without it they are read here.
    """

    __slots__ = ("_client", "_ending", "_now", "_server", "_talk", "_tellings")

    def __init__(
        self,
        plan: PostgresPlan,
        ports: RelayPorts,
        limits: RelayLimits,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        apart: ReadsApart | None = None,
    ) -> None:
        self._talk = Conversation(ports, limits, clock)
        self._client = ClientSide(self._talk, plan, apart)
        self._server = ServerSide(self._talk)
        self._now = now
        self._tellings: list[bytes] = []
        self._ending: tuple[bytes, str, str] | None = None

    def from_client(self, data: bytes) -> None:
        """Take bytes of the client."""
        talk = self._talk
        if talk.over or talk.leaving or self._ending is not None:
            return
        trouble = self._client.receive(data)
        if trouble is not None:
            self.end(trouble)
        elif talk.leaving:
            self._leave()

    def from_server(self, data: bytes) -> None:
        """Take bytes of the server."""
        talk = self._talk
        if talk.over:
            return
        if self._ending is not None:
            if self._server.finish_row(data):
                self._close()
            return
        trouble = self._server.receive(data)
        if trouble is not None:
            self.end(trouble)
            return
        if self._tellings and self._server.between:
            for each in self._tellings:
                self._to_client(each)
            self._tellings.clear()
        if talk.leaving:
            self._leave()
        elif self._client.held:
            self._go_on()

    def server_gone(self) -> None:
        """Note that the server closed the connection: the client is told, what ran is `lost`."""
        talk = self._talk
        if talk.over:
            return
        if self._ending is None:
            told = b""
            if not self._server.fatal and not talk.leaving and self._server.between:
                text = "the target closed the connection"
                told = Report.of("FATAL", _CONNECTION_FAILED, text).build()
            sqlstate = self._server.fatal or _CONNECTION_FAILED
            self._ending = told, sqlstate, "the target closed the connection"
        elif not self._server.between:
            # The row that was under way never comes: nothing can be said behind half of it.
            self._ending = b"", *self._ending[1:]
        self._close()

    def client_gone(self) -> None:
        """Note that the client closed the connection.

        What runs is cancelled, unless the client took its leave as it should: then it goes on, and
        `over` is called when it is done.
        """
        talk = self._talk
        talk.gone = True
        if talk.over or talk.leaving:
            return
        if talk.queue:
            talk.ports.cancel()
        if self._client.between:
            talk.ports.to_server(TERMINATE)
        self._ending = b"", "", "the client closed the connection"
        self._close()

    def tell(self, text: str, detail: str = "") -> None:
        """Give the client a notice as soon as one may stand between two messages."""
        notice = Report.of("NOTICE", "00000", text, detail=detail).build()
        if self._talk.over or self._ending is not None:
            return
        if self._server.between:
            self._to_client(notice)
        else:
            self._tellings.append(notice)

    def end(self, error: Error) -> None:
        """End the session: the client gets the error at its place in the protocol, then `over`."""
        if self._talk.over or self._ending is not None:
            return
        if isinstance(error, ProtocolViolation):
            sqlstate = error.sqlstate
        elif isinstance(error, Unavailable):
            sqlstate = _SHUT_DOWN
        else:
            sqlstate = PROTOCOL_VIOLATION if isinstance(error, Invalid) else _GRANT_ENDED
        report = Report.of("FATAL", sqlstate, error.message, hint=error.next_step)
        if self._talk.queue:
            self._talk.ports.cancel()
        self._ending = report.build(), sqlstate, error.message
        if self._server.between:
            self._close()

    def stop_statement(self, reason: str) -> None:
        """Have what runs cancelled, and the client told this reason instead of the server's."""
        talk = self._talk
        if talk.current is not None and talk.stopping is None and not talk.over:
            talk.stopping = Refusal("limit", reason, LIMIT_EXCEEDED)
            talk.ports.cancel()

    def hold(self) -> None:
        """Let nothing more go to the server, from the next message on."""
        self._client.holding = True

    def resume(self) -> None:
        """Let what waited go on."""
        self._client.holding = False
        if not self._talk.over and self._ending is None:
            self._go_on()

    def taken_up(self) -> None:
        """Go on with what was set aside by `RelayPorts.aside`, which is done."""
        self._client.taken_up()
        if not self._talk.over and self._ending is None:
            self._go_on()

    @property
    def held(self) -> bool:
        """Say whether messages of the client wait: no more of it should be read until they do not.

        It changes in `from_client`, `from_server`, `hold`, `resume` and `taken_up` alone.
        """
        return self._client.held

    @property
    def running(self) -> tuple[str, datetime] | None:
        """Return the text that runs now and since when, if one does."""
        run = self._talk.current
        if run is None:
            return None
        return run.text, self._now() - timedelta(seconds=self._talk.clock() - run.since)

    @property
    def idle(self) -> bool:
        """Say whether nothing runs and no transaction is open: where a drain may end it."""
        talk = self._talk
        return not talk.queue and talk.status == IDLE and not self._client.held

    def _go_on(self) -> None:
        trouble = self._client.go_on()
        if trouble is not None:
            self.end(trouble)
        elif self._talk.leaving:
            self._leave()

    def _to_client(self, data: bytes) -> None:
        if not self._talk.gone:
            self._talk.ports.to_client(data)

    def _leave(self) -> None:
        """Be over once all that was sent before Terminate is answered."""
        if not self._talk.queue and not self._talk.over:
            self._ending = b"", "", "the client left"
            self._close()

    def _close(self) -> None:
        talk = self._talk
        if talk.over or self._ending is None:
            return
        told, sqlstate, reason = self._ending
        talk.over = True
        if told:
            self._to_client(told)
        talk.finish(sqlstate)
        talk.ports.over(reason)
