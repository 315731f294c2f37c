"""Tell those who may approve a step that something waits for them."""

from __future__ import annotations

from collections.abc import Sequence

from daypass.domain.decision import ApproverSpec, StepSpec
from daypass.domain.duration import format_duration
from daypass.domain.ids import PrincipalId
from daypass.domain.limits import ExactStatement
from daypass.operations.consider import Considered
from daypass.operations.tell_people import members_of, owners_of, tell_people
from daypass.policy.facts import class_names
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
    considered: Considered,
    *,
    position: int = 0,
) -> None:
    """Tell the approvers of one step; the next ones hear when it is their turn."""
    facts, asked = considered.facts, considered.asked
    classes = ", ".join(class_names(asked.classes))
    what = f"as its role {asked.native_role}" if asked.native_role else ", ".join(asked.relations)
    # Names are what people call themselves; the address is who they are.
    who = f"{request.requester_name} ({request.requester})"
    await tell_people(
        tx,
        "request.waits",
        await approvers_of(tx, request, steps[position].approvers),
        subject=f"{who} asks for {facts.path}",
        text=f"{who} asks to {classes} {what} on {facts.path} for "
        f'{format_duration(request.duration)}: "{request.reason}". {_warnings(considered)}'
        f"Decide with: daypass approve {request.id}, or daypass deny {request.id}.",
        facts={
            "request": request.id,
            "database": facts.path,
            "requester": request.requester,
            "step": position + 1,
            "steps": len(steps),
        },
    )


def _warnings(considered: Considered) -> str:
    """Say what an approver should not have to look for."""
    asked, timed = considered.asked, considered.plan.timed_by_gateway
    said = []
    if asked.statements:
        said.append("Nothing else may be sent than: " + "; ".join(map(_exact, asked.statements)))
        said.append(". ")
    if asked.unmask:
        said.append(f"Unmasked: {', '.join(asked.unmask)}. ")
    if considered.request.direct_credentials:
        said.append("With a client of their own: what they run is not recorded. ")
    if timed:
        said.append(
            f"No view stands before {', '.join(class_names(timed))}: what is reached by it is not "
            "masked, and it ends by cutting the session. "
        )
    return "".join(said)


def _exact(statement: ExactStatement) -> str:
    if statement.parameters is None:
        return statement.text
    values = ", ".join("null" if each is None else repr(each) for each in statement.parameters)
    return f"{statement.text} with {values}"
