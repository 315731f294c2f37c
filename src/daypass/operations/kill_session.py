"""End one session now; its grant stays."""

from __future__ import annotations

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Conflict, Invalid
from daypass.domain.ids import SessionId
from daypass.domain.principal import Actor, Capability
from daypass.operations.check_ask import check_comment
from daypass.operations.context import Context, require_capability
from daypass.operations.grant_rights import is_own, may_oversee, no_such
from daypass.store import entries, grants, sessions
from daypass.store.database import Tx
from daypass.store.grants import GrantRow
from daypass.store.jobs import Task, enqueue
from daypass.store.processes import Hint, tell


async def kill_session(ctx: Context, actor: Actor, session_id: SessionId, reason: str = "") -> None:
    """End a session, by its holder, an owner of the database, or an admin, who say why.

    Whichever process holds its connection hears of it; the account is closed by a task that is
    retried for ever, whether anybody hears or not. Raises `NotFound` for one the actor may not end
    and `Conflict` for one that is over.
    """
    check_comment(reason)
    async with ctx.store.transaction() as tx:
        session = await sessions.get_session(tx, session_id)
        grant = await grants.get_grant(tx, session.grant_id) if session is not None else None
        if session is None or grant is None:
            raise no_such("session", session_id)
        await _authorize(tx, actor, grant, session_id, reason)
        said = reason.strip()
        why = f"ended by {actor.principal.email}" + (f": {said}" if said else "")
        if not await sessions.mark_closing(tx, session_id, why):
            raise Conflict(f"session {session_id} is over already", code="session_ended")
        await entries.append(
            tx,
            Entry(
                EntryKind.SESSION_KILLED,
                actor_id=actor.id,
                address=actor.address,
                application=actor.application,
                database_id=grant.database_id,
                grant_id=grant.id,
                session_id=session_id,
                content={"reason": said, "account": session.account},
            ),
        )
        await enqueue(tx, Task.CLOSE_SESSIONS, lock=f"session:{session_id}", session_id=session_id)
        await tell(tx, Hint.SESSION_KILLED, session_id)


async def _authorize(
    tx: Tx, actor: Actor, grant: GrantRow, session_id: SessionId, reason: str
) -> None:
    if await is_own(tx, actor, grant.principal_id):
        if not actor.may(Capability.MANAGE):
            require_capability(actor, Capability.CONNECT)
        return
    if not actor.may(Capability.MANAGE) or not await may_oversee(tx, actor, grant.database_id):
        raise no_such("session", session_id)
    if not reason.strip():
        raise Invalid(
            "say why somebody else's session is ended",
            problems=(("reason", "write what they will read"),),
            next_step="add --reason",
            code="reason_missing",
        )
