"""From the server to the client: bytes go on as they came, headers say what became of statements.

Only what has to be is taken out or written anew: notifications, errors that stand for a refusal of
ours, positions in a text that was spliced, and rows past a limit.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from daypass.engines.postgres.relay_conversation import (
    BIND,
    CANCELLED,
    CLOSE,
    DESCRIBE,
    EXECUTE,
    PARSE,
    QUERY,
    SYNC,
    Conversation,
    Entry,
    Run,
)
from daypass.engines.postgres.relay_reading import LIMIT_EXCEEDED, Refusal
from daypass.engines.postgres.splice import original_position
from daypass.engines.postgres.wire.client_messages import Parse
from daypass.engines.postgres.wire.framing import HEADER_BYTES, ServerWalker, kind_name
from daypass.engines.postgres.wire.server_messages import ParameterStatus, Report
from daypass.engines.postgres.wire.violation import ProtocolViolation

_length = Struct(">I").unpack_from
_header = Struct(">BI").unpack_from

_COMPLETE: Final = ord("C")
_READY: Final = ord("Z")
_ROWS: Final = ord("T")
_ERROR: Final = ord("E")
_NOTICE: Final = ord("N")
_PARAMETER: Final = ord("S")
_NOTIFICATION: Final = ord("A")
_COPY_IN: Final = ord("G")
_ANSWERS: Final = {ord("1"): PARSE, ord("2"): BIND, ord("3"): CLOSE}
_OF_STATEMENTS: Final = frozenset(b"CTIHcnt")
_WITH_ROWS: Final = frozenset({QUERY, EXECUTE})
_DROPPED: Final = b""
_ROW_KINDS: Final = frozenset(b"Dd")
_PASSED: Final = frozenset(b"123CHITZcnt")
_UNMUTED: Final = frozenset({_READY, _NOTICE, _PARAMETER, _ERROR})
_DENIED_NAME: Final = "daypass_denied"
FAILING_TEXT: Final = "daypass denied this statement"
FAILING_PARSE: Final = Parse(_DENIED_NAME, FAILING_TEXT).build()

_KEPT: Final = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""With other values the server would read texts differently from Daypass."""


