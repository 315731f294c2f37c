"""Look at instances, databases, their catalogs and classification."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from daypass.domain.errors import NotFound, Unavailable
from daypass.domain.ids import DatabaseId, InstanceId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.operations.context import Context, require_capability
from daypass.operations.database_facts import DatabaseFactsBundle, load_facts
from daypass.operations.database_owner import known_database, owns
from daypass.operations.policy_in_force import PolicyInForce, hold_policy
from daypass.policy.decide import knows_database
from daypass.policy.facts import DatabaseFacts, RequestFacts
from daypass.store import databases, exposures, instances, suggestions
from daypass.store.database import Tx, now
from daypass.store.databases import Database
from daypass.store.exposures import Acceptance
from daypass.store.instances import Instance
from daypass.store.suggestions import Suggestion

SEE_ALL: Final = (DaypassRole.ADMIN, DaypassRole.AUDITOR, DaypassRole.POLICY_EDITOR)


@dataclass(frozen=True, slots=True)
class InstanceAddress:
    """Where an instance is; `secret_kind` is `env`, `file` or `sealed`, never the secret."""

    host: str
    port: int
    admin_user: str
    admin_database: str
    secret_kind: str
    tls_mode: str
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class ShownInstance:
    """An instance; only those who run or examine Daypass see its address."""

    id: InstanceId
    name: str
    engine: str
    labels: dict[str, str]
    yielded_until: datetime | None
    last_contact_at: datetime | None
    last_error: str
    revision: int
    created_at: datetime
    address: InstanceAddress | None


async def list_instances(ctx: Context, actor: Actor) -> tuple[ShownInstance, ...]:
    """List instances by name: all, or those with a database the actor may see."""
    visible = {d.instance_id for d in await list_databases(ctx, actor)}
    async with ctx.store.snapshot() as tx:
        found = await instances.list_instances(tx)
    whole = actor.has_role(*SEE_ALL)
    return tuple(_shown(each, whole=whole) for each in found if whole or each.id in visible)


async def show_instance(ctx: Context, actor: Actor, name: str) -> ShownInstance:
    """Show the instance of a name. Raises `NotFound` for one the actor may not see."""
    for each in await list_instances(ctx, actor):
        if each.name == name:
            return each
    raise NotFound(f"there is no instance {name}", code="no_instance")


async def list_databases(
    ctx: Context, actor: Actor, *, instance_id: InstanceId | None = None
) -> tuple[Database, ...]:
    """List databases by name: all for those who run or examine Daypass, else those the actor owns
    or that a rule may open to them.
    """
    require_capability(actor, Capability.READ)
    async with ctx.store.transaction() as tx:
        found = await databases.list_databases(tx, instance_id=instance_id)
        if actor.has_role(*SEE_ALL):
            return found
        policy, moment = await _policy(tx), await now(tx)
        return tuple(each for each in found if _may_see(actor, each, policy, moment))


async def show_database(ctx: Context, actor: Actor, path: str) -> Database:
    """Show `instance/database`. Raises `NotFound` for one the actor may not see."""
    require_capability(actor, Capability.READ)
    async with ctx.store.transaction() as tx:
        database_id = await databases.find_database(tx, path)
        found = await databases.get_database(tx, database_id) if database_id is not None else None
        if found is not None and (
            actor.has_role(*SEE_ALL) or _may_see(actor, found, await _policy(tx), await now(tx))
        ):
            return found
    raise _no_database(path)


async def show_catalog(ctx: Context, actor: Actor, path: str) -> DatabaseFactsBundle:
    """Show what is known of a database. Raises `NotFound` for one the actor may not see."""
    database = await show_database(ctx, actor, path)
    async with ctx.store.snapshot() as tx:
        return await load_facts(tx, database.id)


async def show_suggestions(
    ctx: Context, actor: Actor, database_id: DatabaseId, *, state: str | None = "proposed"
) -> tuple[Suggestion, ...]:
    """List suggested tags for those who may decide about them, and for auditors."""
    require_capability(actor, Capability.READ)
    async with ctx.store.snapshot() as tx:
        _require_insight(actor, await known_database(tx, database_id))
        return await suggestions.list_suggestions(tx, database_id, state=state)


async def show_acceptances(
    ctx: Context, actor: Actor, database_id: DatabaseId
) -> tuple[Acceptance, ...]:
    """List accepted exposures for the database's owners and those who run or examine Daypass."""
    require_capability(actor, Capability.READ)
    async with ctx.store.snapshot() as tx:
        _require_insight(actor, await known_database(tx, database_id))
        return await exposures.list_acceptances(tx, database_id)


def _require_insight(actor: Actor, database: Database) -> None:
    if not (owns(actor, database) or actor.has_role(*SEE_ALL)):
        raise _no_database(database.path)


async def _policy(tx: Tx) -> PolicyInForce | None:
    try:
        return await hold_policy(tx)
    except Unavailable:
        return None


def _may_see(
    actor: Actor, database: Database, policy: PolicyInForce | None, moment: datetime
) -> bool:
    if owns(actor, database):
        return True
    if policy is None:
        return False
    facts = RequestFacts(
        requester=actor.principal,
        database=DatabaseFacts(
            name=database.name,
            instance=database.instance,
            engine=database.engine,
            labels=database.labels,
            owners=frozenset(database.owners),
            instance_labels=database.instance_labels,
        ),
        asked=AskedScope(frozenset({StatementClass.SELECT})),
        duration=timedelta(minutes=5),
    )
    return knows_database(policy.policy, facts, moment)


def _no_database(path: str) -> NotFound:
    return NotFound(
        f"there is no database {path} that you may see",
        next_step="daypass databases lists those you may ask for",
        code="no_database",
    )


def _shown(instance: Instance, *, whole: bool) -> ShownInstance:
    return ShownInstance(
        id=instance.id,
        name=instance.name,
        engine=instance.engine,
        labels=instance.labels,
        yielded_until=instance.yielded_until,
        last_contact_at=instance.last_contact_at,
        last_error=instance.last_error if whole else "",
        revision=instance.revision,
        created_at=instance.created_at,
        address=InstanceAddress(
            host=instance.host,
            port=instance.port,
            admin_user=instance.admin_user,
            admin_database=instance.admin_database,
            secret_kind=instance.admin_secret.partition(":")[0],
            tls_mode=instance.tls_mode,
            options=instance.options,
        )
        if whole
        else None,
    )
