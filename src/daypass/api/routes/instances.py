"""Instances: database servers Daypass manages, what is open on them, and stepping aside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import Field, SecretStr

from daypass.api.call import Call, ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned, holders
from daypass.api.shapes import Body, Duration, Out, Reason
from daypass.audit.entry import EntryKind
from daypass.domain.exposure import Exposure
from daypass.domain.ids import InstanceId
from daypass.domain.principal import Capability, DaypassRole
from daypass.domain.secret import Secret
from daypass.operations.add_instance import ChosenDatabase, InstanceForm, add_instance
from daypass.operations.change_instance import InstanceChange, change_instance
from daypass.operations.remove_instance import remove_instance
from daypass.operations.show_places import (
    ShownInstance,
    list_instances,
    show_instance,
)
from daypass.operations.yield_instance import (
    Yielding,
    resume_instance,
    yield_instance,
    yield_progress,
)

routes = Routes("instances")

InstanceName = Annotated[str, Path(min_length=1, max_length=63, examples=["prod"])]
_LOOK = concerned(
    "owners of its databases, those a rule may open one to, admin, auditor, policy editor"
)
_ADMIN = holders(DaypassRole.ADMIN)
_YIELDERS = concerned("admin; whoever owns every database of it")
SLOW_S = 120
_LABELS: dict[str, str] = Field(default_factory=dict, max_length=50, examples=[{"env": "prod"}])
_OPTIONS: dict[str, str] = Field(default_factory=dict, max_length=50, examples=[{}])


class AddressOut(Out):
    """Where an instance is; the secret itself is never shown."""

    host: str
    port: int
    admin_user: str
    admin_database: str
    secret_kind: str
    tls_mode: str
    options: dict[str, str]


class InstanceOut(Out):
    """An instance; `address` is null for those who do not run or examine Daypass."""

    id: int
    name: str
    engine: str
    labels: dict[str, str]
    yielded_until: datetime | None
    last_contact_at: datetime | None
    last_error: str
    revision: int
    created_at: datetime
    address: AddressOut | None


class InstancesOut(Out):
    """Instances by name."""

    items: list[InstanceOut]


class ChosenDatabaseBody(Body):
    """One database to manage."""

    name: str = Field(min_length=1, max_length=63)
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)
    owners: list[str] = Field(default_factory=list, max_length=50)


class NewInstanceBody(Body):
    """A new instance: its admin's password, or a reference to it; all its databases, or some."""

    name: str = Field(min_length=1, max_length=63, examples=["prod"])
    engine: str = Field(max_length=63, examples=["postgres"])
    host: str = Field(min_length=1, max_length=253, examples=["db.example.com"])
    port: int | None = Field(default=None, ge=1, le=65535, examples=[5432])
    admin_user: str = Field(min_length=1, max_length=63, examples=["daypass_admin"])
    password: SecretStr | None = Field(default=None, max_length=1000, examples=[None])
    secret_reference: str | None = Field(
        default=None, max_length=1000, examples=["env:DAYPASS_PROD_PASSWORD"]
    )
    admin_database: str = Field(default="", max_length=63)
    tls_mode: str = Field(default="prefer", max_length=20)
    labels: dict[str, str] = _LABELS
    options: dict[str, str] = _OPTIONS
    databases: list[ChosenDatabaseBody] | None = Field(
        default=None, max_length=1000, examples=[None]
    )
    database_labels: dict[str, str] = _LABELS
    owners: list[str] = Field(default_factory=list, max_length=50, examples=[["dba"]])


class InstanceChangeBody(Body):
    """What to change; what is left out stays."""

    host: str | None = Field(default=None, min_length=1, max_length=253)
    port: int | None = Field(default=None, ge=1, le=65535)
    admin_user: str | None = Field(default=None, min_length=1, max_length=63)
    password: SecretStr | None = Field(default=None, max_length=1000)
    secret_reference: str | None = Field(default=None, max_length=1000)
    admin_database: str | None = Field(default=None, max_length=63)
    tls_mode: str | None = Field(default=None, max_length=20)
    labels: dict[str, str] | None = Field(default=None, max_length=50, examples=[{"env": "prod"}])
    options: dict[str, str] | None = Field(default=None, max_length=50)


