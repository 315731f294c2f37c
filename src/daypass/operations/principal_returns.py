"""Somebody who left comes back, with nothing of what they had before."""

from __future__ import annotations

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Conflict
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Actor, DaypassRole, PrincipalKind
from daypass.operations.context import Context, require_role
from daypass.operations.entry_by import entry_by
from daypass.operations.principal_facts import find_person
from daypass.store import entries, principals
from daypass.store.principals import StoredPrincipal


async def principal_returns(
    ctx: Context, actor: Actor, principal_id: PrincipalId, *, owner: str | None = None
) -> StoredPrincipal:
    """Make a principal active again, a mere member in no group; only for admins.

    A service account needs an `owner` (an e-mail address) unless the one it had is still here. One
    who never left stays as it is.
    """
    require_role(actor, DaypassRole.ADMIN)
    async with ctx.store.transaction() as tx:
        before = await principals.get_stored(tx, principal_id)
        owner_id = before.owner_id
        if owner is not None and before.kind == PrincipalKind.SERVICE_ACCOUNT:
            owner_id = await find_person(tx, "owner", owner)
        wanted = {principal_id} if owner_id is None else {principal_id, owner_id}
        locked = await principals.lock_principals(tx, wanted)
        before = locked[principal_id]
        if before.active:
            return before
        if owner_id is not None and not locked[owner_id].active:
            raise Conflict(
                f"whoever answered for {before.email} has left",
                next_step="name somebody else as its owner",
                code="principal_left",
            )
        await principals.change_principal(
            tx,
            principal_id,
            name=before.name,
            roles=frozenset({DaypassRole.MEMBER}),
            attributes=before.principal.attributes,
            manager_id=before.manager_id,
            owner_id=owner_id,
        )
        await principals.set_active(tx, principal_id, active=True)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.PRINCIPAL_CHANGED,
                principal=principal_id,
                changed={"active": {"from": False, "to": True}, "roles": {"to": ["member"]}},
            ),
        )
        return await principals.get_stored(tx, principal_id)