class OutOfStepError(ProtocolViolation):
    """The server's answers are not those to what it was sent: nobody knows what they belong to."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the target's answers are out of step: {what}")


class ServerSide:
    """One direction; `receive` returns an error the session has to end with, if there is one."""

    __slots__ = ("_clean", "_cutting", "_left", "_talk", "_unlimited", "_walker", "fatal")

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._walker = ServerWalker(max(talk.limits.message_bytes, 2**20))
        self._unlimited = talk.limits.rows is None and talk.limits.size_bytes is None
        self._clean = True
        """The walker keeps nothing: a chunk begins with a message."""
        self._left = 0
        self._cutting = False
        self.fatal = ""
        """The SQLSTATE of an error with which the server ended the session."""

    @property
    def between(self) -> bool:
        """Say whether a message may be put in now."""
        return self._left == 0 or self._cutting

    def finish_row(self, data: bytes) -> bool:
        """Let nothing but the rest of a row under way go on; say whether it is whole now."""
        rest = data[: self._left]
        self._left -= len(rest)
        if rest and not self._cutting and not self._talk.gone:
            self._talk.ports.to_client(rest)
        return self._left == 0

    def receive(self, chunk: bytes) -> ProtocolViolation | None:
        """Take the server's next bytes."""
        talk = self._talk
        if self._clean and self._unlimited and not talk.gone:
            try:
                at = self._pass_on(chunk)
            except ProtocolViolation as error:
                return error
            if at == len(chunk):
                talk.ports.to_client(chunk)
                return None
            if at:
                view = memoryview(chunk)
                talk.ports.to_client(view[:at])
                chunk = bytes(view[at:])
        return self._receive_anything(chunk)

    def _pass_on(self, chunk: bytes) -> int:
        """Take whole messages that go on as they came; return where the first other one begins.

        It is what nearly every chunk consists of, and `_receive_anything` would do the same.
        """
        talk = self._talk
        queue = talk.queue
        at = rows = size = 0
        stop = len(chunk)
        try:
            while stop - at >= HEADER_BYTES:
                kind, length = _header(chunk, at)
                after = at + 1 + length
                if after > stop or length < 4 or talk.muted:
                    break
                if kind in _ROW_KINDS:
                    rows += 1
                    size += length - 4
                elif kind in _PASSED:
                    if rows:
                        self._count(rows, size)
                        rows = size = 0
                    if kind == _READY:
                        self._ready(chunk[at + HEADER_BYTES])
                    elif kind == _COMPLETE and queue and queue[0].run is not None:
                        self._complete(queue[0], chunk, at, after, kind)
                    elif queue and _ANSWERS.get(kind) is queue[0].kind:
                        self._answered(queue[0])
                    else:
                        self._message(kind, chunk, at, after)
                else:
                    break
                at = after
            if rows:
                self._count(rows, size)
        except ProtocolViolation:
            if at:
                talk.ports.to_client(chunk[:at])
            raise
        return at

    def _count(self, rows: int, size: int) -> None:
        queue = self._talk.queue
        run = queue[0].run if queue else None
        if run is None or queue[0].kind not in _WITH_ROWS:
            raise OutOfStepError("rows that nobody asked for")
        run.rows += rows
        run.size_bytes += size

    def _receive_anything(self, chunk: bytes) -> ProtocolViolation | None:
        talk = self._talk
        data, end, marks, rows, size = self._walker.walk(chunk)
        view = memoryview(data)
        parts: list[bytes | memoryview] = []
        sent = before = 0
        trouble: ProtocolViolation | None = self._walker.violation
        self._clean = end == len(data) and self._walker.between
        try:
            for kind, start, after, rows_before, size_before in marks:
                if before != start:
                    sent = self._rows(view, sent, before, start, rows_before, size_before, parts)
                before = start
                instead = self._message(kind, data, start, after)
                if talk.muted and kind not in _UNMUTED:
                    instead = _DROPPED
                if instead is not None:
                    if sent < start:
                        parts.append(view[sent:start])
                    if instead:
                        parts.append(instead)
                    sent = after
                before = after
            if before != end:
                sent = self._rows(view, sent, before, end, rows, size, parts)
        except ProtocolViolation as error:
            trouble = error
            end = before
        if talk.gone:
            return trouble
        if sent == 0 and end == len(data) and not parts:
            if data:
                talk.ports.to_client(data)
        else:
            if sent < end:
                parts.append(view[sent:end])
            for part in parts:
                talk.ports.to_client(part)
        return trouble

    def _rows(
        self,
        view: memoryview,
        sent: int,
        start: int,
        end: int,
        rows: int,
        size: int,
        parts: list[bytes | memoryview],
    ) -> int:
        """Count the rows of `view[start:end]`, and leave out what is past a limit.

        Returns how far `view` is dealt with.
        """
        left = self._left
        whole = left + size + HEADER_BYTES * rows
        self._left = whole - (end - start)
        talk = self._talk
        cutting = self._cutting
        run = talk.queue[0].run if talk.queue else None
        if rows and (run is None or talk.queue[0].kind not in _WITH_ROWS):
            raise OutOfStepError("rows that nobody asked for")
        if not cutting and not talk.muted and run is not None:
            if self._unlimited or not rows or self._fits(run, rows, size):
                run.rows += rows
                run.size_bytes += size
                return sent
            cut = self._cut(view, start + min(left, end - start), end, run)
            if cut is None:
                return sent
            if sent < cut:
                parts.append(view[sent:cut])
            parts.append(self._past(run))
            self._cutting = self._left > 0
            return end
        if not cutting and not talk.muted:
            # The rest of a row whose statement is told of already.
            return sent
        # A row whose beginning went out goes on to its end.
        kept = start if cutting else start + min(left, end - start)
        if sent < kept:
            parts.append(view[sent:kept])
        self._cutting = self._left > 0 and (cutting or rows > 0)
        return end

    def _fits(self, run: Run, rows: int, size: int) -> bool:
        limits = self._talk.limits
        return (limits.rows is None or run.rows + rows <= limits.rows) and (
            limits.size_bytes is None or run.size_bytes + size <= limits.size_bytes
        )

    def _cut(self, view: memoryview, at: int, end: int, run: Run) -> int | None:
        """Count row by row; return where the first one past a limit begins."""
        while at < end:
            size = _length(view, at + 1)[0] - 4
            if not self._fits(run, 1, size):
                return at
            run.rows += 1
            run.size_bytes += size
            at += HEADER_BYTES + size
        return None

    def _past(self, run: Run) -> bytes:
        """End a statement at its limit; the client is told now, and hears no more of it."""
        talk = self._talk
        limits = talk.limits
        if limits.rows is not None and run.rows >= limits.rows:
            limit = f"{limits.rows} rows"
        else:
            limit = f"{limits.size_bytes} bytes"
        refusal = Refusal(
            "limit",
            f"canceled by Daypass: grant {limits.grant_id} allows {limit} a statement",
            LIMIT_EXCEEDED,
            "Ask for fewer rows, or for a grant that allows more.",
        )
        talk.stop(run, "failed", LIMIT_EXCEEDED)
        talk.muted = True
        talk.ports.cancel()
        entry = talk.queue[0]
        synced = any(each.kind is SYNC for each in talk.queue)
        if entry.kind is EXECUTE and not synced and talk.client_between:
            # Whatever the cancel meets: the rest of this pipeline fails on the server too.
            talk.queue.append(Entry(PARSE, refusal=refusal))
            talk.ports.to_server(FAILING_PARSE)
            talk.skipping = True
        return refusal.response()

    def _message(self, kind: int, data: bytes, start: int, after: int) -> bytes | None:
        """Note a message; return what goes instead of it, None where it goes as it came."""
        talk = self._talk
        queue = talk.queue
        if kind == _READY:
            self._ready(data[start + HEADER_BYTES])
            return None
        if kind == _NOTICE:
            return self._report(data[start:after]) if queue else None
        if kind == _PARAMETER:
            self._parameter(data[start:after])
            return None
        if kind == _NOTIFICATION:
            # Its payload can carry clear rows from triggers.
            return _DROPPED
        if kind == _ERROR:
            return self._error(data[start:after])
        if not queue:
            raise OutOfStepError(f"{kind_name(kind)} answers nothing")
        entry = queue[0]
        of = entry.kind
        if kind in _OF_STATEMENTS and (of is QUERY or of is EXECUTE):
            if kind in b"CI":
                self._complete(entry, data, start, after, kind)
            elif kind in b"nt":
                raise OutOfStepError(f"{kind_name(kind)} in a {of.name}")
            return None
        if kind == _COPY_IN and entry is talk.awaiting_copy:
            talk.awaiting_copy = None
            talk.copying = entry
            return None
        if kind == ord("s") and of is EXECUTE:
            self._suspended(entry)
            return None
        if of is DESCRIBE and kind in b"Tnt":
            if kind != ord("t"):
                queue.popleft()
            return None
        if _ANSWERS.get(kind) is of:
            self._answered(entry)
            return None
        raise OutOfStepError(f"{kind_name(kind)} in a {of.name}")

    def _answered(self, entry: Entry) -> None:
        if entry.refusal is not None:
            raise OutOfStepError("what was to fail did not")
        self._talk.queue.popleft()
        if entry.portal is not None:
            entry.portal.bound = True
            entry.portal.previous = None
        if entry.definitions:
            self._talk.complete(entry)

    def _ready(self, status: int) -> None:
        talk = self._talk
        if not talk.queue:
            raise OutOfStepError("ready, and nothing was asked")
        entry = talk.queue[0]
        if entry.kind is not QUERY and entry.kind is not SYNC:
            raise OutOfStepError(f"ready in a {entry.kind.name}")
        if entry.refusal is not None and not entry.completed:
            raise OutOfStepError("what was to fail did not")
        talk.queue.popleft()
        if entry.definitions:
            talk.settle_all(entry)
        talk.released(entry)
        talk.ready(status)
        talk.muted = False

    def _complete(self, entry: Entry, data: bytes, start: int, after: int, kind: int) -> None:
        talk = self._talk
        if entry.refusal is not None:
            raise OutOfStepError("what was to fail did not")
        run = entry.run
        if run is not None and kind == _COMPLETE:
            run.command = data[start + HEADER_BYTES : after - 1].decode("utf-8", "replace")
        if entry.definitions:
            talk.complete(entry)
        else:
            entry.completed += 1
        if entry.kind is EXECUTE:
            talk.queue.popleft()
            talk.released(entry)
            if run is not None:
                talk.stop(run, "done")

    def _suspended(self, entry: Entry) -> None:
        self._talk.queue.popleft()
        run = entry.run
        if run is None:
            return
        run.executed = True
        if run.portal is None:
            self._talk.stop(run, "done")

    def _parameter(self, raw: bytes) -> None:
        status = ParameterStatus.read(raw)
        meant = _KEPT.get(status.name)
        if meant is not None and status.value != meant:
            raise ProtocolViolation(
                f"{status.name} was changed to {status.value}: statements could not be read as the "
                "target reads them"
            )

    def _report(self, raw: bytes) -> bytes | None:
        """Lead the position in a report back to the text as the client sent it."""
        reading = self._talk.queue[0].reading
        if reading is None or not reading.shifts:
            return None
        report = Report.read(raw)
        if report.position is None:
            return None
        position = original_position(reading.shifts, report.position)
        return report.with_field("P", str(position)).build()

    def _error(self, raw: bytes) -> bytes | None:
        talk = self._talk
        report = Report.read(raw)
        sqlstate = report.sqlstate
        if report.severity in ("FATAL", "PANIC"):
            self.fatal = sqlstate
            run = talk.current
            if run is not None:
                talk.stop(run, "lost", sqlstate)
            return None
        if not talk.queue:
            return None
        entry = talk.queue[0]
        if entry.kind is SYNC:
            talk.commit_failed(sqlstate)
            return _DROPPED if talk.muted else None
        told = self._told(entry, raw, sqlstate)
        talk.fail(entry, sqlstate)
        if entry.kind is QUERY:
            entry.completed += 1
        else:
            talk.skip()
        return _DROPPED if talk.muted else told

    def _told(self, entry: Entry, raw: bytes, sqlstate: str) -> bytes | None:
        """Return what the client is told of an error, None where it is just that."""
        if entry.refusal is not None:
            return entry.refusal.response()
        stopping = self._talk.stopping
        if stopping is not None and sqlstate == CANCELLED:
            if entry.run is not None:
                self._talk.stop(entry.run, "failed", stopping.sqlstate)
            return stopping.response()
        return self._report(raw)
