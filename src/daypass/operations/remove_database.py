"""Stop managing a database: everything open on it ends first, and its objects are removed."""

from __future__ import annotations

from collections.abc import Sequence

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Conflict, Error, Invalid
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Actor, DaypassRole
from daypass.domain.states import GrantEnd, GrantState, RequestState
from daypass.operations.apply_scope import collect_scope
from daypass.operations.close_grant import close_grant
from daypass.operations.context import Context, require_role
from daypass.operations.database_owner import managed_database
from daypass.operations.end_grants import LIVE, end_grants_on
from daypass.operations.entry_by import entry_by
from daypass.store import databases, entries, grants, plans, policies, requests
from daypass.store.database import Tx
from daypass.store.databases import Database
from daypass.store.processes import Hint, tell

_ALL = 100_000


async def remove_database(
    ctx: Context, actor: Actor, database_id: DatabaseId, *, reason: str, force: bool = False
) -> None:
    """End every grant and request on a database, then forget it; its entries stay.

    Raises `Conflict` while a grant cannot be revoked, its target being away, unless `force` says to
    go on: such grants are tried for ever even so.
    """
    require_role(actor, DaypassRole.ADMIN)
    require_reason(reason)
    async with ctx.store.transaction() as tx:
        database = await managed_database(tx, database_id)
        await end_everything(tx, actor, (database,), reason)
    problems = await close_everything(ctx, (database,))
    async with ctx.store.transaction() as tx:
        # Decisions under way end first, and no other begins: none makes a grant unseen below.
        await policies.lock_head(tx)
        database = await managed_database(tx, database_id)
        await require_closed(tx, (database,), problems, force=force)
        await forget_database(tx, actor, database, reason, force=force)


def require_reason(reason: str) -> None:
    """Raise `Invalid` without a reason."""
    if not reason.strip():
        raise Invalid("say why it is removed", next_step="add a reason", code="reason_missing")


async def end_everything(tx: Tx, actor: Actor, removed: Sequence[Database], reason: str) -> None:
    """End the grants and deny the pending requests on databases."""
    for database in removed:
        await end_grants_on(
            tx,
            database_id=database.id,
            cause=GrantEnd.DATABASE_REMOVED,
            by=actor.id,
            reason=f"{database.path} is being removed: {reason}",
        )
        for pending in await requests.list_requests(
            tx, database_id=database.id, state=RequestState.PENDING, limit=_ALL
        ):
            request = await requests.lock_request(tx, pending.id)
            if request is None or request.state != RequestState.PENDING:
                continue
            why = f"{database.path} is being removed"
            await requests.end_request(
                tx, request.id, RequestState.DENIED, decided_by=actor.id, reason=why
            )
            await entries.append(
                tx,
                Entry(
                    EntryKind.REQUEST_DENIED,
                    actor_id=actor.id,
                    address=actor.address,
                    application=actor.application,
                    database_id=database.id,
                    request_id=request.id,
                    content={"reason": why},
                ),
            )
            await tell(tx, Hint.REQUEST_CHANGED, request.id)


async def close_everything(ctx: Context, removed: Sequence[Database]) -> tuple[str, ...]:
    """Revoke what has ended on databases and take their scopes away; return what went wrong."""
    problems = []
    for database in removed:
        async with ctx.store.connection() as connection:
            revoking = await grants.list_grants(
                connection, database_id=database.id, states=(GrantState.REVOKING,), limit=_ALL
            )
            made = [
                scope_hash
                for name, scope_hash in await plans.list_plans(connection, database.instance_id)
                if name == database.name
            ]
        try:
            for grant in revoking:
                await close_grant(ctx, grant.id)
            for scope_hash in made:
                await collect_scope(ctx, database.id, scope_hash)
        except Error as error:
            problems.append(f"{database.path}: {error.message}")
    return tuple(problems)


async def require_closed(
    tx: Tx, removed: Sequence[Database], problems: Sequence[str], *, force: bool
) -> None:
    """Raise `Conflict` while anything is live, or revoking unless `force` is set."""
    for database in removed:
        live = await grants.list_grants(tx, database_id=database.id, states=LIVE, limit=1)
        if live:
            raise Conflict(
                f"grant {live[0].id} on {database.path} was made in the meantime",
                next_step="try again",
                code="grant_live",
            )
        revoking = await grants.list_grants(
            tx, database_id=database.id, states=(GrantState.REVOKING,), limit=_ALL
        )
        if (revoking or problems) and not force:
            said = f": {problems[0]}" if problems else ""
            raise Conflict(
                f"{len(revoking)} grants on {database.path} are not revoked yet{said}",
                next_step="try again when the instance answers, or force it with the reason why:"
                " revoking goes on even so",
                code="still_revoking",
            )


async def forget_database(
    tx: Tx, actor: Actor, database: Database, reason: str, *, force: bool
) -> None:
    """Mark a database removed, with its entry."""
    await databases.mark_database_removed(tx, database.id)
    await entries.append(
        tx,
        entry_by(
            actor,
            EntryKind.DATABASE_REMOVED,
            database_id=database.id,
            database=database.path,
            reason=reason.strip(),
            forced=force,
        ),
    )
