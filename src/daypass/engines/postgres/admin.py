"""Connections with the admin credential of one instance, and what their errors mean."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, LiteralString, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from daypass.connect_failures import ConnectTrouble, connect_trouble
from daypass.connect_failures import server_said as server_words
from daypass.domain.errors import Conflict, Error, Unavailable
from daypass.engines.contract import TargetAddress
from daypass.engines.postgres.quoting import text_literal

T = TypeVar("T")
Row = tuple[object, ...]
OnStep = Callable[[str], None]
"""Told the name of each step just before its statement is sent."""

MAX_CONNECTIONS: Final = 8
CONNECT_TIMEOUT_S: Final = 10
IDLE_KEPT_S: Final = 60.0
FIRST_WITH_MEMBERSHIP_OPTIONS: Final = 160000

# Short: who waits for a strong lock makes everybody behind it wait as well. Steps are repeated.
_SETTINGS: Final = (
    ("search_path", "pg_catalog"),
    ("lock_timeout", "150ms"),
    ("statement_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("standard_conforming_strings", "on"),
    ("client_min_messages", "error"),
    ("timezone", "UTC"),
    ("datestyle", "ISO"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    # What is prepared here looks at catalogs by lists of names: no plan would be better than that.
    ("plan_cache_mode", "force_generic_plan"),
)
# serialization failure, deadlock, "tuple concurrently updated" (it has no code of its own), lock
# timeout, object in use; and what two that make the same thing at once run into.
_PASSING: Final = frozenset({"40001", "40P01", "XX000", "55P03", "55006"})
_RACES: Final = frozenset({"23505", "42710", "42P06", "42P07", "42723"})
_MAX_INTERNAL_ERRORS: Final = 8
_LOST: Final = ("08", "57P0")


@dataclass(frozen=True, slots=True)
class Look:
    """A query of catalogs that comes again and again; its parameters are $1, $2 ..."""

    name: str
    types: LiteralString
    text: LiteralString


class AdminConnection:
    """One admin connection; every statement Daypass sends to a target goes through `run`."""

    def __init__(self, connection: psycopg.AsyncConnection[Row], on_step: OnStep | None) -> None:
        self.raw = connection
        self._on_step = on_step
        self._prepared: set[str] = set()

    @property
    def server_version(self) -> int:
        """Return the server's version number, such as 160004."""
        return self.raw.info.server_version

    @property
    def has_membership_options(self) -> bool:
        """Say whether memberships carry INHERIT and SET options (from 16)."""
        return self.server_version >= FIRST_WITH_MEMBERSHIP_OPTIONS

    async def run(
        self,
        step: str,
        statement: sql.Composable | LiteralString,
        parameters: Sequence[object] | Mapping[str, object] | None = None,
    ) -> list[Row]:
        """Run one step and return the rows of its last statement.

        Several statements in one text are one round trip and, outside of a transaction, one commit.
        """
        if self._on_step is not None:
            self._on_step(step)
        query = sql.SQL(statement) if isinstance(statement, str) else sql.Composed([statement])
        async with self.raw.cursor() as cursor:
            await cursor.execute(query, parameters)
            while cursor.nextset():
                pass
            return await cursor.fetchall() if cursor.description else []

    async def look(self, step: str, look: Look, *parameters: object) -> list[Row]:
        """Run a look, prepared once for each connection.

        Planning costs several times what running it does, and psycopg forgets what it prepared at
        each DROP or ALTER, which here are between any two looks.
        """
        name = sql.Identifier(f"dp_{look.name}")
        if look.name not in self._prepared:
            types = sql.SQL(look.types)
            await self.raw.execute(
                sql.SQL("prepare {} ({}) as {}").format(name, types, sql.SQL(look.text))
            )
            self._prepared.add(look.name)
        values = sql.SQL(", ").join(sql.Literal(each) for each in parameters)
        return await self.run(step, sql.SQL("execute {} ({})").format(name, values))

    @contextlib.asynccontextmanager
    async def transaction(self, what: str) -> AsyncIterator[None]:
        """Commit what is done inside, or nothing of it."""
        await self.run(f"{what}: begin", "begin")
        yield
        await self.run(f"{what}: commit", "commit")


