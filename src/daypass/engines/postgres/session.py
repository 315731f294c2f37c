"""One connection to a target as a session's account, speaking the simple protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.generators import copy_end, copy_from, fetch, send
from psycopg.postgres import types as known_types

from daypass.cancelling import cancellable
from daypass.engines.contract import ResultColumn, StatementResult

CHUNK_ROWS = 256
MAX_NOTICES = 100
MAX_ERROR_TEXT = 8192
CANCEL_TIMEOUT_S = 5.0
_CANCEL_AGAIN_S = 2.0

TypeNames = Callable[[Sequence[int]], Awaitable[dict[int, str]]]
"""Looks up names of types the driver does not know, by oid."""

_ENDED = "08003"
_CANCELLED = "57014"
_UNTRANSLATABLE = "22021"


class PostgresSession:
    """One open session; see `Session` of the contract. Statements run one at a time."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection[tuple[object, ...]],
        account: str,
        type_names: TypeNames,
    ) -> None:
        self._connection = connection
        self._account = account
        self._type_names = type_names
        self._backend_id = connection.info.backend_pid
        self._turn = asyncio.Lock()
        self._notices: list[str] = []
        connection.add_notice_handler(self._note)
        # Payloads can carry clear rows from triggers.
        connection.add_notify_handler(lambda _: None)

    @property
    def account(self) -> str:
        """Return the account's name on the target."""
        return self._account

    @property
    def backend_id(self) -> int:
        """Return the process id of the server's backend."""
        return self._backend_id

    async def execute(
        self,
        statement: str,
        *,
        parameters: Sequence[str | None] = (),
        max_rows: int = 1000,
        max_bytes: int | None = None,
        timeout_s: float | None = None,
    ) -> StatementResult:
        """Run one text as it is and return the end of its last statement.

        Without parameters the text may hold several statements, as in the simple protocol. Rows
        past `max_rows` or `max_bytes` are read and dropped, never kept: cancelling instead would
        undo a write that returns rows. A cancelled call cancels the server's work and waits for its
        end, at most CANCEL_TIMEOUT_S; past `timeout_s` that is done here.
        """
        started = time.monotonic()
        if not _sendable(statement, parameters):
            # libpq would send the text up to a NUL, and nobody would have looked at the rest.
            return StatementResult(sqlstate=_UNTRANSLATABLE, error="a text with a NUL or surrogate")
        async with self._turn:
            self._notices.clear()
            reader = _Reader(self._connection.pgconn, max_rows, max_bytes)
            try:
                await cancellable(
                    self._wait(reader, statement, parameters),
                    timeout_s=timeout_s,
                    again_s=_CANCEL_AGAIN_S,
                )
            except TimeoutError:
                reader.sqlstate = _CANCELLED
                reader.error = f"canceled: it ran longer than {timeout_s} s"
            except psycopg.Error as error:
                reader.failed(error)
            lost = self._connection.pgconn.status != pq.ConnStatus.OK
            names = {} if lost else await self._names(reader.columns)
            return StatementResult(
                columns=tuple(
                    ResultColumn(name, names.get(oid, str(oid))) for name, oid in reader.columns
                ),
                rows=tuple(reader.rows),
                row_count=reader.row_count,
                truncated=reader.truncated,
                command=reader.command,
                notices=tuple(self._notices),
                sqlstate=reader.sqlstate,
                error=reader.error,
                hint=reader.hint,
                error_position=reader.position,
                duration_s=time.monotonic() - started,
                size_bytes=reader.size,
                lost=lost,
            )

    async def _wait(
        self, reader: _Reader, statement: str, parameters: Sequence[str | None]
    ) -> None:
        await self._connection.wait(reader.run(statement, parameters))

    async def cancel(self) -> None:
        """Cancel the running statement, if any."""
        if not self._connection.closed:
            try:
                await self._connection.cancel_safe(timeout=CANCEL_TIMEOUT_S)
            except psycopg.Error:
                # Nobody is there to cancel: the statement ends with its connection.
                return

    async def aclose(self) -> None:
        """Close the connection; the account stays until `Target.close`."""
        await self._connection.close()

    def _note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if len(self._notices) < MAX_NOTICES:
            text = f"{diagnostic.severity}: {diagnostic.message_primary}"
            self._notices.append(clipped(text))

    async def _names(self, columns: Sequence[tuple[str, int]]) -> dict[int, str]:
        names: dict[int, str] = {}
        unknown: list[int] = []
        for oid in {oid for _, oid in columns}:
            known = known_types.get(oid)
            if known is None:
                unknown.append(oid)
            else:
                names[oid] = f"{known.name}[]" if known.array_oid == oid else known.name
        if unknown:
            names |= await self._type_names(unknown)
        return names


