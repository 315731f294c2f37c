"""What a client and its session have said so far: what waits for which answer, and what was run.

Answers come in the order of what was sent, so one queue tells whose an answer is. An *epoch* ends
with each ReadyForQuery. Of every statement written down as started the end is written down exactly
once: at the latest when the epoch ends in which its portal goes, or the conversation does.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from daypass.domain.errors import Unavailable
from daypass.engines.postgres.relay_names import PENDING, Definition, PreparedNames
from daypass.engines.postgres.relay_reading import NOT_RECORDED, TOO_LARGE, Reading, Refusal
from daypass.engines.postgres.wire.server_messages import IDLE
from daypass.engines.relay_contract import Ended, Refused, RelayLimits, RelayPorts, Started

CANCELLED: Final = "57014"
MAX_OPEN: Final = 50_000
"""Statements of one session that were begun and have no end, at most."""

_TOO_MANY: Final = Refusal(
    "too_many_open", "too many statements were begun here without an end", TOO_LARGE
)


class Kind(Enum):
    """What was sent to the server, as far as answers differ."""

    QUERY = auto()
    SYNC = auto()
    PARSE = auto()
    BIND = auto()
    DESCRIBE = auto()
    EXECUTE = auto()
    CLOSE = auto()


# To look a member up in its class takes longer than all the rest that is done with it.
QUERY: Final = Kind.QUERY
SYNC: Final = Kind.SYNC
PARSE: Final = Kind.PARSE
BIND: Final = Kind.BIND
DESCRIBE: Final = Kind.DESCRIBE
EXECUTE: Final = Kind.EXECUTE
CLOSE: Final = Kind.CLOSE


class Run:
    """A statement that was written down as started; `outcome` is empty until it has one."""

    __slots__ = (
        "began",
        "command",
        "duration_us",
        "epoch",
        "executed",
        "number",
        "outcome",
        "portal",
        "rows",
        "since",
        "size_bytes",
        "sqlstate",
        "text",
    )

    def __init__(self, number: int, text: str, epoch: int, began: float) -> None:
        self.number = number
        self.text = text
        self.epoch = epoch
        self.began = self.since = began
        self.rows = 0
        self.size_bytes = 0
        self.command = ""
        self.outcome = ""
        self.sqlstate = ""
        self.duration_us = 0
        self.executed = False
        self.portal: Portal | None = None


class Portal:
    """A statement with its values; `run` is what runs in it, None until it is written down."""

    __slots__ = ("bound", "epoch", "key", "previous", "reading", "run", "started")

    def __init__(self, key: bytes, reading: Reading, epoch: int) -> None:
        self.key = key
        self.reading = reading
        self.epoch = epoch
        self.bound = False
        self.run: Run | None = None
        self.started: Started | None = None
        self.previous: Portal | None = None
        """The portal of its name before it, until the server has taken this one."""


class Entry:
    """Something sent whose answer is to come.

    With a `refusal` it is a stand-in that fails, and the refusal is what the client gets of it.
    `definitions` are changes of names by the place of the statement that makes them.
    """

    __slots__ = (
        "completed",
        "copies_left",
        "definitions",
        "kind",
        "portal",
        "reading",
        "refusal",
        "run",
    )

    def __init__(
        self,
        kind: Kind,
        reading: Reading | None = None,
        run: Run | None = None,
        refusal: Refusal | None = None,
        portal: Portal | None = None,
    ) -> None:
        self.kind = kind
        self.reading = reading
        self.run = run
        self.refusal = refusal
        self.portal = portal
        self.completed = 0
        self.copies_left = 0
        self.definitions: list[tuple[int, Definition]] | None = None


class Conversation:
    """The state both directions share."""

    __slots__ = (
        "answered",
        "awaiting_copy",
        "client_between",
        "clock",
        "copying",
        "epoch",
        "gone",
        "leaving",
        "limits",
        "muted",
        "names",
        "open",
        "over",
        "portals",
        "ports",
        "queue",
        "skipping",
        "status",
        "stopping",
    )

    def __init__(self, ports: RelayPorts, limits: RelayLimits, clock: Callable[[], float]) -> None:
        self.ports = ports
        self.limits = limits
        self.clock = clock
        self.names = PreparedNames()
        self.queue: deque[Entry] = deque()
        self.portals: dict[bytes, Portal] = {}
        self.open: dict[Run, None] = {}
        self.status = IDLE
        self.epoch = 0
        self.answered = 0
        self.skipping = False
        """The server discards what comes until Sync, and so do we."""
        self.muted = False
        """The client was told of an error the server knows nothing of: it hears no more."""
        self.stopping: Refusal | None = None
        """What the client is told when the server says that it cancelled."""
        self.awaiting_copy: Entry | None = None
        """Nothing more is sent until the server says whether rows may be copied in."""
        self.copying: Entry | None = None
        self.client_between = True
        """What was sent to the server ends with a whole message."""
        self.leaving = False
        self.gone = False
        """The client is not there any more."""
        self.over = False

    def start(self, started: Started) -> Run | Refusal:
        """Write a statement down as started, or return why it may not be sent."""
        if len(self.open) >= MAX_OPEN:
            return _TOO_MANY
        try:
            number = self.ports.started(started)
        except Unavailable as error:
            message = f"this statement cannot be recorded now, so it is not run: {error.message}"
            return Refusal("not_recorded", message, NOT_RECORDED, error.next_step)
        run = Run(number, started.text, self.epoch, self.clock())
        self.open[run] = None
        return run

    def refuse(self, refusal: Refusal, text: str, reading: Reading | None = None) -> None:
        """Write a refusal down."""
        statements = reading.statements if reading is not None else ()
        # What cannot even be written down was not sent either.
        with contextlib.suppress(Unavailable):
            self.ports.refused(Refused(text, statements, refusal.code, refusal.message))

    def stop(self, run: Run, outcome: str, sqlstate: str = "") -> None:
        """Give a statement its outcome; the first one stays."""
        if not run.outcome:
            run.outcome = outcome
            run.sqlstate = sqlstate
            run.duration_us = max(0, int((self.clock() - run.began) * 1_000_000))

    def ended(self, run: Run) -> None:
        """Write the end of a statement down."""
        del self.open[run]
        self.ports.ended(
            run.number,
            Ended(
                run.outcome,
                run.rows,
                run.size_bytes,
                run.duration_us,
                run.sqlstate,
                run.command,
            ),
        )

    def complete(self, entry: Entry) -> None:
        """Note that one more statement of what was sent is done: the names it changed are so."""
        entry.completed += 1
        for place, definition in entry.definitions or ():
            if place == entry.completed - 1:
                self.names.settle(definition)

    def settle_all(self, entry: Entry) -> None:
        """Note that all of what was sent is done; one that failed has nothing pending left."""
        for _, definition in entry.definitions or ():
            if definition.state is PENDING:
                self.names.settle(definition)

    def fail(self, entry: Entry, sqlstate: str) -> None:
        """Note that an entry's answer was an error."""
        for place, definition in entry.definitions or ():
            if place >= entry.completed:
                self._undo(entry, definition)
        run = entry.run
        if run is not None and not run.outcome:
            cancelled = sqlstate == CANCELLED
            self.stop(run, "cancelled" if cancelled else "failed", sqlstate)
        self.released(entry)

    def skip(self) -> None:
        """Note that the server discards what was sent until the next Sync."""
        queue = self.queue
        while queue and queue[0].kind is not SYNC:
            entry = queue.popleft()
            for _, definition in entry.definitions or ():
                if definition.state is PENDING:
                    self.names.void(definition)
            run = entry.run
            if run is not None and not run.executed:
                self.stop(run, "skipped")
            if entry.kind is QUERY:
                self.answered += 1
            self._forget(entry.portal)
            self.released(entry)
        self.skipping = not queue

    def ready(self, status: int) -> None:
        """Note the end of an epoch, and write down what ended in it."""
        self.status = status
        self.stopping = None
        epoch = self.answered
        self.answered = epoch + 1
        portals = self.portals
        # Portals outlive an error, if a rollback to a savepoint follows.
        dead = status == IDLE
        finished: list[Run] = []
        for run in self.open:
            if run.epoch > epoch:
                break
            if not run.outcome:
                portal = run.portal
                if portal is None:
                    self.stop(run, "done")
                elif dead or portals.get(portal.key) is not portal:
                    self.stop(run, "done" if run.executed else "skipped")
                else:
                    continue
            finished.append(run)
        for run in finished:
            self.ended(run)
        if dead and portals:
            for key in [k for k, each in portals.items() if each.epoch <= epoch]:
                del portals[key]

    def commit_failed(self, sqlstate: str) -> None:
        """Note an error at the end of an epoch: what ran in it did not come about."""
        for run in self.open:
            if run.epoch > self.answered:
                break
            if run.outcome in ("", "done"):
                run.outcome = "failed"
                run.sqlstate = sqlstate

    def released(self, entry: Entry) -> None:
        """Note that an entry copies no more in."""
        if self.awaiting_copy is entry:
            self.awaiting_copy = None
        if self.copying is entry:
            self.copying = None

    def finish(self, sqlstate: str = "") -> None:
        """End every statement that has no end: of those under way nobody knows what became.

        One that has run in an epoch without its end is among them: only that end commits it.
        """
        underway = {entry.run for entry in self.queue}
        for run in tuple(self.open):
            ran = run.executed or run.outcome == "done"
            uncommitted = ran and run.epoch >= self.answered
            if uncommitted and run.outcome == "done":
                run.outcome = ""
            if uncommitted or run in underway:
                self.stop(run, "lost", sqlstate)
            self.stop(run, "done" if run.executed else "skipped")
            self.ended(run)
        self.queue.clear()
        self.portals.clear()

    @property
    def current(self) -> Run | None:
        """Return what runs on the server now, or is next to.

        What a server has to say of the steps before it may keep until the end.
        """
        for entry in self.queue:
            if entry.run is not None and not entry.run.outcome:
                return entry.run
        return None

    def _forget(self, portal: Portal | None) -> None:
        if portal is None or portal.bound or self.portals.get(portal.key) is not portal:
            return
        before = portal.previous
        if before is not None and before.bound:
            # It is still there: after a rollback to a savepoint it can be run.
            self.portals[portal.key] = before
        else:
            del self.portals[portal.key]

    def _undo(self, entry: Entry, definition: Definition) -> None:
        # A failed Parse of the unnamed statement has dropped the one before it.
        if entry.kind is PARSE and not definition.key:
            definition.reading = None
            self.names.settle(definition)
        else:
            self.names.void(definition)
