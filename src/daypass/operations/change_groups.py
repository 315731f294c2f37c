"""Add groups, and put principals into them and take them out; only for admins."""

from __future__ import annotations

import re
from typing import Final

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Conflict, Invalid
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Actor, DaypassRole
from daypass.operations.context import Context, require_role
from daypass.operations.entry_by import entry_by
from daypass.operations.principal_facts import principal_facts_changed
from daypass.store import entries, groups, principals
from daypass.store.groups import Group

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


async def add_group(ctx: Context, actor: Actor, name: str) -> Group:
    """Add an empty group. Raises `Conflict` when there is one of that name."""
    require_role(actor, DaypassRole.ADMIN)
    if not _NAME.fullmatch(name):
        problem = "names are lower case letters, digits, dots, _ and -"
        raise Invalid(problem, problems=(("name", problem),), code="invalid_group")
    async with ctx.store.transaction() as tx:
        await groups.add_group(tx, name)
        await entries.append(
            tx, entry_by(actor, EntryKind.GROUP_CHANGED, group=name, change="added")
        )
        return await groups.get_group(tx, name)


async def put_in_group(ctx: Context, actor: Actor, name: str, principal_id: PrincipalId) -> None:
    """Put a principal into a group; one who is in it stays."""
    require_role(actor, DaypassRole.ADMIN)
    async with ctx.store.transaction() as tx:
        principal = await principals.lock_principal(tx, principal_id)
        if not principal.active:
            raise Conflict(f"{principal.email} has left", code="principal_left")
        group = await groups.get_group(tx, name)
        if not await groups.add_member(tx, group.id, principal_id):
            return
        await principals.raise_revision(tx, principal_id)
        await entries.append(
            tx, entry_by(actor, EntryKind.GROUP_CHANGED, group=name, put_in=principal_id)
        )
        await principal_facts_changed(tx, principal_id)


async def take_out_of_group(
    ctx: Context, actor: Actor, name: str, principal_id: PrincipalId
) -> None:
    """Take a principal out of a group; one who is not in it stays out."""
    require_role(actor, DaypassRole.ADMIN)
    async with ctx.store.transaction() as tx:
        await principals.lock_principal(tx, principal_id)
        group = await groups.get_group(tx, name)
        if not await groups.remove_member(tx, group.id, principal_id):
            return
        await principals.raise_revision(tx, principal_id)
        await entries.append(
            tx, entry_by(actor, EntryKind.GROUP_CHANGED, group=name, taken_out=principal_id)
        )
        await principal_facts_changed(tx, principal_id)
