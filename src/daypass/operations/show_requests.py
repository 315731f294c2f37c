"""Look at requests: one's own, those one oversees, and those that wait for one's decision."""

from __future__ import annotations

from dataclasses import dataclass

from daypass.domain.decision import StepSpec
from daypass.domain.ids import DatabaseId, RequestId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.domain.states import RequestState
from daypass.operations.context import Context, require_capability
from daypass.operations.decide_request import may_see, votes_of
from daypass.operations.grant_rights import no_such
from daypass.operations.tell_approvers import approvers_of
from daypass.policy.approvals import progress
from daypass.store import requests
from daypass.store.database import Tx
from daypass.store.databases import find_database
from daypass.store.requests import ApprovalRow, RequestRow

# Rows looked at for one page: whoever may see few of many goes on with the cursor.
_LOOKED_AT = 1000
_BATCH = 200


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests to list; filters are ANDed. `database` is `instance/database`.

    `mine` leaves the actor's own, `awaiting_me` pending ones whose step the actor may decide now.
    """

    state: RequestState | None = None
    database: str | None = None
    mine: bool = False
    awaiting_me: bool = False


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step of approval: how many yeses it still needs, and whether it is the one that is up."""

    spec: StepSpec
    done: bool
    current: bool
    remaining: int


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """A request with its steps and every verdict; `awaits_me` says that the actor may decide it."""

    request: RequestRow
    steps: tuple[ShownStep, ...]
    approvals: tuple[ApprovalRow, ...]
    awaits_me: bool


async def list_requests(
    ctx: Context, actor: Actor, wanted: RequestFilter, *, before: int | None, limit: int
) -> tuple[tuple[RequestRow, ...], int | None]:
    """List requests the actor may see, newest first, and from where to go on if there may be more.

    A page may hold fewer than `limit`, or none, and still not be the last.
    """
    require_capability(actor, Capability.READ)
    found: list[RequestRow] = []
    looked_at = 0
    async with ctx.store.snapshot() as tx:
        database_id = None
        if wanted.database is not None:
            database_id = await find_database(tx, wanted.database)
            if database_id is None:
                return (), None
        while looked_at < _LOOKED_AT:
            rows = await _rows(tx, actor, wanted, database_id, before)
            for row in rows:
                looked_at += 1
                before = row.id
                if await _wanted(tx, actor, wanted, row):
                    found.append(row)
                if len(found) == limit:
                    return tuple(found), before
            if len(rows) < _BATCH:
                return tuple(found), None
    return tuple(found), before


async def show_request(ctx: Context, actor: Actor, request_id: RequestId) -> ShownRequest:
    """Show one request. Raises `NotFound` for one the actor may not see."""
    require_capability(actor, Capability.READ)
    async with ctx.store.snapshot() as tx:
        request = await requests.get_request(tx, request_id)
        if request is None or not await may_see(tx, actor, request):
            raise no_such("request", request_id)
        approval, votes = await votes_of(tx, request)
        state = progress(approval, votes)
        pending = request.state == RequestState.PENDING
        return ShownRequest(
            request=request,
            steps=tuple(
                ShownStep(
                    spec=spec,
                    done=state.done or number < state.step,
                    current=pending and not state.done and number == state.step,
                    remaining=state.remaining if number == state.step else spec.count,
                )
                for number, spec in enumerate(approval.steps)
            ),
            approvals=await requests.approvals_of(tx, request_id),
            awaits_me=pending and await _awaits(tx, actor, request),
        )


async def _rows(
    tx: Tx,
    actor: Actor,
    wanted: RequestFilter,
    database_id: DatabaseId | None,
    before: int | None,
) -> tuple[RequestRow, ...]:
    return await requests.list_requests(
        tx,
        requester_id=actor.id if wanted.mine else None,
        database_id=database_id,
        state=RequestState.PENDING if wanted.awaiting_me else wanted.state,
        before=before,
        limit=_BATCH,
    )


async def _wanted(tx: Tx, actor: Actor, wanted: RequestFilter, row: RequestRow) -> bool:
    if wanted.awaiting_me:
        return await _awaits(tx, actor, row)
    if wanted.mine or actor.has_role(DaypassRole.ADMIN, DaypassRole.AUDITOR):
        return True
    return await may_see(tx, actor, row)


async def _awaits(tx: Tx, actor: Actor, request: RequestRow) -> bool:
    """Say whether the step that is up names the actor, who has not decided yet."""
    given = await requests.approvals_of(tx, request.id, request.round)
    if any(actor.id == each.approver_id for each in given):
        return False
    approval, votes = await votes_of(tx, request)
    state = progress(approval, votes)
    if state.done or state.step >= len(approval.steps):
        return False
    step = approval.steps[state.step]
    return actor.id in await approvers_of(tx, request, step.approvers)
