"""One connection as a client sees it, with everything that ever reaches it kept."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg import pq

from tests.leaks.attack import Bound

TIMEOUT_S: Final = 20.0
_KEPT_BYTES: Final = 400_000
_FIELDS: Final = tuple(pq.DiagnosticField)
# What of an error is the server's own and never data.
_OF_THE_SERVER: Final = frozenset(
    {
        pq.DiagnosticField.SEVERITY,
        pq.DiagnosticField.SEVERITY_NONLOCALIZED,
        pq.DiagnosticField.SOURCE_FILE,
        pq.DiagnosticField.SOURCE_LINE,
        pq.DiagnosticField.SOURCE_FUNCTION,
        pq.DiagnosticField.STATEMENT_POSITION,
        pq.DiagnosticField.INTERNAL_POSITION,
    }
)
_REPORTED: Final = (
    "application_name",
    "client_encoding",
    "DateStyle",
    "IntervalStyle",
    "is_superuser",
    "search_path",
    "session_authorization",
    "TimeZone",
)

Rows = list[tuple[str | None, ...]]


@dataclass(slots=True)
class Reply:
    """All that one message to the server brought back."""

    rows: Rows = field(default_factory=list)
    """Of the last result that had any."""
    sqlstate: str = ""
    """Of the first error."""
    pieces: list[str] = field(default_factory=list)
    """Every text: names and values of columns, messages and their details, statuses."""

    @property
    def text(self) -> str:
        """Return everything as one text."""
        return "\n".join(self.pieces)


class Wire:
    """A connection of libpq, used directly so that nothing is lost on the way."""

    def __init__(self, pgconn: pq.abc.PGconn, holder: object = None) -> None:
        """Use a connection; `holder` would close it, were it forgotten before."""
        self._pgconn = pgconn
        self._holder = holder
        self._reply = Reply()
        self._kept = 0
        self._early: list[str] = []
        pgconn.nonblocking = 0
        pgconn.notice_handler = self._notice

    @classmethod
    def open(cls, conninfo: str) -> Wire | str:
        """Connect, or return why the server refused."""
        pgconn = pq.PGconn.connect_start(conninfo.encode())
        early = Reply()
        # What the server says while it lets somebody in counts as well.
        pgconn.notice_handler = lambda result: early.pieces.append(_message(result))
        state = pgconn.connect_poll()
        while state in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
            waiting = [pgconn.socket]
            if state == pq.PollingStatus.READING:
                select.select(waiting, [], [], TIMEOUT_S)
            else:
                select.select([], waiting, [], TIMEOUT_S)
            state = pgconn.connect_poll()
        if pgconn.status != pq.ConnStatus.OK:
            text = "\n".join([*early.pieces, pgconn.get_error_message()])
            pgconn.finish()
            return text
        wire = cls(pgconn)
        wire._early = early.pieces
        return wire

    @property
    def major(self) -> int:
        """Return the server's major version."""
        return self._pgconn.server_version // 10000

    @property
    def account(self) -> str:
        """Return the name under which the server let it in."""
        return _text(self._pgconn.parameter_status(b"session_authorization") or b"")

    def send(self, message: str | Bound) -> Reply:
        """Send one message and return all that came by its end, notifications included."""
        self._reply, self._kept = Reply(pieces=self._early), 0
        self._early = []
        if self._pgconn.status != pq.ConnStatus.OK:
            self._reply.sqlstate = "08003"
            return self._reply
        if isinstance(message, Bound):
            values = [each.encode() for each in message.parameters]
            self._pgconn.send_query_params(
                message.sql.encode(), values, result_format=int(message.binary)
            )
        else:
            self._pgconn.send_query(message.encode())
        self._read_results()
        self._read_asides()
        return self._reply

    def call(self, oid: int, arguments: Sequence[str]) -> Reply:
        """Call a function by its oid, by the protocol's own message for it."""
        self._reply, self._kept = Reply(), 0
        body = struct.pack("!ihhh", oid, 1, 0, len(arguments))
        for each in arguments:
            value = each.encode()
            body += struct.pack("!i", len(value)) + value
        body += struct.pack("!h", 0)
        with socket.socket(fileno=_duplicate(self._pgconn.socket)) as line:
            line.setblocking(True)
            line.settimeout(TIMEOUT_S)
            line.sendall(b"F" + struct.pack("!i", len(body) + 4) + body)
            received = b""
            # ReadyForQuery is six bytes: its kind, its length and the transaction's status.
            while not (len(received) >= 6 and received[-6:-1] == b"Z\0\0\0\x05"):
                more = line.recv(65536)
                if not more:
                    break
                received += more
        self._keep(received.replace(b"\0", b"\n").decode("utf-8", "replace"))
        for part in received.split(b"\0"):
            if len(part) == 6 and part[:1] == b"C" and not self._reply.sqlstate:
                self._reply.sqlstate = part[1:].decode()
        return self._reply

    def listen(self, seconds: float) -> Reply:
        """Wait for what the server sends by itself."""
        self._reply, self._kept = Reply(), 0
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._pgconn.status == pq.ConnStatus.OK:
            ready, _, _ = select.select([self._pgconn.socket], [], [], left)
            if ready:
                self._read_asides()
                if self._reply.pieces:
                    break
        return self._reply

    def close(self) -> None:
        """Close the connection."""
        self._pgconn.finish()

    def _read_results(self) -> None:
        until = time.monotonic() + TIMEOUT_S
        while True:
            while self._pgconn.is_busy():
                ready, _, _ = select.select([self._pgconn.socket], [], [], 1.0)
                if ready:
                    self._pgconn.consume_input()
                elif time.monotonic() > until:
                    self._pgconn.get_cancel().cancel()
                    until += TIMEOUT_S
            result = self._pgconn.get_result()
            if result is None:
                return
            match result.status:
                case pq.ExecStatus.COPY_OUT:
                    self._read_copy()
                case pq.ExecStatus.COPY_IN | pq.ExecStatus.COPY_BOTH:
                    self._pgconn.put_copy_end(b"nothing to copy")
                case _:
                    self._take(result)

    def _read_copy(self) -> None:
        rows: Rows = []
        while True:
            size, data = self._pgconn.get_copy_data(0)
            if size <= 0:
                break
            text = _text(bytes(data))
            rows.append((text.removesuffix("\n"),))
            self._keep(text)
        self._reply.rows = rows

    def _read_asides(self) -> None:
        try:
            self._pgconn.consume_input()
        except psycopg.OperationalError:
            self._keep(self._pgconn.get_error_message())
        while (notification := self._pgconn.notifies()) is not None:
            self._keep(f"{_text(notification.relname)}: {_text(notification.extra)}")
        for name in _REPORTED:
            value = self._pgconn.parameter_status(name.encode())
            if value is not None:
                self._keep(f"{name}={_text(value)}")

    def _take(self, result: pq.abc.PGresult) -> None:
        columns = range(result.nfields)
        for column in columns:
            self._keep(_text(result.fname(column) or b""))
        rows: Rows = []
        for row in range(result.ntuples):
            values = tuple(
                None if (value := result.get_value(row, column)) is None else _text(value)
                for column in columns
            )
            rows.append(values)
            self._keep("|".join("" if value is None else value for value in values))
        if result.nfields:
            self._reply.rows = rows
        if result.status == pq.ExecStatus.FATAL_ERROR:
            state = _text(result.error_field(pq.DiagnosticField.SQLSTATE) or b"")
            self._reply.sqlstate = self._reply.sqlstate or state or "08003"
            self._keep_fields(result)
            if not state:
                self._keep(self._pgconn.get_error_message())
        elif result.command_status:
            self._keep(_text(result.command_status))

    def _notice(self, result: pq.abc.PGresult) -> None:
        self._keep_fields(result)

    def _keep_fields(self, result: pq.abc.PGresult) -> None:
        self._keep(_message(result))

    def _keep(self, text: str) -> None:
        if text and self._kept < _KEPT_BYTES:
            self._kept += len(text)
            self._reply.pieces.append(text)


def _message(result: pq.abc.PGresult) -> str:
    """Return every field of an error or a notice that may carry data."""
    fields = (result.error_field(which) for which in _FIELDS if which not in _OF_THE_SERVER)
    return "\n".join(_text(value) for value in fields if value)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _duplicate(descriptor: int) -> int:
    # Closing it must not close the library's own.
    return os.dup(descriptor)
