"""Read the audit log."""

from __future__ import annotations

from dataclasses import dataclass

from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.operations.context import Context, require_capability
from daypass.store import entries, principals
from daypass.store.entries import StoredEntry


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries to read; filters are ANDed. `actor` is an e-mail address."""

    kind: str | None = None
    actor: str | None = None
    database_id: int | None = None
    request_id: int | None = None
    grant_id: int | None = None


async def read_entries(
    ctx: Context, actor: Actor, wanted: EntryFilter, *, before: int | None, limit: int
) -> tuple[StoredEntry, ...]:
    """Read entries, newest first: all for admins and auditors, for others what they did."""
    require_capability(actor, Capability.READ)
    sees_all = actor.has_role(DaypassRole.ADMIN, DaypassRole.AUDITOR)
    async with ctx.store.snapshot() as tx:
        actor_id = None if sees_all else actor.id
        if wanted.actor is not None:
            named = await principals.find_principal(tx, wanted.actor)
            if named is None or (not sees_all and named.id != actor.id):
                return ()
            actor_id = named.id
        return await entries.list_entries(
            tx,
            kind=wanted.kind,
            actor_id=actor_id,
            database_id=wanted.database_id,
            request_id=wanted.request_id,
            grant_id=wanted.grant_id,
            before=before,
            limit=limit,
        )