class ExposureOut(Out):
    """One way around Daypass, and the SQL that mends it."""

    key: str
    code: str
    object_name: str
    text: str
    severity: str
    mend: str
    blocks: bool


class AddedInstanceOut(Out):
    """A new instance; `warnings` are rights its admin has too many of."""

    id: int
    name: str
    databases: dict[str, int]
    warnings: list[ExposureOut]


class ChangedInstanceOut(Out):
    """A changed instance; `warnings` are what is amiss with its admin's rights."""

    instance: InstanceOut
    warnings: list[ExposureOut]


class RemoveBody(Body):
    """Why it is removed; `force` goes on although grants could not be revoked."""

    reason: Reason = Field(min_length=1, examples=["moved elsewhere"])
    force: bool = False


class YieldBody(Body):
    """For how long to step aside, and how long people have to finish."""

    duration: Duration
    notice: Duration | None = Field(default=None, examples=[None])
    reason: Reason = Field(min_length=1, examples=["migration 42"])


class YieldOut(Out):
    """How far an instance has stepped aside; `clear`: nothing of ours is in the way."""

    instance: str
    sessions_end_at: datetime | None
    until: datetime | None
    open_sessions: int
    scopes: int
    clear: bool


@routes.get("/instances", RouteFacts(_LOOK, Capability.READ))
async def list_all_instances(call: ThisCall) -> InstancesOut:
    """List instances the caller may see."""
    found = await list_instances(call.ctx, call.actor)
    return InstancesOut(items=[InstanceOut.model_validate(each) for each in found])


@routes.post(
    "/instances",
    RouteFacts(
        _ADMIN,
        Capability.MANAGE,
        entries=(
            EntryKind.INSTANCE_ADDED,
            EntryKind.DATABASE_ADDED,
            EntryKind.CATALOG_SYNCED,
        ),
        timeout_s=SLOW_S,
    ),
    status=201,
)
async def add_one_instance(call: ThisCall, body: NewInstanceBody) -> AddedInstanceOut:
    """Add an instance: it is tried and its catalogs are read, or nothing is added."""
    chosen = None
    if body.databases is not None:
        chosen = tuple(
            ChosenDatabase(each.name, each.labels, tuple(each.owners)) for each in body.databases
        )
    added = await add_instance(
        call.ctx,
        call.actor,
        InstanceForm(
            name=body.name,
            engine=body.engine,
            host=body.host,
            admin_user=body.admin_user,
            port=body.port,
            secret_reference=body.secret_reference,
            password=_secret(body.password),
            admin_database=body.admin_database,
            tls_mode=body.tls_mode,
            labels=body.labels,
            options=body.options,
            databases=chosen,
            database_labels=body.database_labels,
            owners=tuple(body.owners),
        ),
    )
    call.made(f"/instances/{added.name}")
    return AddedInstanceOut(
        id=added.id,
        name=added.name,
        databases={name: int(number) for name, number in added.databases.items()},
        warnings=[exposure_out(each) for each in added.warnings],
    )


@routes.get("/instances/{name}", RouteFacts(_LOOK, Capability.READ))
async def show_one_instance(call: ThisCall, name: InstanceName) -> InstanceOut:
    """Show an instance, with its revision as `ETag`."""
    return _tagged(call, await show_instance(call.ctx, call.actor, name))


