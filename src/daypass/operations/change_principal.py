"""Change what Daypass knows of a person or service account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daypass.audit.entry import EntryKind, Json
from daypass.domain.errors import Conflict, Invalid, NotFound
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Actor, Capability, DaypassRole, PrincipalKind
from daypass.domain.scope import LiteralValue
from daypass.operations.context import Context, require_capability, require_role
from daypass.operations.entry_by import entry_by
from daypass.operations.principal_facts import (
    as_json,
    check_attributes,
    check_name,
    check_revision,
    find_person,
    principal_facts_changed,
)
from daypass.store import entries, principals
from daypass.store.principals import StoredPrincipal


@dataclass(frozen=True, slots=True)
class PrincipalChange:
    """What to change; None leaves it as it is, and an empty `manager` takes the manager away."""

    name: str | None = None
    roles: frozenset[DaypassRole] | None = None
    attributes: Mapping[str, object] | None = None
    manager: str | None = None
    owner: str | None = None

    @property
    def only_name(self) -> bool:
        """Say whether nothing but the name is to change."""
        return (self.roles, self.attributes, self.manager, self.owner) == (None,) * 4


async def change_principal(
    ctx: Context,
    actor: Actor,
    principal_id: PrincipalId,
    change: PrincipalChange,
    *,
    expected_revision: int | None = None,
) -> StoredPrincipal:
    """Change a principal: admins anything, people their own name.

    Raises `Conflict` for a revision other than the expected one, for somebody who left, and when
    the last admin would no longer be one.
    """
    require_capability(actor, Capability.MANAGE)
    if actor.id != principal_id and not actor.has_role(DaypassRole.ADMIN):
        raise NotFound(f"there is no principal {principal_id}", code="principal_not_found")
    if not change.only_name:
        require_role(actor, DaypassRole.ADMIN)
    async with ctx.store.transaction() as tx:
        manager_id = await find_person(tx, "manager", change.manager) if change.manager else None
        owner_id = await find_person(tx, "owner", change.owner) if change.owner else None
        # A new owner is locked too: whoever is leaving must not be given a service account.
        wanted = [principal_id] if owner_id is None else [principal_id, owner_id]
        locked = await principals.lock_principals(tx, wanted, and_admins=True)
        before = locked[principal_id]
        check_revision(before, expected_revision)
        if not before.active or (owner_id is not None and not locked[owner_id].active):
            raise Conflict("one of those named has left", code="principal_left")
        after = _applied(before, change, manager_id, owner_id)
        if DaypassRole.ADMIN not in after.roles:
            keep_an_admin(locked, principal_id)
        changed = _differences(before, after)
        if not changed:
            return before
        await principals.change_principal(
            tx,
            principal_id,
            name=after.name,
            roles=after.roles,
            attributes=after.attributes,
            manager_id=after.manager_id,
            owner_id=after.owner_id,
        )
        await entries.append(
            tx,
            entry_by(actor, EntryKind.PRINCIPAL_CHANGED, principal=principal_id, changed=changed),
        )
        await principal_facts_changed(tx, principal_id)
        return await principals.get_stored(tx, principal_id)


def keep_an_admin(locked: Mapping[PrincipalId, StoredPrincipal], going: PrincipalId) -> None:
    """Raise `Conflict` when nobody of the locked admins would be left but the one going."""
    others = [
        each
        for each in locked.values()
        if each.id != going
        and each.active
        and each.kind == PrincipalKind.PERSON
        and DaypassRole.ADMIN in each.roles
    ]
    if DaypassRole.ADMIN in locked[going].roles and not others:
        raise Conflict(
            "Daypass would be left without an admin",
            next_step="make somebody else an admin first",
            code="last_admin",
        )


@dataclass(frozen=True, slots=True)
class _After:
    name: str
    roles: frozenset[DaypassRole]
    attributes: Mapping[str, LiteralValue]
    manager_id: PrincipalId | None
    owner_id: PrincipalId | None


def _applied(
    before: StoredPrincipal,
    change: PrincipalChange,
    manager_id: PrincipalId | None,
    owner_id: PrincipalId | None,
) -> _After:
    is_person = before.kind == PrincipalKind.PERSON
    if (manager_id is not None and not is_person) or (owner_id is not None and is_person):
        raise Invalid("people have a manager, service accounts an owner", code="invalid_principal")
    if manager_id == before.id:
        raise Invalid("nobody is their own manager", code="invalid_principal")
    known = before.principal
    return _After(
        name=before.name if change.name is None else check_name(change.name),
        roles=known.roles if change.roles is None else change.roles | {DaypassRole.MEMBER},
        attributes=(
            known.attributes if change.attributes is None else check_attributes(change.attributes)
        ),
        manager_id=before.manager_id if change.manager is None else manager_id,
        owner_id=before.owner_id if owner_id is None else owner_id,
    )


def _differences(before: StoredPrincipal, after: _After) -> dict[str, Json]:
    known = before.principal
    changed: dict[str, Json] = {}
    if after.name != before.name:
        # Not the names themselves: they are nobody's right, and stay out of the log.
        changed["name"] = True
    if after.roles != known.roles:
        changed["roles"] = {"from": sorted(known.roles), "to": sorted(after.roles)}
    if after.attributes != known.attributes:
        changed["attributes"] = {
            "from": {key: as_json(value) for key, value in known.attributes.items()},
            "to": {key: as_json(value) for key, value in after.attributes.items()},
        }
    for name, old, new in (
        ("manager", before.manager_id, after.manager_id),
        ("owner", before.owner_id, after.owner_id),
    ):
        if old != new:
            changed[name] = {"from": old, "to": new}
    return changed