class _Reader:
    """Sends one text and reads every result of it, keeping the last."""

    def __init__(self, pgconn: pq.abc.PGconn, max_rows: int, max_bytes: int | None) -> None:
        self._pgconn = pgconn
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._more = False
        self.size = 0
        self.columns: list[tuple[str, int]] = []
        self.rows: list[tuple[str | None, ...]] = []
        self.row_count = 0
        self.truncated = False
        self.command = ""
        self.sqlstate = ""
        self.error = ""
        self.hint = ""
        self.position: int | None = None

    def run(self, statement: str, parameters: Sequence[str | None]) -> PQGen[None]:
        """Send the text and read all its results."""
        if self._pgconn.status != pq.ConnStatus.OK:
            self.sqlstate, self.error = _ENDED, "the session has ended"
            return
        text = statement.encode()
        if parameters:
            values = [None if each is None else each.encode() for each in parameters]
            self._pgconn.send_query_params(text, values)
        else:
            self._pgconn.send_query(text)
        self._set_chunked()
        yield from send(self._pgconn)
        while (result := (yield from fetch(self._pgconn))) is not None:
            match result.status:
                case pq.ExecStatus.COPY_OUT:
                    yield from self._copy_out()
                case pq.ExecStatus.COPY_IN | pq.ExecStatus.COPY_BOTH:
                    self._take((yield from copy_end(self._pgconn, b"no data can be sent here")))
                case _:
                    self._take(result)
            if self._pgconn.status != pq.ConnStatus.OK and self.sqlstate:
                return

    def failed(self, error: psycopg.Error) -> None:
        """Keep an error that came without a result of its own: the connection is gone."""
        if not self.sqlstate:
            self.sqlstate = error.sqlstate or _ENDED
            self.error = error.diag.message_primary or "the session has ended"

    def _set_chunked(self) -> None:
        # One row at a time where libpq is older than 17.
        try:
            self._pgconn.set_chunked_rows_mode(CHUNK_ROWS)
        except psycopg.NotSupportedError:
            self._pgconn.set_single_row_mode()

    def _copy_out(self) -> PQGen[None]:
        self._begin([("copy", 25)])
        while True:
            data = yield from copy_from(self._pgconn)
            if not isinstance(data, memoryview):
                self._take(data)
                return
            self._keep((bytes(data).removesuffix(b"\n"),))

    def _begin(self, columns: list[tuple[str, int]]) -> None:
        self.columns, self.rows, self.truncated, self._more = columns, [], False, True
        self.size = 0
        self.command, self.row_count = "", 0

    def _keep(self, values: tuple[bytes | None, ...]) -> None:
        if self.truncated:
            return
        size = self.size + sum(len(each) for each in values if each is not None)
        full = self._max_bytes is not None and size > self._max_bytes
        if full or len(self.rows) >= self._max_rows:
            self.truncated = True
            return
        self.size = size
        self.rows.append(tuple(_text(each) for each in values))

    def _take(self, result: pq.abc.PGresult) -> None:
        match result.status:
            case pq.ExecStatus.TUPLES_CHUNK | pq.ExecStatus.SINGLE_TUPLE:
                self._take_rows(result)
            case pq.ExecStatus.TUPLES_OK:
                # The end of a result, which has carried its rows in chunks.
                self._take_rows(result)
                self._end(result)
            case pq.ExecStatus.COMMAND_OK:
                if not self._more:
                    self._begin([])
                self._end(result)
            case pq.ExecStatus.EMPTY_QUERY:
                self._begin([])
                self._more = False
            case _:
                self._take_error(result)

    def _take_rows(self, result: pq.abc.PGresult) -> None:
        if not self._more:
            self._begin(
                [
                    ((result.fname(i) or b"").decode("utf-8", "replace"), result.ftype(i))
                    for i in range(result.nfields)
                ]
            )
        for row in range(result.ntuples):
            if self.truncated:
                break
            self._keep(tuple(result.get_value(row, i) for i in range(result.nfields)))
        self._note_command(result)

    def _end(self, result: pq.abc.PGresult) -> None:
        self._more = False
        self._note_command(result)

    def _note_command(self, result: pq.abc.PGresult) -> None:
        # libpq tells it with the last chunk, or with the end when that has no row.
        if result.command_status:
            self.command = result.command_status.decode("utf-8", "replace")
            self.row_count = result.command_tuples or 0

    def _take_error(self, result: pq.abc.PGresult) -> None:
        def field(which: pq.DiagnosticField) -> str:
            text = (result.error_field(which) or b"").decode("utf-8", "replace")
            return clipped(text)

        self._begin([])
        self._more = False
        self.sqlstate = field(pq.DiagnosticField.SQLSTATE) or _ENDED
        message = field(pq.DiagnosticField.MESSAGE_PRIMARY) or clipped(result.get_error_message())
        detail = field(pq.DiagnosticField.MESSAGE_DETAIL)
        self.error = f"{message}\n{detail}" if detail else message
        self.hint = field(pq.DiagnosticField.MESSAGE_HINT)
        position = field(pq.DiagnosticField.STATEMENT_POSITION)
        self.position = int(position) if position.isdecimal() else None


def clipped(text: str) -> str:
    """Cut the server's words, of which a query can make megabytes, to what people read."""
    if len(text) <= MAX_ERROR_TEXT:
        return text
    return f"{text[:MAX_ERROR_TEXT]} … ({len(text)} characters)"


def _sendable(statement: str, parameters: Sequence[str | None]) -> bool:
    texts = [statement, *(each for each in parameters if each is not None)]
    return not any("\0" in each or any("\ud800" <= c <= "\udfff" for c in each) for each in texts)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
