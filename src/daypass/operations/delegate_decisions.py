"""Let somebody decide in one's place while one is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from daypass.audit.entry import EntryKind, utc_text
from daypass.domain.errors import Conflict, Invalid, NotFound
from daypass.domain.principal import Actor, Capability, DaypassRole, PrincipalKind
from daypass.operations.context import Context, require_capability
from daypass.operations.denials import denied
from daypass.operations.entry_by import entry_by
from daypass.operations.principal_facts import find_person
from daypass.operations.tell_people import tell_people
from daypass.store import delegations, entries, principals
from daypass.store.database import now
from daypass.store.delegations import Delegation

LONGEST: Final = timedelta(days=92)
_MAX_REASON = 500


async def delegate_decisions(
    ctx: Context,
    actor: Actor,
    *,
    to: str,
    ends_at: datetime,
    starts_at: datetime | None = None,
    reason: str = "",
) -> Delegation:
    """Let the person `to` (an e-mail address) decide in the actor's place for a time.

    It gives what the actor may decide at that moment and is not handed on. Nobody can make one in
    another's name, admins included. Raises `Invalid`.
    """
    require_capability(actor, Capability.APPROVE)
    if actor.principal.kind is PrincipalKind.SERVICE_ACCOUNT:
        raise denied("person_needed", "only people hand their decisions to others")
    async with ctx.store.transaction() as tx:
        moment = await now(tx)
        start = max(starts_at or moment, moment).astimezone(UTC)
        _check(start, ends_at, reason)
        to_id = await find_person(tx, "to", to)
        if to_id == actor.id:
            raise _invalid("to", "name somebody else")
        locked = await principals.lock_principals(tx, {actor.id, to_id})
        if not (locked[actor.id].active and locked[to_id].active):
            raise Conflict(f"{to} has left", code="principal_left")
        delegation = await delegations.add_delegation(
            tx, from_id=actor.id, to_id=to_id, starts_at=start, ends_at=ends_at, reason=reason
        )
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.DELEGATION_STARTED,
                delegation=delegation.id,
                to=to_id,
                starts_at=utc_text(start),
                ends_at=utc_text(ends_at),
                reason=reason,
            ),
        )
        await tell_people(
            tx,
            "delegation.started",
            {actor.id, to_id},
            subject=f"{delegation.to_email} decides for {delegation.from_email}",
            text=f"From {utc_text(start)} to {utc_text(ends_at)}"
            f" {delegation.to_email} decides about requests in place of {delegation.from_email}.",
            facts={"delegation": delegation.id, "from": actor.id, "to": to_id},
        )
        return delegation


async def end_delegation(ctx: Context, actor: Actor, delegation_id: int) -> None:
    """End a delegation early; for whoever gave it, whoever got it, and admins."""
    require_capability(actor, Capability.APPROVE)
    async with ctx.store.transaction() as tx:
        delegation = await delegations.get_delegation(tx, delegation_id)
        if actor.id not in (delegation.from_id, delegation.to_id) and not actor.has_role(
            DaypassRole.ADMIN
        ):
            raise NotFound(f"there is no delegation {delegation_id}", code="delegation_not_found")
        if await delegations.end_delegation(tx, delegation_id):
            await entries.append(
                tx,
                entry_by(
                    actor,
                    EntryKind.DELEGATION_ENDED,
                    delegation=delegation_id,
                    to=delegation.to_id,
                ),
            )


async def list_delegations(
    ctx: Context, actor: Actor, *, live: bool | None, after: int, limit: int
) -> tuple[Delegation, ...]:
    """List delegations from and to the actor; admins and auditors see all."""
    require_capability(actor, Capability.READ)
    all_of_them = actor.has_role(DaypassRole.ADMIN, DaypassRole.AUDITOR)
    async with ctx.store.snapshot() as tx:
        return await delegations.list_delegations(
            tx,
            visible_to=None if all_of_them else actor.id,
            live=live,
            after=after,
            limit=limit,
        )


def _check(start: datetime, ends_at: datetime, reason: str) -> None:
    if ends_at.tzinfo is None:
        raise _invalid("ends_at", "say in which time zone")
    if ends_at <= start:
        raise _invalid("ends_at", "it has to end after it starts")
    if ends_at - start > LONGEST:
        raise _invalid("ends_at", f"at most {LONGEST.days} days")
    if len(reason) > _MAX_REASON or "\0" in reason:
        raise _invalid("reason", f"at most {_MAX_REASON} characters")


def _invalid(place: str, problem: str) -> Invalid:
    return Invalid(f"{place}: {problem}", problems=((place, problem),), code="invalid_delegation")
