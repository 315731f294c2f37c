"""Remind those who should have judged a break-glass grant by now, again and again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from daypass.domain.decision import ApproverSpec
from daypass.domain.ids import GrantId
from daypass.domain.principal import DaypassRole
from daypass.operations.context import Context
from daypass.operations.tell_approvers import approvers_of
from daypass.operations.tell_people import holders_of, tell_people
from daypass.store import grants, outbox, requests
from daypass.store.database import Tx

_EVENT = "break_glass.review_due"
EVERY: Final = timedelta(hours=24)


async def remind_reviewers(ctx: Context, *, every: timedelta = EVERY) -> tuple[GrantId, ...]:
    """Tell reviewers, admins and auditors of each overdue review, once in so much time.

    The outbox itself says when they were last told. Return the grants they were reminded of.
    """
    async with ctx.store.connection() as connection:
        overdue = await grants.list_unreviewed(connection)
    reminded = []
    for grant_id in overdue:
        async with ctx.store.transaction() as tx:
            if await _remind(tx, grant_id, every):
                reminded.append(grant_id)
    return tuple(reminded)


async def _remind(tx: Tx, grant_id: GrantId, every: timedelta) -> bool:
    # Its lock lets one process at a time look and tell.
    grant = await grants.lock_grant(tx, grant_id)
    if grant is None or not grant.review_overdue or grant.review is None:
        return False
    if await outbox.told_since(tx, _EVENT, grant_id, every.total_seconds()):
        return False
    request = await requests.get_request(tx, grant.request_id)
    if request is None:
        raise RuntimeError("a grant without its request")
    named = [ApproverSpec(each["kind"], each["name"]) for each in grant.review["approvers"]]
    concerned = await approvers_of(tx, request, named)
    concerned.update(await holders_of(tx, DaypassRole.ADMIN))
    concerned.update(await holders_of(tx, DaypassRole.AUDITOR))
    await tell_people(
        tx,
        _EVENT,
        concerned - {grant.principal_id},
        subject=f"Overdue: nobody has reviewed break-glass grant {grant_id}",
        text=f"{grant.principal_name} broke the glass on {grant.database}, which should have been "
        f"reviewed by {grant.review['due_at']}. Judge it with: daypass review {grant_id}.",
        facts={"grant": grant_id, "request": request.id, "database": grant.database},
    )
    return True
