"""Have live grants follow a change of policy, catalog, tags or people."""

from __future__ import annotations

import psycopg

from daypass.domain.errors import Conflict, Denied, Error, Invalid, Unavailable
from daypass.domain.ids import DatabaseId, GrantId, ScopeHash
from daypass.operations.apply_scope import ensure_applied, note_scope
from daypass.operations.close_sessions import close_found
from daypass.operations.context import Context
from daypass.operations.end_grants import LIVE
from daypass.operations.plan_grant import GrantPlan, plan_grant
from daypass.store import grants, sessions
from daypass.store.grants import GrantRow


async def recompile_grants(ctx: Context, database_id: DatabaseId) -> int:
    """Give every live grant on a database the scope it has now; return how many changed.

    Sessions under an older scope are ended: their views are not those of the new one. A grant whose
    scope can no longer be made keeps its deadline and opens nothing. What is wrong with one grant
    holds up no other: raises the first problem once all of them have been seen to.
    """
    async with ctx.store.connection() as connection:
        live = await grants.list_grants(
            connection, database_id=database_id, states=LIVE, limit=100_000
        )
    problems: list[Exception] = []
    wanted: dict[ScopeHash, GrantPlan] = {}
    stand_for: dict[GrantId, ScopeHash | None] = {}
    changed = 0
    for grant in live:
        try:
            found = await _note(ctx, grant)
        except (Error, psycopg.Error) as error:
            problems.append(error)
            continue
        usable = found is not None and not found.plan.blocked
        stand_for[grant.id] = found.plan.scope_hash if found is not None and usable else None
        if found is not None and usable and grant.scope_hash is not None:
            wanted[found.plan.scope_hash] = found
        changed += found is None or grant.scope_hash != found.plan.scope_hash or not usable
    # First the sessions, then the new scopes: a change that hides more must not wait.
    try:
        await _end_outdated(ctx, database_id, stand_for)
    except (Error, psycopg.Error) as error:
        problems.append(error)
    for found in wanted.values():
        try:
            await ensure_applied(ctx, found)
        except Unavailable as error:
            if error.detail_code != "instance_yielded":
                problems.append(error)
        except (Error, psycopg.Error) as error:
            problems.append(error)
    if problems:
        raise problems[0]
    return changed


async def _note(ctx: Context, grant: GrantRow) -> GrantPlan | None:
    """Write down what a grant stands for now; None when its scope is no longer there."""
    while True:
        try:
            async with ctx.store.transaction() as tx:
                found = await plan_grant(ctx, tx, grant)
        except (Invalid, Denied):
            return None
        try:
            await note_scope(ctx, grant.id, found)
        except Conflict:
            # Changed once more since the line above.
            continue
        return found


async def _end_outdated(
    ctx: Context, database_id: DatabaseId, stand_for: dict[GrantId, ScopeHash | None]
) -> None:
    """End the sessions under any other scope than their grant's.

    A grant's note may be older than this: whoever wrote it was killed before it came to sessions.
    """
    async with ctx.store.connection() as connection:
        unclosed = await sessions.list_sessions(
            connection, database_id=database_id, states=sessions.UNCLOSED, limit=None
        )
    await close_found(
        ctx,
        [
            session
            for session in unclosed
            if session.grant_id in stand_for and stand_for[session.grant_id] != session.scope_hash
        ],
        "the policy or the catalog changed",
    )
