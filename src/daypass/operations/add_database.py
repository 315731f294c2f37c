"""Manage one more database of an instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Invalid, NotFound
from daypass.domain.ids import DatabaseId, InstanceId
from daypass.domain.principal import Actor, DaypassRole
from daypass.operations.add_instance import label_problems, raise_problems
from daypass.operations.context import Context, require_role
from daypass.operations.entry_by import entry_by
from daypass.operations.open_target import open_target
from daypass.operations.sync_catalog import record_catalog
from daypass.policy.fields import did_you_mean
from daypass.store import databases, entries, instances


async def add_database(
    ctx: Context,
    actor: Actor,
    instance_id: InstanceId,
    name: str,
    *,
    labels: Mapping[str, str],
    owners: Sequence[str] = (),
) -> DatabaseId:
    """Add a database with its first catalog.

    Raises `Invalid` when the instance has no such database or its admin cannot manage it.
    """
    require_role(actor, DaypassRole.ADMIN)
    raise_problems(f"the database {name} cannot be added", label_problems("labels", labels))
    target = await open_target(ctx, instance_id)
    present = await target.databases()
    if name not in present:
        raise Invalid(
            f"the instance has no database {name}{did_you_mean(name, present)}",
            next_step=f"it has {', '.join(present) or 'none'}",
            code="unknown_database",
        )
    lacking = [exposure for exposure in await target.check_admin(name) if exposure.blocks]
    if lacking:
        raise Invalid(
            f"the admin cannot manage {name}: {lacking[0].text}",
            problems=tuple((name, exposure.text) for exposure in lacking),
            next_step=" ".join(exposure.mend for exposure in lacking if exposure.mend),
            code="admin_rights",
        )
    catalog = await target.read_catalog(name)
    async with ctx.store.transaction() as tx:
        instance = await instances.lock_instance(tx, instance_id)
        if instance is None or instance.state != "active":
            raise NotFound(f"there is no instance {instance_id}")
        database_id = await databases.insert_database(tx, instance_id, name, labels)
        await databases.set_owners(tx, database_id, owners)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.DATABASE_ADDED,
                database_id=database_id,
                database=f"{instance.name}/{name}",
                labels=dict(labels),
                owners=sorted(set(owners)),
            ),
        )
        await record_catalog(tx, actor, database_id, catalog)
    return database_id
