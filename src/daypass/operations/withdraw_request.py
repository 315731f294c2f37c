"""Take a request back."""

from __future__ import annotations

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Conflict
from daypass.domain.ids import PrincipalId, RequestId
from daypass.domain.principal import Actor, Capability
from daypass.domain.states import RequestState
from daypass.operations.check_ask import check_comment
from daypass.operations.context import Context, require_capability
from daypass.operations.grant_rights import is_own, no_such
from daypass.operations.tell_people import tell_people
from daypass.store import entries, requests
from daypass.store.database import Tx
from daypass.store.processes import Hint, tell
from daypass.store.requests import RequestRow


async def withdraw_request(
    ctx: Context, actor: Actor, request_id: RequestId, reason: str = ""
) -> None:
    """Withdraw one's own pending request. Raises `NotFound`, or `Conflict` when it is decided."""
    require_capability(actor, Capability.REQUEST)
    check_comment(reason)
    async with ctx.store.transaction() as tx:
        request = await requests.lock_request(tx, request_id)
        if request is None or not await is_own(tx, actor, request.requester_id):
            raise no_such("request", request_id)
        require_pending(request)
        await _withdraw(tx, request, by=actor.id, address=actor.address, reason=reason)


async def withdraw_requests_of(
    tx: Tx, principal_id: PrincipalId, *, by: PrincipalId | None, reason: str
) -> tuple[RequestId, ...]:
    """Withdraw every pending request of a principal who leaves."""
    withdrawn = []
    for found in await requests.list_requests(
        tx, requester_id=principal_id, state=RequestState.PENDING, limit=100_000
    ):
        request = await requests.lock_request(tx, found.id)
        if request is not None and request.state == RequestState.PENDING:
            await _withdraw(tx, request, by=by, address="", reason=reason)
            withdrawn.append(request.id)
    return tuple(withdrawn)


def require_pending(request: RequestRow) -> None:
    """Raise `Conflict` unless a request still waits, saying how it ended."""
    if request.state != RequestState.PENDING:
        by = f" by {request.decided_by}" if request.decided_by else ""
        raise Conflict(
            f"request {request.id} is already {request.state}{by}",
            next_step=f"daypass show {request.id} tells what happened",
            code=f"request_{request.state}",
        )


async def _withdraw(
    tx: Tx, request: RequestRow, *, by: PrincipalId | None, address: str, reason: str
) -> None:
    await requests.end_request(
        tx, request.id, RequestState.WITHDRAWN, decided_by=by, reason=reason or "withdrawn"
    )
    await entries.append(
        tx,
        Entry(
            EntryKind.REQUEST_WITHDRAWN,
            actor_id=by,
            address=address,
            database_id=request.database_id,
            request_id=request.id,
            content={"reason": reason},
        ),
    )
    await tell(tx, Hint.REQUEST_CHANGED, request.id)
    # For programs that ask people to decide: nobody needs a mail for what is no longer wanted.
    await tell_people(
        tx,
        "request.withdrawn",
        {request.requester_id} - {by},
        subject=f"Request {request.id} on {request.database} was withdrawn",
        text=f"The request of {request.requester_name} for {request.database} was withdrawn"
        + (f": {reason}." if reason.strip() else "."),
        facts={"request": request.id, "database": request.database},
    )