@dataclass(frozen=True, slots=True)
class _Idle:
    """A connection nobody uses, and since when."""

    database: str
    connection: AdminConnection
    since: float


class Admin:
    """The admin connections of an instance, at most MAX_CONNECTIONS, kept for their database.

    One stays open once opened: a new one could be refused just when access must be revoked.
    """

    def __init__(self, address: TargetAddress, on_step: OnStep | None = None) -> None:
        self.address = address
        self.database = address.admin_database or "postgres"
        self._on_step = on_step
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[_Idle] = []
        self._in_use = 0
        self._closed = False

    async def work(
        self,
        database: str,
        unit: Callable[[AdminConnection], Awaitable[T]],
        *,
        budget_s: float = 15.0,
    ) -> T:
        """Run an idempotent unit, again while others are in its way, and once if the line drops.

        Raises a domain error: `Unavailable` for what may pass, `Conflict` for what will not.
        """
        until = time.monotonic() + budget_s
        internal = reconnected = 0
        pause_s = 0.005
        while True:
            try:
                async with self._connection(database) as connection:
                    return await unit(connection)
            except psycopg.Error as error:
                state = error.sqlstate
                if is_lost(error) and not reconnected:
                    reconnected += 1
                    await self._drop_idle(database)
                    continue
                internal += state == "XX000"
                again = state in _PASSING | _RACES and internal <= _MAX_INTERNAL_ERRORS
                if not again or time.monotonic() + pause_s > until:
                    raise translate(error) from error
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads out
            pause_s = min(pause_s * 2, 0.2)

    async def aclose(self) -> None:
        """Close the connections that are not in use; those in use close when they are done."""
        self._closed = True
        await self._drop_idle(None)

    @contextlib.asynccontextmanager
    async def _connection(self, database: str) -> AsyncIterator[AdminConnection]:
        async with self._turns:
            self._in_use += 1
            try:
                connection = await self._take(database)
            except BaseException:
                self._in_use -= 1
                raise
            try:
                yield connection
            except psycopg.Error:
                await _rolled_back(connection)
                raise
            except Error:
                await _rolled_back(connection)
                raise
            except BaseException:
                # Cancelled in the middle: whatever the server still does ends with the connection.
                await connection.raw.close()
                raise
            finally:
                self._in_use -= 1
                await self._put_back(database, connection)

    async def _take(self, database: str) -> AdminConnection:
        for index in reversed(range(len(self._idle))):
            if self._idle[index].database == database:
                return self._idle.pop(index).connection
        if self._in_use + len(self._idle) > MAX_CONNECTIONS:
            # Make room for another database's.
            await self._idle.pop(0).connection.raw.close()
        return await self._connect(database)

    async def _put_back(self, database: str, connection: AdminConnection) -> None:
        idle = connection.raw.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        now = time.monotonic()
        if self._closed or connection.raw.closed or not idle:
            await connection.raw.close()
        else:
            self._idle.append(_Idle(database, connection, now))
        while len(self._idle) > 1 and self._idle[0].since < now - IDLE_KEPT_S:
            await self._idle.pop(0).connection.raw.close()

    async def _drop_idle(self, database: str | None) -> None:
        dropped = [each for each in self._idle if database in (None, each.database)]
        self._idle = [each for each in self._idle if each not in dropped]
        for each in dropped:
            await each.connection.raw.close()

    async def _connect(self, database: str) -> AdminConnection:
        if self._closed:
            raise Unavailable("the target was closed", code="target_closed")
        parameters = connection_parameters(self.address, database, settings=_SETTINGS)
        raw: psycopg.AsyncConnection[Row] = await psycopg.AsyncConnection.connect(
            make_conninfo(
                "",
                **parameters,
                user=self.address.admin_user,
                password=self.address.admin_password.reveal(),
                application_name="daypass admin",
            ),
            autocommit=True,
            prepare_threshold=None,
        )
        connection = AdminConnection(raw, self._on_step)
        if connection.has_membership_options:
            try:
                # Else the admin could neither end the backends of a role it made nor drop what it
                # owns.
                await raw.execute("set createrole_self_grant = 'set, inherit'")
            except BaseException:
                await raw.close()
                raise
        return connection


