"""Close accounts for good, however their sessions resist, and prove it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import psycopg
from psycopg import sql

from daypass.domain.errors import Error
from daypass.engines.contract import Closure
from daypass.engines.postgres import names
from daypass.engines.postgres.account_report import (
    DEPENDED_ON,
    GONE,
    HELD,
    Report,
    prove,
    revocations,
)
from daypass.engines.postgres.account_state import Seen, integer, look_at
from daypass.engines.postgres.accounts import roll_back, terminate
from daypass.engines.postgres.admin import Admin, AdminConnection
from daypass.engines.postgres.sweep import sweep

BUDGET_S: Final = 10.0
TURN_S: Final = 0.5
"""How long one account may keep an admin connection before others get it."""
_WORTH_A_SWEEP: Final = 3
_PAUSES_S: Final = (0.0, 0.002, 0.005, 0.01, 0.02)


class Revoker:
    """Closes accounts of one instance."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._turn = asyncio.Lock()
        self._waiting: list[Report] = []

    async def close(self, accounts: Sequence[str]) -> Closure:
        """Close accounts, as many at a time as there are admin connections; see the contract.

        What could not be done in BUDGET_S is in `missing`, and another call takes it up again.
        Raises `Unavailable` when the target does not answer.
        """
        wanted = tuple(dict.fromkeys(accounts))
        reports = [Report(each) for each in wanted]
        await self._sweep(reports)
        # All of them end before the first error is raised, so that nothing goes on behind it.
        ends = await asyncio.gather(*map(self._close, reports), return_exceptions=True)
        for end in ends:
            if end is not None:
                raise end
        closed = [each.closed_at for each in reports if each.closed_at is not None]
        removed = [each.removed_at for each in reports if each.removed_at is not None]
        now = datetime.now(UTC)
        return Closure(
            accounts=wanted,
            closed_at=max(closed, default=now) if len(closed) == len(reports) else None,
            removed_at=max(removed, default=now) if len(removed) == len(reports) else None,
            terminated=sum(len(each.terminated) for each in reports),
            rolled_back=sum(each.rolled_back for each in reports),
            dropped=sum(each.dropped for each in reports),
            probes=tuple(probe for each in reports for probe in each.probes),
            missing=tuple(text for each in reports for text in each.missing),
        )

    async def _sweep(self, reports: Sequence[Report]) -> None:
        """Close what does not resist together with what others want closed at this moment."""
        self._waiting += [each for each in reports if names.is_account(each.account)]
        # Hundreds of grants that end by one deadline are as many calls; here they meet.
        await asyncio.sleep(0)
        async with self._turn:
            together, self._waiting = self._waiting, []
            if len(together) < _WORTH_A_SWEEP:
                return
            with contextlib.suppress(Error):
                # What it leaves is closed one by one, and there errors are the caller's.
                await self._admin.work(
                    self._admin.database,
                    partial(sweep, reports=together, installation=self._admin.address.installation),
                )

    async def _close(self, report: Report) -> None:
        account = report.account
        if not names.is_account(account):
            report.missing.append(f"{account} is no name of a session's account: left alone")
            return
        while not report.done:
            # Steps in other databases come outside of it: who holds one admin connection must not
            # wait for another.
            seen = await self._admin.work(
                self._admin.database,
                partial(self._climb, report=report),
            )
            if seen is None or report.done:
                break
            if time.monotonic() > report.until:
                report.missing += [f"{account}: {each}" for each in seen.remains(account)]
                break
            await self._clear_databases(seen, report)
            await asyncio.sleep(_PAUSES_S[1])

    async def _climb(self, connection: AdminConnection, report: Report) -> Seen | None:
        """Go as far as one connection gets; return what is to be done in other databases first."""
        # Counted from here: hundreds may wait for a connection before it is their turn.
        report.until = report.until or time.monotonic() + BUDGET_S
        until = min(report.until, time.monotonic() + TURN_S)
        attempt = 0
        while True:
            seen = await look_at(connection, report.account)
            if seen is None:
                await prove(connection, [report])
                return None
            report.oid = seen.oid
            if seen.mark is None or seen.mark.installation != self._admin.address.installation:
                report.missing.append(
                    f"{report.account} is a role Daypass did not make: left alone"
                )
                report.done = True
                return None
            if seen.closed and report.closed_at is None:
                report.closed_at = datetime.now(UTC)
            if time.monotonic() > until:
                return seen
            await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1
            if seen.bare and await _drop(connection, seen, report):
                continue
            if not seen.shut or (seen.memberships and not (report.revoked or seen.prepared)):
                held = await _shut(connection, seen, report)
                # An open ALTER of the session's on its own role ends with its backend; a prepared
                # one has to be rolled back first.
                if held and seen.prepared:
                    return seen
            elif seen.prepared or seen.databases:
                return seen
            elif seen.granted and not report.taken_back:
                await _take_back(connection, seen, report)
            else:
                await _drop(connection, seen, report)

    async def _clear_databases(self, seen: Seen, report: Report) -> None:
        """Roll back and disown in each database what an account left there."""
        for gid, database, owner in seen.prepared:
            report.rolled_back += await self._elsewhere(
                database, partial(roll_back, gid=gid, owner=owner)
            )
        if not seen.shut:
            return
        heir = seen.mark.heir if seen.mark is not None else ""
        for database in seen.databases:
            report.dropped += await self._elsewhere(
                database or self._admin.database,
                lambda connection: _disown(connection, report.account, heir),
            )

    async def _elsewhere(
        self, database: str, unit: Callable[[AdminConnection], Awaitable[int]]
    ) -> int:
        try:
            return await self._admin.work(database, unit, budget_s=1.0)
        except Error:
            # It is looked at again, and reported missing when it stays.
            await asyncio.sleep(_PAUSES_S[-1])
            return 0


