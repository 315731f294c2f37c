"""Close ended grants on their target and write the receipts that prove it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from daypass.domain.errors import Error, Unavailable
from daypass.domain.ids import GrantId, InstanceId
from daypass.domain.states import GrantState, SessionState
from daypass.engines.contract import Closure, Target
from daypass.operations.close_sessions import close_accounts
from daypass.operations.context import Context
from daypass.operations.open_target import open_target
from daypass.operations.write_receipts import GRANT_ENDED, Ending, write_receipts
from daypass.store import grants, sessions
from daypass.store.grants import GrantRow
from daypass.store.sessions import SessionRow

_MEET_S = 0.002


@dataclass(frozen=True, slots=True)
class ClosedGrant:
    """A receipt's number is not needed to find it; the grant's is."""

    grant_id: GrantId
    closed_at: datetime
    lag_s: float


async def close_grant(ctx: Context, grant_id: GrantId) -> ClosedGrant | None:
    """Take away every account of a revoking grant; None when there is nothing left to do.

    Idempotent: called again after a crash it goes on where the target is. Raises `Unavailable` when
    the target does not let go yet; the grant stays `revoking` and the attempt is counted.
    """
    async with ctx.store.lock("close", grant_id):
        async with ctx.store.connection() as connection:
            grant = await grants.get_grant(connection, grant_id)
            if grant is None or grant.state != GrantState.REVOKING:
                return None
            found = await sessions.list_unclosed(connection, [grant_id])
        try:
            closure = await close_accounts(ctx, grant.instance_id, found, GRANT_ENDED)
            _check(grant_id, closure)
        except Error as error:
            await _note_failures(ctx, {grant_id: error})
            raise
        for receipt in await write_receipts(ctx, [Ending(grant, found, closure)]):
            return ClosedGrant(grant_id, receipt.closed_at, receipt.lag_s)
        return None


async def close_grants(
    ctx: Context, instance_id: InstanceId, grant_ids: Sequence[GrantId]
) -> Mapping[GrantId, Exception]:
    """Close grants of one instance that end together; return what went wrong, by grant.

    As `close_grant` for each of them, but for those that somebody else is closing at this moment.
    Receipts are written as accounts go: none waits for one that resists.
    """
    failed: dict[GrantId, Exception] = {}
    names = [("close", each) for each in grant_ids]
    async with ctx.store.try_locks(names) as held:
        mine = [each for each, got in zip(grant_ids, held, strict=True) if got]
        async with ctx.store.transaction() as tx:
            waiting = [
                grant
                for grant in await grants.get_grants(tx, mine)
                if grant.state == GrantState.REVOKING
            ]
            of_grant: dict[GrantId, list[SessionRow]] = {grant.id: [] for grant in waiting}
            for session in await sessions.list_unclosed(tx, list(of_grant)):
                of_grant[session.grant_id].append(session)
            await sessions.mark_all_closing(
                tx, [each.id for found in of_grant.values() for each in found], GRANT_ENDED
            )
        target = await open_target(ctx, instance_id) if of_grant else None
        ends: asyncio.Queue[Ending | tuple[GrantRow, Exception]] = asyncio.Queue(len(waiting))

        async def close(grant: GrantRow) -> None:
            found = tuple(of_grant[grant.id])
            try:
                closure = await _close(ctx, target, instance_id, found)
                _check(grant.id, closure)
                ends.put_nowait(Ending(grant, found, closure))
            except (Error, psycopg.Error, OSError) as error:
                ends.put_nowait((grant, error))

        async with asyncio.TaskGroup() as group:
            for grant in waiting:
                group.create_task(close(grant), name=f"close-grant-{grant.id}")
            left = len(waiting)
            while left:
                met = [await ends.get()]
                # What was closed together is written together.
                await asyncio.sleep(_MEET_S)
                met += [ends.get_nowait() for _ in range(ends.qsize())]
                left -= len(met)
                failed |= {each[0].id: each[1] for each in met if isinstance(each, tuple)}
                failed |= await _write(ctx, [each for each in met if isinstance(each, Ending)])
        await _note_failures(ctx, failed)
    return failed


async def _close(
    ctx: Context, target: Target | None, instance_id: InstanceId, found: Sequence[SessionRow]
) -> Closure:
    if target is None or not found or any(s.state == SessionState.OPENING for s in found):
        return await close_accounts(ctx, instance_id, found, GRANT_ENDED)
    return await target.close([session.account for session in found])


def _check(grant_id: GrantId, closure: Closure) -> None:
    if closure.missing or closure.closed_at is None or closure.removed_at is None:
        problem = "still there: " + ", ".join(closure.missing or closure.accounts)
        raise Unavailable(f"grant {grant_id} is not closed yet: {problem}", code="not_closed")


async def _write(ctx: Context, endings: Sequence[Ending]) -> dict[GrantId, Exception]:
    if not endings:
        return {}
    try:
        await write_receipts(ctx, endings)
    except (Error, psycopg.Error, OSError) as error:
        return {ending.grant.id: error for ending in endings}
    return {}


async def _note_failures(ctx: Context, failed: Mapping[GrantId, Exception]) -> None:
    by_text: dict[str, list[GrantId]] = {}
    for grant_id, error in failed.items():
        text = error.message if isinstance(error, Error) else type(error).__name__
        by_text.setdefault(text, []).append(grant_id)
    if not by_text:
        return
    async with ctx.store.transaction() as tx:
        for text, of in by_text.items():
            await grants.note_revoke_attempts(tx, of, text)


async def note_unreachable(
    ctx: Context, instance_id: InstanceId, tried: Sequence[GrantId], problem: str
) -> None:
    """Count an attempt for the other grants that wait for an instance that did not answer some."""
    async with ctx.store.transaction() as tx:
        await grants.note_unreachable(tx, instance_id, tried, problem)
