"""The control-plane store: a pool of connections, transactions and locks."""

from __future__ import annotations

import asyncio
import hashlib
import select
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, TypeAlias

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from daypass.domain.errors import Unavailable
from daypass.domain.secret import Secret
from daypass.store.reach import reach_store

Tx: TypeAlias = AsyncConnection[TupleRow]
"""A connection inside a transaction."""

_STATEMENT_TIMEOUT_MS = 15_000
_LOCK_TIMEOUT_MS = 10_000
_NAMED_LOCK_TIMEOUT_MS = 60_000
_LAST_WORDS: Final = 3
"""Times to read: what a server says last, and its end, may come apart."""
_NETWORK: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}


class Store:
    """The store's connections; open it once per process."""

    def __init__(self, conninfo: Secret, *, min_size: int = 2, max_size: int = 16) -> None:
        self.conninfo = conninfo
        self._pool = _pool(conninfo, "store", min_size, max_size, _STATEMENT_TIMEOUT_MS)
        # Whoever holds a named lock needs connections besides: from one pool they would wait for
        # each other for ever.
        self._locks = _pool(conninfo, "locks", 1, max_size, _NAMED_LOCK_TIMEOUT_MS)

    async def open(self) -> None:
        """Connect; raises `Unavailable` when the store does not answer."""
        try:
            await self._pool.open(wait=True, timeout=15)
            await self._locks.open(wait=True, timeout=15)
        except PoolTimeout as error:
            await asyncio.to_thread(reach_store, self.conninfo)
            raise Unavailable("the control-plane store does not answer") from error

    async def aclose(self) -> None:
        """Close every connection."""
        await self._locks.close()
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Run one transaction at READ COMMITTED: locks order what must be ordered."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Tx]:
        """Run one read-only transaction that sees a single moment."""
        async with self.connection() as connection, connection.transaction():
            await connection.execute("set transaction isolation level repeatable read, read only")
            yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """Borrow an autocommit connection."""
        async with _borrowed(self._pool) as connection:
            yield connection

    @asynccontextmanager
    async def lock(self, *name: str | int) -> AsyncIterator[None]:
        """Hold a named lock that any process of this store sees, over work on a target.

        It is taken here and not on the target, where anyone may take any advisory lock; it is gone
        with its connection, so that a killed process leaves none.
        """
        key = lock_key(*name)
        async with _borrowed(self._locks) as connection:
            await connection.execute("select pg_advisory_lock(%s)", (key,))
            try:
                yield
            finally:
                # On a broken connection the server has let go of it by itself.
                if not connection.broken:
                    await connection.execute("select pg_advisory_unlock(%s)", (key,))

    @asynccontextmanager
    async def try_locks(
        self, names: Sequence[tuple[str | int, ...]]
    ) -> AsyncIterator[tuple[bool, ...]]:
        """Hold those named locks that nobody holds at this moment; say which, in order."""
        keys = [lock_key(*name) for name in names]
        async with _borrowed(self._locks) as connection:
            cursor = await connection.execute(
                """
                select pg_try_advisory_lock(key) from unnest(%s::bigint[]) with ordinality
                  as wanted (key, place) order by place
                """,
                (keys,),
            )
            held = tuple(bool(row[0]) for row in await cursor.fetchall())
            try:
                yield held
            finally:
                if not connection.broken:
                    await connection.execute(
                        "select pg_advisory_unlock(key) from unnest(%s::bigint[]) as held (key)",
                        ([key for key, got in zip(keys, held, strict=True) if got],),
                    )


def network_limits(conninfo: Secret) -> dict[str, str]:
    """Return libpq parameters that end a connection whose network is silent, but for those given.

    Without them a cable that was pulled is noticed by nobody who waits for an answer.
    """
    given = conninfo_to_dict(conninfo.reveal())
    return {name: value for name, value in _NETWORK.items() if name not in given}


async def _take(pool: AsyncConnectionPool[AsyncConnection[TupleRow]]) -> Tx:
    """Take a connection that the server has not closed while nobody used it.

    After a restart of the store each of the pool's would else fail whoever gets it next; the pool's
    own check pauses for longer after each.
    """
    while True:
        connection = await pool.getconn()
        if not _has_ended(connection):
            return connection
        await connection.close()
        await pool.putconn(connection)


def _has_ended(connection: Tx) -> bool:
    """Say whether a connection at rest is over: there is nothing to read of it but its end.

    It costs no round trip.
    """
    look = select.poll()
    try:
        look.register(connection.pgconn.socket, select.POLLIN)
        for _ in range(_LAST_WORDS):
            if not look.poll(0):
                return False
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return connection.closed


def _pool(
    conninfo: Secret, name: str, min_size: int, max_size: int, statement_timeout_ms: int
) -> AsyncConnectionPool[AsyncConnection[TupleRow]]:
    return AsyncConnectionPool(
        conninfo.reveal(),
        min_size=min_size,
        max_size=max_size,
        timeout=30,
        open=False,
        name=name,
        kwargs={
            **network_limits(conninfo),
            "autocommit": True,
            "application_name": f"daypass {name}",
            "options": f"-c timezone=UTC -c statement_timeout={statement_timeout_ms}"
            f" -c lock_timeout={min(_LOCK_TIMEOUT_MS, statement_timeout_ms)}"
            " -c idle_in_transaction_session_timeout=60000",
        },
    )


@asynccontextmanager
async def _borrowed(
    pool: AsyncConnectionPool[AsyncConnection[TupleRow]],
) -> AsyncIterator[AsyncConnection[TupleRow]]:
    try:
        connection = await _take(pool)
        try:
            async with connection:
                yield connection
        finally:
            await pool.putconn(connection)
    except PoolTimeout as error:
        raise Unavailable("the control-plane store is busy or away") from error
    except psycopg.OperationalError as error:
        if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
            raise Unavailable("the control-plane store does not answer") from error
        raise


def lock_key(*name: str | int) -> int:
    """Return the 64-bit key of a named lock."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in name).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


async def now(tx: Tx) -> datetime:
    """Return the store's clock: every deadline and expiry is decided by it."""
    row = await (await tx.execute("select clock_timestamp()")).fetchone()
    if row is None:
        raise RuntimeError("select returned no row")
    moment: datetime = row[0]
    return moment