async def _shut(connection: AdminConnection, seen: Seen, report: Report) -> bool:
    """End backends, login and memberships; return whether a lock on the role was in the way."""
    account = sql.Identifier(report.account)
    if not seen.usable:
        with_options = sql.SQL(" with inherit true, set true")
        await connection.run(
            "join account",
            sql.SQL("grant {} to current_user").format(account)
            + (with_options if connection.has_membership_options else sql.SQL("")),
        )
    if seen.backends:
        report.terminated |= set(seen.backends)
        await terminate(connection, [report.account])
    try:
        await connection.run(
            "expire account",
            sql.SQL("; ").join(
                [
                    sql.SQL("alter role {} nologin password null valid until 'epoch'").format(
                        account
                    ),
                    # The membership tells which transactions prepared as the scope are its own.
                    *(() if seen.prepared else revocations(seen, account)),
                ]
            ),
        )
    except psycopg.Error as error:
        if error.sqlstate in HELD:
            return True
        raise
    report.revoked = not seen.prepared
    return False


async def _take_back(connection: AdminConnection, seen: Seen, report: Report) -> None:
    """Revoke the memberships an account gave to others.

    From 16 `drop owned` does; until 15 they would stay, with a grantor that is no more.
    """
    report.taken_back = True
    for role, member in seen.granted:
        try:
            await connection.run(
                "take membership back",
                sql.SQL("revoke {} from {}").format(sql.Identifier(role), sql.Identifier(member)),
            )
        except psycopg.errors.InsufficientPrivilege:
            # A superuser's role: the proof will find it, and the receipt say so.
            continue


async def _disown(connection: AdminConnection, account: str, heir: str) -> int:
    """Give what an account owns in one database to its heir, or drop it; drop its privileges."""
    [(count,)] = await connection.run(
        "count owned",
        "select count(*) from pg_shdepend as s where s.refclassid = 'pg_authid'::regclass"
        " and s.refobjid = (select r.oid from pg_roles as r where r.rolname = %s)"
        " and s.deptype = 'o'"
        " and s.dbid in (0, (select d.oid from pg_database as d"
        "   where d.datname = current_database()))",
        (account,),
    )
    name = sql.Identifier(account)
    if heir:
        await _give(connection, name, sql.Identifier(heir))
    try:
        await connection.run("drop owned", sql.SQL("drop owned by {}").format(name))
    except psycopg.errors.DependentObjectsStillExist:
        # Somebody built on it: dropping would take theirs as well.
        await _give(connection, name, sql.SQL("current_user"))
        await connection.run("drop owned", sql.SQL("drop owned by {}").format(name))
    return integer(count)


async def _give(connection: AdminConnection, account: sql.Identifier, heir: sql.Composable) -> None:
    await connection.run(
        "reassign owned", sql.SQL("reassign owned by {} to {}").format(account, heir)
    )


async def _drop(connection: AdminConnection, seen: Seen, report: Report) -> bool:
    """Revoke and drop in one commit; return whether that went well.

    The role's memberships by any grantor go with it.
    """
    account = sql.Identifier(report.account)
    try:
        await connection.run(
            "drop account",
            sql.SQL("; ").join(
                [*revocations(seen, account), sql.SQL("drop role {}").format(account)]
            ),
        )
    except psycopg.Error as error:
        # What has come in between is seen by the next look.
        if error.sqlstate in (*HELD, DEPENDED_ON, GONE):
            return False
        raise
    return True
