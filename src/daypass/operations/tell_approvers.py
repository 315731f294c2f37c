"""Tell those who may approve a step that something waits for them."""

from __future__ import annotations

from collections.abc import Sequence

from daypass.domain.decision import ApproverSpec, StepSpec
from daypass.domain.duration import format_duration
from daypass.domain.ids import PrincipalId
from daypass.operations.database_facts import DatabaseFactsBundle
from daypass.operations.tell_people import members_of, owners_of, tell_people
from daypass.store.database import Tx
from daypass.store.principals import find_principal, get_principal
from daypass.store.requests import RequestRow


async def approvers_of(
    tx: Tx, request: RequestRow, approvers: Sequence[ApproverSpec]
) -> set[PrincipalId]:
    """List the people a step names, and those who stand in for them; never those who ask."""
    found: set[PrincipalId] = set()
    for approver in approvers:
        match approver.kind:
            case "group":
                found.update(await members_of(tx, approver.name))
            case "owners":
                found.update(await owners_of(tx, request.database_id))
            case "user":
                person = await find_principal(tx, approver.name)
                if person is not None and person.active:
                    found.add(person.id)
            case "manager":
                found.update(await _manager_of(tx, request.requester_id))
            case _:
                # External deciders hear of it by webhook.
                continue
    requester = await get_principal(tx, request.requester_id)
    asking = {requester.id} if requester.owner is None else {requester.id, requester.owner}
    # Nobody stands in for those who ask.
    cursor = await tx.execute(
        """
        select d.to_id from delegation d join principal p on p.id = d.to_id
        where d.from_id = any(%s) and d.ended_at is null and p.active
          and d.starts_at <= clock_timestamp() and d.ends_at > clock_timestamp()
        """,
        (list(found - asking),),
    )
    found.update(PrincipalId(row[0]) for row in await cursor.fetchall())
    return found - asking


async def _manager_of(tx: Tx, principal_id: PrincipalId) -> set[PrincipalId]:
    cursor = await tx.execute(
        """
        select m.id from principal p join principal m on m.id = p.manager_id
        where p.id = %s and m.active
        """,
        (principal_id,),
    )
    return {PrincipalId(row[0]) for row in await cursor.fetchall()}


async def tell_approvers(
    tx: Tx,
    request: RequestRow,
    steps: Sequence[StepSpec],
    facts: DatabaseFactsBundle,
    *,
    position: int = 0,
) -> None:
    """Tell the approvers of one step; the next ones hear when it is their turn."""
    classes = ", ".join(sorted(c.value for c in request.asked.classes))
    what = request.asked.native_role or ", ".join(request.asked.relations)
    # Names are what people call themselves; the address is who they are.
    who = f"{request.requester_name} ({request.requester})"
    await tell_people(
        tx,
        "request.waits",
        await approvers_of(tx, request, steps[position].approvers),
        subject=f"{who} asks for {facts.path}",
        text=f"{who} asks to {classes} {what} on {facts.path} for "
        f'{format_duration(request.duration)}: "{request.reason}". '
        f"Decide with: daypass approve {request.id}, or daypass deny {request.id}.",
        facts={
            "request": request.id,
            "database": facts.path,
            "requester": request.requester,
            "step": position + 1,
            "steps": len(steps),
        },
    )