@routes.patch(
    "/instances/{name}",
    RouteFacts(
        concerned("admin; what others may not see is not found"),
        Capability.MANAGE,
        entries=(EntryKind.INSTANCE_CHANGED,),
        timeout_s=SLOW_S,
    ),
)
async def change_one_instance(
    call: ThisCall, name: InstanceName, body: InstanceChangeBody
) -> ChangedInstanceOut:
    """Change an instance; a new address or credential is tried first."""
    warnings = await change_instance(
        call.ctx,
        call.actor,
        await instance_number(call, name),
        InstanceChange(
            host=body.host,
            port=body.port,
            admin_user=body.admin_user,
            secret_reference=body.secret_reference,
            password=_secret(body.password),
            admin_database=body.admin_database,
            tls_mode=body.tls_mode,
            labels=body.labels,
            options=body.options,
        ),
        expected_revision=call.expected_revision,
    )
    return ChangedInstanceOut(
        instance=_tagged(call, await show_instance(call.ctx, call.actor, name)),
        warnings=[exposure_out(each) for each in warnings],
    )


@routes.post(
    "/instances/{name}/remove",
    RouteFacts(
        concerned("admin; what others may not see is not found"),
        Capability.MANAGE,
        entries=(
            EntryKind.INSTANCE_REMOVED,
            EntryKind.DATABASE_REMOVED,
            EntryKind.GRANT_ENDED,
            EntryKind.REQUEST_DENIED,
            EntryKind.RECEIPT_ISSUED,
        ),
        timeout_s=SLOW_S,
    ),
    status=204,
)
async def remove_one_instance(call: ThisCall, name: InstanceName, body: RemoveBody) -> None:
    """End every grant on an instance, then forget it."""
    await remove_instance(
        call.ctx,
        call.actor,
        await instance_number(call, name),
        reason=body.reason,
        force=body.force,
    )


@routes.get("/instances/{name}/yield", RouteFacts(_LOOK, Capability.READ))
async def show_instance_yield(call: ThisCall, name: InstanceName) -> YieldOut:
    """Say how far an instance has stepped aside."""
    return _yielding(await yield_progress(call.ctx, await instance_number(call, name)))


@routes.post(
    "/instances/{name}/yield",
    RouteFacts(
        _YIELDERS,
        Capability.MANAGE,
        entries=(EntryKind.INSTANCE_CHANGED, EntryKind.SESSION_CLOSED, EntryKind.PLAN_REMOVED),
        timeout_s=SLOW_S,
    ),
)
async def yield_one_instance(call: ThisCall, name: InstanceName, body: YieldBody) -> YieldOut:
    """Step aside for a migration: no session, no view of ours in its way."""
    more = {} if body.notice is None else {"notice": body.notice}
    return _yielding(
        await yield_instance(
            call.ctx,
            call.actor,
            await instance_number(call, name),
            duration=body.duration,
            reason=body.reason,
            **more,
        )
    )


@routes.post(
    "/instances/{name}/resume",
    RouteFacts(
        _YIELDERS, Capability.MANAGE, entries=(EntryKind.INSTANCE_CHANGED,), timeout_s=SLOW_S
    ),
    status=204,
)
async def resume_one_instance(call: ThisCall, name: InstanceName) -> None:
    """Let sessions open again."""
    await resume_instance(call.ctx, call.actor, await instance_number(call, name))


async def instance_number(call: Call, name: str) -> InstanceId:
    """Return the id of an instance the caller may see; others look as if it did not exist."""
    return (await show_instance(call.ctx, call.actor, name)).id


def _tagged(call: Call, instance: ShownInstance) -> InstanceOut:
    call.tag(instance.revision)
    return InstanceOut.model_validate(instance)


def _secret(given: SecretStr | None) -> Secret | None:
    return Secret(given.get_secret_value()) if given is not None else None


def exposure_out(exposure: Exposure) -> ExposureOut:
    """Write an exposure as the API shows it."""
    return ExposureOut.model_validate(exposure)


def _yielding(yielding: Yielding) -> YieldOut:
    return YieldOut.model_validate(yielding)