async def _rolled_back(connection: AdminConnection) -> None:
    with contextlib.suppress(psycopg.Error):
        await connection.raw.rollback()


def connection_parameters(
    address: TargetAddress, database: str, settings: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """Return the libpq parameters that every connection to an instance has."""
    return {
        "connect_timeout": str(CONNECT_TIMEOUT_S),
        "keepalives_idle": "30",
        "tcp_user_timeout": "30000",
        **address.options,
        "host": address.host,
        "port": str(address.port),
        "dbname": database,
        "sslmode": address.tls_mode,
        "client_encoding": "UTF8",
        "options": startup_options(settings),
    }


def startup_options(settings: Sequence[tuple[str, str]]) -> str:
    """Return settings in the form of libpq's `options`: blanks and backslashes escaped."""
    words = []
    for name, value in settings:
        text = f"{name}={value}".replace("\\", "\\\\")
        words.append("-c " + "".join("\\" + c if c.isspace() else c for c in text))
    return " ".join(words)


def is_lost(error: psycopg.Error) -> bool:
    """Say whether an error means that the connection is gone or was never made."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(_LOST)


def server_said(error: psycopg.Error) -> str:
    """Return the server's own words on a connection it refused, for people to read."""
    said = server_words(str(error))
    return f": {said}" if said else ""


_TO_DO: Final[Mapping[ConnectTrouble, str]] = {
    ConnectTrouble.NAME_UNKNOWN: "check the host's name, and that Daypass's machine resolves it",
    ConnectTrouble.REFUSED: "check host and port, and that the server listens on that address",
    ConnectTrouble.TIMEOUT: "check host, port and the firewalls between",
    ConnectTrouble.NO_ROUTE: "check the host, and the network of Daypass's machine",
    ConnectTrouble.NO_TLS: "switch TLS on at the server, or, on a network you trust, ask for less:"
    " --tls prefer",
    ConnectTrouble.NO_AUTHORITY: "start Daypass with PGSSLROOTCERT=/path/ca.pem, or"
    " PGSSLROOTCERT=system for the system's authorities",
    ConnectTrouble.CERTIFICATE: "check that the certificate names this host, is not over, and comes"
    " from the authority in PGSSLROOTCERT (/path/ca.pem, or system)",
    ConnectTrouble.NOT_LET_IN: "let the admin in from Daypass's address in the server's pg_hba.conf"
    " (hostssl where it demands TLS: then --tls require)",
    ConnectTrouble.FULL: "raise max_connections there, or close idle connections",
    ConnectTrouble.PASSWORD: "check the admin's name and password",
    ConnectTrouble.NO_ROLE: "check the admin's name, or create it as docs/engines.md says",
    ConnectTrouble.NO_DATABASE: "check the name of the database, and of the one the admin signs in"
    " to (postgres if none is named)",
    ConnectTrouble.STARTING: "try again when it is up",
}


def translate(error: psycopg.Error) -> Error:
    """Return the domain error for a server's: by SQLSTATE alone, but for the words people read."""
    state = error.sqlstate
    if state is None or is_lost(error):
        trouble = connect_trouble(str(error))
        what = "" if trouble is ConnectTrouble.OTHER else f": {trouble.value}"
        return Unavailable(
            f"the target cannot be reached{what}{server_said(error)}",
            next_step=_TO_DO.get(trouble, ""),
            code="target_unreachable",
        )
    if state.startswith("28"):
        return Unavailable(
            "the target rejects Daypass's admin credential",
            next_step="check the instance's admin user and password",
            code="admin_rejected",
        )
    if state == "42501":
        return Conflict(
            "the target's admin lacks a right it needs",
            next_step="daypass doctor lists the admin's rights and the SQL to mend them",
            code="admin_rights",
        )
    if state == "3D000":
        return Unavailable("the database does not exist on its instance", code="no_such_database")
    if state in _PASSING | _RACES:
        return Unavailable(
            f"the target was busy with the same objects ({state})", code="target_busy"
        )
    return Unavailable(
        f"the target refused a statement of Daypass's ({state})", code="target_error"
    )


def comment_on_role(role: str, text: str) -> sql.Composable:
    """Return the statement that marks a role."""
    return sql.SQL("comment on role {} is {}").format(sql.Identifier(role), text_literal(text))
