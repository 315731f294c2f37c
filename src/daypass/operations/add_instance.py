"""Add an instance: try it, read its catalogs, record it whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Conflict, Invalid
from daypass.domain.exposure import Exposure
from daypass.domain.ids import DatabaseId, InstanceId
from daypass.domain.principal import Actor, DaypassRole
from daypass.domain.secret import Secret
from daypass.operations.context import Context, require_role
from daypass.operations.entry_by import entry_by
from daypass.operations.open_target import engine_of
from daypass.operations.reach_instance import admin_secret, reach_instance
from daypass.operations.sync_catalog import record_catalog
from daypass.store import databases, entries, instances
from daypass.store.instances import NewInstance

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_LABEL = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class ChosenDatabase:
    """A database to manage, with the labels policy reads and the groups that own it."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceForm:
    """What an admin says of a new instance.

    Exactly one of `secret_reference` and `password` is given. `databases` None means all there are,
    each with `database_labels` and `owners`; those also complete what is chosen by name.
    """

    name: str
    engine: str
    host: str
    admin_user: str
    port: int | None = None
    secret_reference: str | None = None
    password: Secret | None = None
    admin_database: str = ""
    tls_mode: str = "prefer"
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    databases: tuple[ChosenDatabase, ...] | None = None
    database_labels: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddedInstance:
    """The outcome.

    `warnings` are what is amiss with the admin and the server, with the SQL to mend; `skipped` are
    databases nobody named that the admin cannot manage, with what it lacks there.
    """

    id: InstanceId
    name: str
    databases: Mapping[str, DatabaseId]
    warnings: tuple[Exposure, ...]
    skipped: Mapping[str, Exposure]


async def add_instance(ctx: Context, actor: Actor, form: InstanceForm) -> AddedInstance:
    """Add an instance with its databases and their catalogs.

    Raises `Unavailable` when it cannot be reached or does not let the admin in, `Invalid` for what
    is wrong with the form or the admin's rights, `Conflict` when the name is taken.
    """
    require_role(actor, DaypassRole.ADMIN)
    check_form(form)
    engine = engine_of(ctx, form.engine)
    async with ctx.store.snapshot() as tx:
        if await instances.find_instance(tx, form.name) is not None:
            raise Conflict(
                f"there is an instance named {form.name} already",
                next_step="choose another name, or change that one",
                code="instance_exists",
            )
    new = NewInstance(
        name=form.name,
        engine=engine.name,
        host=form.host,
        port=form.port if form.port is not None else engine.default_port,
        admin_user=form.admin_user,
        admin_secret=admin_secret(
            ctx, form.name, reference=form.secret_reference, password=form.password
        ),
        admin_database=form.admin_database,
        tls_mode=form.tls_mode,
        labels=form.labels,
        options=form.options,
    )
    chosen = {d.name: d for d in form.databases} if form.databases is not None else None
    reached = await reach_instance(ctx, new, chosen)
    async with ctx.store.transaction() as tx:
        instance_id = await instances.insert_instance(tx, new)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.INSTANCE_ADDED,
                instance=new.name,
                engine=new.engine,
                host=new.host,
                port=new.port,
                admin_user=new.admin_user,
                admin_secret=new.admin_secret.partition(":")[0],
                tls_mode=new.tls_mode,
                labels=dict(new.labels),
            ),
        )
        made: dict[str, DatabaseId] = {}
        for name, catalog in reached.catalogs.items():
            of_it = chosen[name] if chosen else ChosenDatabase(name)
            labels = {**form.database_labels, **of_it.labels}
            owners = of_it.owners or form.owners
            database_id = await databases.insert_database(tx, instance_id, name, labels)
            await databases.set_owners(tx, database_id, owners)
            await entries.append(
                tx,
                entry_by(
                    actor,
                    EntryKind.DATABASE_ADDED,
                    database_id=database_id,
                    database=f"{new.name}/{name}",
                    labels=labels,
                    owners=sorted(set(owners)),
                ),
            )
            await record_catalog(tx, actor, database_id, catalog)
            made[name] = database_id
    warnings = {exposure.key: exposure for _, exposure in reached.findings}
    return AddedInstance(instance_id, new.name, made, tuple(warnings.values()), reached.skipped)


def check_form(form: InstanceForm) -> None:
    """Raise `Invalid` with everything that is wrong with a form by itself."""
    problems: list[tuple[str, str]] = []
    if not _NAME.fullmatch(form.name):
        problems.append(
            (
                "name",
                "must be lower-case letters, digits, . _ - (a letter or digit first), at most 63",
            )
        )
    for place, value in (("host", form.host), ("admin_user", form.admin_user)):
        if not value.strip():
            problems.append((place, "must not be empty"))
    if form.port is not None and not 0 < form.port <= _MAX_PORT:
        problems.append(("port", f"must be between 1 and {_MAX_PORT}"))
    problems += label_problems("labels", form.labels)
    problems += label_problems("database_labels", form.database_labels)
    for database in form.databases or ():
        problems += label_problems(f"databases.{database.name}.labels", database.labels)
    if form.databases is not None and not form.databases:
        problems.append(("databases", "name at least one, or leave it out to take all"))
    raise_problems(f"the instance {form.name} cannot be added", problems)


def label_problems(place: str, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """List what is wrong with labels; policy reaches them as `labels.key`."""
    return [
        (f"{place}.{key}", "a label's name is lower-case letters, digits and _, a letter first")
        for key in labels
        if not _LABEL.fullmatch(key)
    ]


def raise_problems(message: str, problems: list[tuple[str, str]]) -> None:
    """Raise `Invalid` with the problems, if there are any."""
    if problems:
        place, text = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Invalid(f"{message}: {place} {text}{more}", problems=tuple(problems))
