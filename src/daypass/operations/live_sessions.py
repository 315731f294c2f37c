"""Sessions as they are now: for whoever holds their connections, and for people to look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from daypass.domain.ids import DatabaseId, SessionId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.operations.context import Context, require_capability
from daypass.operations.grant_rights import may_look
from daypass.store import grants, session_activity, sessions
from daypass.store.database import Tx
from daypass.store.databases import find_database
from daypass.store.processes import Hint, tell
from daypass.store.session_activity import Activity
from daypass.store.sessions import UNCLOSED, SessionRow, WatchedSession

_LOOKED_AT = 2000
_BATCH = 200


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that is not closed, and the statement that runs in it, if one does."""

    session: SessionRow
    running: Activity | None


async def look_at_sessions(
    ctx: Context, session_ids: Sequence[SessionId]
) -> tuple[datetime, tuple[WatchedSession, ...]]:
    """Return the store's clock, and what has become of the sessions whose connections one holds."""
    async with ctx.store.connection() as connection:
        return await sessions.watch_sessions(connection, session_ids)


async def note_running(
    ctx: Context, running: Mapping[SessionId, Activity], over: Collection[SessionId]
) -> None:
    """Write down what runs now in some sessions, and where nothing does any more."""
    async with ctx.store.connection() as connection:
        if running:
            await session_activity.note_activity(connection, running)
        if over:
            await session_activity.forget_activity(connection, over)


async def pass_cancel_on(ctx: Context, number: int) -> None:
    """Let every process know that what runs in a session is to be cancelled, by its key's number.

    Whoever calls has seen that the key is genuine.
    """
    async with ctx.store.transaction() as tx:
        await tell(tx, Hint.CANCEL_ASKED, number)


async def list_live_sessions(
    ctx: Context,
    actor: Actor,
    *,
    database: str | None = None,
    mine: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> tuple[tuple[LiveSession, ...], int | None]:
    """List sessions not closed that the actor may see, newest first, and from where to go on."""
    require_capability(actor, Capability.READ)
    found: list[SessionRow] = []
    looked_at = 0
    goes_on: int | None = None
    async with ctx.store.snapshot() as tx:
        database_id: DatabaseId | None = None
        if database is not None:
            database_id = await find_database(tx, database)
            if database_id is None:
                return (), None
        visible: dict[int, bool] = {}
        while looked_at < _LOOKED_AT and len(found) < limit:
            rows = await sessions.list_sessions(
                tx,
                principal_id=actor.id if mine else None,
                database_id=database_id,
                states=UNCLOSED,
                before=before,
                limit=_BATCH,
            )
            for row in rows:
                looked_at += 1
                before = row.id
                if row.grant_id not in visible:
                    visible[row.grant_id] = await _may_see(tx, actor, row)
                if visible[row.grant_id]:
                    found.append(row)
                if len(found) == limit:
                    goes_on = before
                    break
            if len(rows) < _BATCH:
                break
        else:
            goes_on = before
        running = await session_activity.activity_of(tx, [row.id for row in found])
    return tuple(LiveSession(row, running.get(row.id)) for row in found), goes_on


async def _may_see(tx: Tx, actor: Actor, session: SessionRow) -> bool:
    if actor.has_role(DaypassRole.ADMIN, DaypassRole.AUDITOR):
        return True
    grant = await grants.get_grant(tx, session.grant_id)
    return grant is not None and await may_look(tx, actor, grant.principal_id, grant.database_id)
