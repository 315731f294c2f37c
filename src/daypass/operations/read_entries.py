"""Read the audit log."""

from __future__ import annotations

from dataclasses import dataclass

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Invalid, NotFound
from daypass.domain.ids import EntryId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.operations.context import Context, require_capability
from daypass.policy.fields import did_you_mean
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
    """Read entries, newest first: all for admins and auditors, for others what they did.

    Raises `Invalid` for a kind, or group of kinds, that there is not.
    """
    require_capability(actor, Capability.READ)
    if wanted.kind is not None:
        _require_kind(wanted.kind)
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


async def read_entry(ctx: Context, actor: Actor, entry_id: EntryId) -> StoredEntry:
    """Read one entry. Raises `NotFound` where it is not, or not for the actor to see."""
    require_capability(actor, Capability.READ)
    sees_all = actor.has_role(DaypassRole.ADMIN, DaypassRole.AUDITOR)
    async with ctx.store.snapshot() as tx:
        found = await entries.get_entry(tx, entry_id, actor_id=None if sees_all else actor.id)
    if found is None:
        raise NotFound(
            f"there is no entry {entry_id}, or it is not yours to see",
            next_step="daypass audit list",
            code="entry_unknown",
        )
    return found


def _require_kind(kind: str) -> None:
    kinds = {each.value for each in EntryKind}
    groups = {each.partition(".")[0] for each in kinds}
    if kind not in kinds | groups:
        near = did_you_mean(kind, kinds | groups)
        raise Invalid(
            f"there is no kind of entry {kind!r}{near}",
            problems=(("kind", f"no such kind{near}"),),
            next_step=f"groups of kinds are: {', '.join(sorted(groups))}",
            code="entry_kind",
        )
