"""Look at people, service accounts, groups and access tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from daypass.domain.errors import NotFound
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Actor, Capability, DaypassRole, PrincipalKind
from daypass.operations.context import Context, require_capability
from daypass.store import groups, principals, tokens
from daypass.store.groups import Group
from daypass.store.principals import StoredPrincipal
from daypass.store.tokens import Token

SEE_ALL: Final = (DaypassRole.ADMIN, DaypassRole.AUDITOR, DaypassRole.POLICY_EDITOR)


@dataclass(frozen=True, slots=True)
class PrincipalFilter:
    """Which principals to list; filters are ANDed."""

    kind: PrincipalKind | None = None
    group: str | None = None
    role: DaypassRole | None = None
    email: str | None = None
    active: bool | None = True


async def list_principals(
    ctx: Context, actor: Actor, wanted: PrincipalFilter, *, after: int, limit: int
) -> tuple[StoredPrincipal, ...]:
    """List principals: all for those who run or examine Daypass, else oneself and one's own."""
    require_capability(actor, Capability.READ)
    async with ctx.store.snapshot() as tx:
        return await principals.list_stored(
            tx,
            kind=wanted.kind,
            group=wanted.group,
            role=wanted.role,
            email=wanted.email,
            active=wanted.active,
            visible_to=None if actor.has_role(*SEE_ALL) else actor.id,
            after=after,
            limit=limit,
        )


async def show_principal(ctx: Context, actor: Actor, principal_id: PrincipalId) -> StoredPrincipal:
    """Show one principal. Raises `NotFound` for one the actor may not see."""
    require_capability(actor, Capability.READ)
    async with ctx.store.snapshot() as tx:
        found = await principals.get_stored(tx, principal_id)
    if actor.id in (found.id, found.owner_id) or actor.has_role(*SEE_ALL):
        return found
    raise NotFound(f"there is no principal {principal_id}", code="principal_not_found")


async def show_self(ctx: Context, actor: Actor) -> StoredPrincipal:
    """Show the actor; any access token may know whose it is."""
    async with ctx.store.snapshot() as tx:
        return await principals.get_stored(tx, actor.id)


async def list_groups(ctx: Context, actor: Actor, *, after: str, limit: int) -> tuple[Group, ...]:
    """List groups; anybody may know their names, which policy and denials mention."""
    require_capability(actor, Capability.READ)
    async with ctx.store.snapshot() as tx:
        return await groups.list_groups(tx, after=after, limit=limit)


async def show_group(
    ctx: Context, actor: Actor, name: str
) -> tuple[Group, tuple[StoredPrincipal, ...] | None]:
    """Show a group; its members only to those in it and those who run or examine Daypass."""
    require_capability(actor, Capability.READ)
    async with ctx.store.snapshot() as tx:
        group = await groups.get_group(tx, name)
        if name not in actor.principal.groups and not actor.has_role(*SEE_ALL):
            return group, None
        return group, await principals.list_stored(tx, group=name, active=True, limit=None)


async def list_tokens(
    ctx: Context,
    actor: Actor,
    *,
    principal_id: PrincipalId | None,
    live: bool | None,
    after: int,
    limit: int,
) -> tuple[Token, ...]:
    """List access tokens of the actor and its service accounts; admins and auditors see all."""
    require_capability(actor, Capability.READ)
    sees_all = actor.has_role(DaypassRole.ADMIN, DaypassRole.AUDITOR)
    async with ctx.store.snapshot() as tx:
        return await tokens.list_tokens(
            tx,
            principal_id=principal_id,
            visible_to=None if sees_all else actor.id,
            live=live,
            after=after,
            limit=limit,
        )
