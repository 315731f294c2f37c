"""Look at grants, their sessions and receipts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daypass.domain.errors import Invalid, NotFound, Unavailable
from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.domain.states import GrantState
from daypass.operations.context import Context, require_capability
from daypass.operations.grant_rights import may_look, no_such
from daypass.operations.plan_grant import plan_grant
from daypass.operations.review_break_glass import may_review
from daypass.store import grants, plans, receipts, sessions
from daypass.store.codec import exposures_to_json, left_out_to_json, scope_to_json
from daypass.store.database import Tx, now
from daypass.store.databases import find_database
from daypass.store.grants import GrantRow
from daypass.store.receipts import ReceiptRow
from daypass.store.sessions import SessionRow

_LOOKED_AT = 1000
_BATCH = 200


@dataclass(frozen=True, slots=True)
class GrantFilter:
    """Which grants to list; filters are ANDed. `database` is `instance/database`.

    `mine` leaves the actor's own, `unreviewed` break-glass grants nobody has judged yet.
    """

    states: tuple[GrantState, ...] = ()
    database: str | None = None
    mine: bool = False
    unreviewed: bool = False


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """What a grant opens, what is left out of it, and what blocks it, for people to read."""

    scope: dict[str, Any]
    left_out: list[dict[str, str]]
    blocked: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class ShownGrant:
    """A grant, what it comes to on its database, and how long it still has (seconds)."""

    grant: GrantRow
    plan: ShownPlan | None
    remaining_s: float


async def list_grants(
    ctx: Context, actor: Actor, wanted: GrantFilter, *, before: int | None, limit: int
) -> tuple[tuple[GrantRow, ...], int | None]:
    """List grants the actor may see, newest first, and from where to go on if there may be more."""
    require_capability(actor, Capability.READ)
    found: list[GrantRow] = []
    looked_at = 0
    async with ctx.store.snapshot() as tx:
        database_id = None
        if wanted.database is not None:
            database_id = await find_database(tx, wanted.database)
            if database_id is None:
                return (), None
        while looked_at < _LOOKED_AT:
            rows = await grants.list_grants(
                tx,
                principal_id=actor.id if wanted.mine else None,
                database_id=database_id,
                states=wanted.states,
                unreviewed_only=wanted.unreviewed,
                before=before,
                limit=_BATCH,
            )
            for row in rows:
                looked_at += 1
                before = row.id
                if await _may_see(tx, actor, row):
                    found.append(row)
                if len(found) == limit:
                    return tuple(found), before
            if len(rows) < _BATCH:
                return tuple(found), None
    return tuple(found), before


async def show_grant(ctx: Context, actor: Actor, grant_id: GrantId) -> ShownGrant:
    """Show one grant. Raises `NotFound` for one the actor may not see."""
    require_capability(actor, Capability.READ)
    async with ctx.store.transaction() as tx:
        grant = await _visible(tx, actor, grant_id)
        plan = await _plan_of(ctx, tx, grant)
        live = grant.state in (GrantState.SCHEDULED, GrantState.ACTIVE)
        remaining = (grant.deadline - await now(tx)).total_seconds() if live else 0.0
        return ShownGrant(grant, plan, max(0.0, remaining))


async def _plan_of(ctx: Context, tx: Tx, grant: GrantRow) -> ShownPlan | None:
    """Return what a live grant comes to now, and what one that is over came to, as far as kept.

    Of a live one what is kept may be another grant's: equal scopes are one, whatever was left out.
    """
    if grant.state in (GrantState.SCHEDULED, GrantState.ACTIVE):
        try:
            found = await plan_grant(ctx, tx, grant)
        except (Invalid, Unavailable):
            return None
        return ShownPlan(
            scope_to_json(found.scope.only(found.plan.given)),
            left_out_to_json(found.plan.left_out),
            exposures_to_json(found.plan.blocked),
        )
    if grant.scope_hash is None:
        return None
    kept = await plans.get_plan(tx, grant.database_id, grant.scope_hash)
    return ShownPlan(kept.scope, kept.left_out, kept.blocked) if kept is not None else None


async def show_receipt(ctx: Context, actor: Actor, grant_id: GrantId) -> ReceiptRow:
    """Show the proof that a grant was revoked. Raises `NotFound` while there is none."""
    require_capability(actor, Capability.READ)
    async with ctx.store.snapshot() as tx:
        grant = await _visible(tx, actor, grant_id)
        receipt = await receipts.receipt_of(tx, grant_id)
    if receipt is None:
        state = "is still live" if grant.end_cause is None else "is being revoked"
        raise NotFound(
            f"there is no receipt yet: grant {grant_id} {state}",
            next_step=f"daypass receipt {grant_id} --wait" if grant.end_cause else "",
            code="no_receipt",
        )
    return receipt


async def list_sessions(
    ctx: Context, actor: Actor, grant_id: GrantId, *, before: int | None, limit: int
) -> tuple[SessionRow, ...]:
    """List the sessions of a grant, newest first. Raises `NotFound`."""
    require_capability(actor, Capability.READ)
    async with ctx.store.snapshot() as tx:
        await _visible(tx, actor, grant_id)
        return await sessions.list_sessions(tx, grant_id=grant_id, before=before, limit=limit)


async def _visible(tx: Tx, actor: Actor, grant_id: GrantId) -> GrantRow:
    grant = await grants.get_grant(tx, grant_id)
    if grant is None or not await _may_see(tx, actor, grant):
        raise no_such("grant", grant_id)
    return grant


async def _may_see(tx: Tx, actor: Actor, grant: GrantRow) -> bool:
    if actor.has_role(DaypassRole.ADMIN, DaypassRole.AUDITOR):
        return True
    return await may_look(tx, actor, grant.principal_id, grant.database_id) or (
        grant.break_glass and await may_review(tx, actor, grant)
    )
