"""Open a session on a target with a permit, and close it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Conflict, Error
from daypass.domain.ids import EntryId
from daypass.domain.permit import SessionPermit
from daypass.engines.contract import Plan, Session, SessionSpec, Target
from daypass.operations.context import Context
from daypass.operations.move_deadline import move_deadline
from daypass.operations.open_target import open_target
from daypass.store import entries, sessions
from daypass.store.jobs import Task, enqueue

WORK_DONE = "its work is done"


class Opened(Protocol):
    """What a dial leads to."""

    @property
    def backend_id(self) -> int:
        """Return the server's own number of the connection."""


_Opened = TypeVar("_Opened", bound=Opened)


@dataclass(slots=True)
class Use:
    """A session for one piece of work.

    `started` is the number of the entry it began with; `ended` is appended with its end.
    """

    session: Session
    started: EntryId
    ended: Entry | None = None


async def open_session(ctx: Context, permit: SessionPermit, plan: Plan) -> Session:
    """Dial the target as the permit's account.

    Raises `Conflict` when the grant ended meanwhile; whatever was made by then is taken away.
    """
    session, _ = await _open(ctx, permit, plan, None)
    return session


async def _open(
    ctx: Context, permit: SessionPermit, plan: Plan, first: Entry | None
) -> tuple[Session, EntryId]:
    return await open_by(
        ctx,
        permit,
        lambda target, spec: target.open_session(plan, spec),
        lambda session: session.aclose(),
        first=first,
    )


async def open_by(
    ctx: Context,
    permit: SessionPermit,
    dial: Callable[[Target, SessionSpec], Awaitable[_Opened]],
    drop: Callable[[_Opened], Awaitable[None]],
    *,
    application: str = "daypass",
    first: Entry | None = None,
) -> tuple[_Opened, EntryId]:
    """Dial with a permit and write down that it is open, with a first entry of its work if any.

    What `dial` gives is dropped again when it cannot be written down. Raises `Conflict` when the
    grant ended meanwhile.
    """
    target = await open_target(ctx, permit.instance_id)
    spec = SessionSpec(
        account=permit.account,
        deadline=permit.deadline,
        application=application,
        settings=permit.scope.settings,
    )
    # Whoever ends the grant meanwhile waits for the dialling to be over, see close_sessions.
    try:
        async with ctx.store.lock("session", permit.session_id):
            session = await dial(target, spec)
    except BaseException as error:
        intruded = isinstance(error, Error) and error.detail_code == "account_intruded"
        await give_up(ctx, permit, "somebody else was signed in" if intruded else "not opened")
        if intruded:
            await _note_intrusion(ctx, permit)
        raise
    try:
        async with ctx.store.transaction() as tx:
            marked = await sessions.mark_open(tx, permit.session_id, session.backend_id)
            if marked is not None:
                moment = marked.at
                number = await entries.append(tx, _opened(permit, session), at=moment)
                if first is not None:
                    number = await entries.append(tx, first, at=moment)
        if marked is not None and marked.deadline != permit.deadline:
            # It was moved before the account was there to be told.
            await move_deadline(ctx, permit.grant_id)
    except BaseException:
        await drop(session)
        await give_up(ctx, permit, "not recorded")
        raise
    if marked is None:
        await drop(session)
        await target.close((permit.account,))
        raise Conflict(
            f"grant {permit.grant_id} ended while the session was being opened",
            code="grant_ended",
        )
    return session, number


def _opened(permit: SessionPermit, session: Opened) -> Entry:
    return Entry(
        EntryKind.SESSION_OPENED,
        actor_id=permit.principal_id,
        database_id=permit.database_id,
        grant_id=permit.grant_id,
        session_id=permit.session_id,
        content={"account": permit.account, "backend": session.backend_id},
    )


@asynccontextmanager
async def opened(
    ctx: Context, permit: SessionPermit, plan: Plan, first: Entry
) -> AsyncIterator[Use]:
    """Open a session with a first entry, and give it back when the block ends, however it ends."""
    use = Use(*await _open(ctx, permit, plan, first))
    try:
        yield use
    finally:
        await asyncio.shield(_give_back(ctx, permit, use))


async def _give_back(ctx: Context, permit: SessionPermit, use: Use) -> None:
    # The connection goes at once; its account is taken away by a task that is retried for ever.
    await use.session.aclose()
    await give_up(ctx, permit, WORK_DONE, use.ended)


async def give_up(
    ctx: Context, permit: SessionPermit, reason: str, ended: Entry | None = None
) -> None:
    """Have a session's account closed by a task that is retried for ever; idempotent."""
    async with ctx.store.transaction() as tx:
        if ended is not None:
            await entries.append(tx, ended)
        if await sessions.mark_closing(tx, permit.session_id, reason):
            await enqueue(
                tx,
                Task.CLOSE_SESSIONS,
                lock=f"session:{permit.session_id}",
                session_id=permit.session_id,
            )


async def _note_intrusion(ctx: Context, permit: SessionPermit) -> None:
    async with ctx.store.transaction() as tx:
        await entries.append(
            tx,
            Entry(
                EntryKind.SESSION_INTRUDED,
                actor_id=permit.principal_id,
                database_id=permit.database_id,
                grant_id=permit.grant_id,
                session_id=permit.session_id,
                content={"account": permit.account},
            ),
        )
