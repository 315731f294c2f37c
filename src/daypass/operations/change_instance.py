"""Change where an instance is, how its admin signs in, or its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daypass.audit.entry import EntryKind, Json
from daypass.domain.errors import Conflict, NotFound
from daypass.domain.exposure import Exposure
from daypass.domain.ids import InstanceId
from daypass.domain.principal import Actor, DaypassRole
from daypass.domain.secret import Secret
from daypass.operations.add_instance import InstanceForm, check_form, label_problems, raise_problems
from daypass.operations.context import Context, require_role
from daypass.operations.entry_by import entry_by
from daypass.operations.facts_changed import facts_changed
from daypass.operations.reach_instance import admin_secret, reach_instance
from daypass.store import databases, entries, instances
from daypass.store.instances import Instance, NewInstance


@dataclass(frozen=True, slots=True)
class InstanceChange:
    """What to change; None leaves it."""

    host: str | None = None
    port: int | None = None
    admin_user: str | None = None
    secret_reference: str | None = None
    password: Secret | None = None
    admin_database: str | None = None
    tls_mode: str | None = None
    labels: Mapping[str, str] | None = None
    options: Mapping[str, str] | None = None


async def change_instance(
    ctx: Context,
    actor: Actor,
    instance_id: InstanceId,
    change: InstanceChange,
    *,
    expected_revision: int | None = None,
) -> tuple[Exposure, ...]:
    """Change an instance; a new address or credential is tried before it is recorded.

    Returns what is amiss with the admin's rights. Raises `Conflict` when the instance is no longer
    as it was when `expected_revision` was read, `Unavailable` when the new address does not answer.
    """
    require_role(actor, DaypassRole.ADMIN)
    raise_problems("the labels cannot be set", label_problems("labels", change.labels or {}))
    async with ctx.store.snapshot() as tx:
        before = await instances.get_instance(tx, instance_id)
        if before is None or before.state != "active":
            raise NotFound(f"there is no instance {instance_id}")
        managed = [d.name for d in await databases.list_databases(tx, instance_id=instance_id)]
    _require_revision(before, expected_revision)
    after = _changed(ctx, before, change)
    findings: tuple[tuple[str, Exposure], ...] = ()
    if _connection(after) != _connection(before):
        findings = (await reach_instance(ctx, after, managed or None)).findings
    async with ctx.store.transaction() as tx:
        now = await instances.lock_instance(tx, instance_id)
        if now is None or now.state != "active":
            raise NotFound(f"there is no instance {instance_id}")
        # What was tried above rests on the row as it was then.
        _require_revision(now, before.revision)
        await instances.update_instance(tx, instance_id, after)
        if after.labels != before.labels:
            for database in await databases.list_databases(tx, instance_id=instance_id):
                await facts_changed(tx, database.id)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.INSTANCE_CHANGED,
                instance=before.name,
                before=_described(before),
                after=_described(after),
                credential_changed=after.admin_secret != before.admin_secret,
            ),
        )
    return tuple({exposure.key: exposure for _, exposure in findings}.values())


def _require_revision(instance: Instance, expected: int | None) -> None:
    if expected not in (None, instance.revision):
        raise Conflict(
            f"the instance {instance.name} has changed since you looked at it",
            next_step="look again, then repeat the change",
            code="revision_conflict",
        )


def _changed(ctx: Context, before: Instance, change: InstanceChange) -> NewInstance:
    secret = before.admin_secret
    if change.secret_reference is not None or change.password is not None:
        secret = admin_secret(
            ctx, before.name, reference=change.secret_reference, password=change.password
        )
    after = NewInstance(
        name=before.name,
        engine=before.engine,
        host=before.host if change.host is None else change.host,
        port=before.port if change.port is None else change.port,
        admin_user=before.admin_user if change.admin_user is None else change.admin_user,
        admin_secret=secret,
        admin_database=(
            before.admin_database if change.admin_database is None else change.admin_database
        ),
        tls_mode=before.tls_mode if change.tls_mode is None else change.tls_mode,
        labels=before.labels if change.labels is None else dict(change.labels),
        options=before.options if change.options is None else dict(change.options),
    )
    check_form(InstanceForm(after.name, after.engine, after.host, after.admin_user, after.port))
    return after


def _connection(instance: Instance | NewInstance) -> tuple[object, ...]:
    return (
        instance.host,
        instance.port,
        instance.admin_user,
        instance.admin_secret,
        instance.admin_database,
        instance.tls_mode,
        instance.options,
    )


def _described(instance: Instance | NewInstance) -> Json:
    return {
        "host": instance.host,
        "port": instance.port,
        "admin_user": instance.admin_user,
        "admin_secret": instance.admin_secret.partition(":")[0],
        "admin_database": instance.admin_database,
        "tls_mode": instance.tls_mode,
        "labels": dict(instance.labels),
    }
