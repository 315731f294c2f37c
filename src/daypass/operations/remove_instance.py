"""Stop managing an instance: everything open on it ends first, and our objects are removed."""

from __future__ import annotations

from daypass.audit.entry import EntryKind
from daypass.domain.errors import NotFound
from daypass.domain.ids import InstanceId
from daypass.domain.principal import Actor, DaypassRole
from daypass.operations.context import Context, require_role
from daypass.operations.entry_by import entry_by
from daypass.operations.remove_database import (
    close_everything,
    end_everything,
    forget_database,
    require_closed,
    require_reason,
)
from daypass.store import databases, entries, instances, policies
from daypass.store.database import Tx
from daypass.store.instances import Instance


async def remove_instance(
    ctx: Context, actor: Actor, instance_id: InstanceId, *, reason: str, force: bool = False
) -> None:
    """End every grant and request on an instance's databases, then forget it and them.

    Raises `Conflict` while a grant cannot be revoked, unless `force` says to go on: such grants are
    tried for ever even so, with the credential the instance had.
    """
    require_role(actor, DaypassRole.ADMIN)
    require_reason(reason)
    async with ctx.store.transaction() as tx:
        await _lock(tx, instance_id)
        managed = await databases.list_databases(tx, instance_id=instance_id)
        await end_everything(tx, actor, managed, reason)
    problems = await close_everything(ctx, managed)
    async with ctx.store.transaction() as tx:
        # Decisions under way end first, and no other begins: none makes a grant unseen below.
        await policies.lock_head(tx)
        instance = await _lock(tx, instance_id)
        managed = await databases.list_databases(tx, instance_id=instance_id)
        await require_closed(tx, managed, problems, force=force)
        for database in managed:
            await forget_database(tx, actor, database, reason, force=force)
        await instances.mark_instance_removed(tx, instance_id)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.INSTANCE_REMOVED,
                instance=instance.name,
                databases=[database.name for database in managed],
                reason=reason.strip(),
                forced=force,
            ),
        )


async def _lock(tx: Tx, instance_id: InstanceId) -> Instance:
    instance = await instances.lock_instance(tx, instance_id)
    if instance is None or instance.state != "active":
        raise NotFound(f"there is no instance {instance_id}")
    return instance
