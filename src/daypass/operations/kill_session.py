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
from daypass.store.sessions import SessionRow


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
        if not await end_session(tx, actor, session, why=why, reason=said):
            raise Conflict(f"session {session_id} is over already", code="session_ended")


def say_end(close_reason: str) -> str:
    """Say that a session was ended, by what `end_session` was told of why."""
    if close_reason.startswith("ended by "):
        return f"the session was {close_reason}"
    return f"the session was ended: {close_reason or 'it is over'}"


async def end_session(tx: Tx, actor: Actor, session: SessionRow, *, why: str, reason: str) -> bool:
    """End a session with what its holder is told; False where it was over already.

    Whoever calls has seen that the actor may. `reason` is for the log.
    """
    if not await sessions.mark_closing(tx, session.id, why):
        return False
    grant = await grants.get_grant(tx, session.grant_id)
    await entries.append(
        tx,
        Entry(
            EntryKind.SESSION_KILLED,
            actor_id=actor.id,
            address=actor.address,
            application=actor.application,
            database_id=grant.database_id if grant is not None else None,
            grant_id=session.grant_id,
            session_id=session.id,
            content={"reason": reason, "account": session.account},
        ),
    )
    await enqueue(tx, Task.CLOSE_SESSIONS, lock=f"session:{session.id}", session_id=session.id)
    await tell(tx, Hint.SESSION_KILLED, session.id)
    return True


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
