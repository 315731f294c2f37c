"""Databases: labels and owners, catalogs, tags, suggestions, accepted exposures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from daypass.api.call import Call, ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned
from daypass.api.shapes import Body, Out, Reason
from daypass.audit.entry import EntryKind
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Capability
from daypass.operations.add_database import add_database
from daypass.operations.change_database import change_database
from daypass.operations.remove_database import remove_database
from daypass.operations.show_places import list_databases, show_database, show_instance
from daypass.operations.sync_catalog import sync_catalog
from daypass.store.databases import Database

routes = Routes("databases")

Instance = Annotated[str, Path(min_length=1, max_length=63, examples=["prod"])]
Name = Annotated[str, Path(min_length=1, max_length=63, examples=["shop"])]
LOOK = concerned(
    "its owners, those a rule may open it to, admin, auditor, policy editor; not found by others"
)
_ADMIN = concerned("admin; what others may not see is not found")
_SLOW_S = 120


class DatabaseOut(Out):
    """A database."""

    id: int
    path: str
    instance: str
    name: str
    engine: str
    labels: dict[str, str]
    instance_labels: dict[str, str]
    owners: list[str]
    catalog_version: int | None
    synced_at: datetime | None
    sync_error: str
    facts_revision: int
    created_at: datetime


class DatabasesOut(Out):
    """Databases by instance and name."""

    items: list[DatabaseOut]


class DatabasesQuery(BaseModel):
    """Which databases to list."""

    model_config = ConfigDict(extra="forbid")

    instance: str | None = Field(default=None, max_length=63)


class NewDatabaseBody(Body):
    """One more database of an instance."""

    instance: str = Field(min_length=1, max_length=63, examples=["prod"])
    name: str = Field(min_length=1, max_length=63, examples=["shop"])
    labels: dict[str, str] = Field(default_factory=dict, max_length=50, examples=[{"env": "prod"}])
    owners: list[str] = Field(default_factory=list, max_length=50, examples=[["dba"]])


class DatabaseChangeBody(Body):
    """What to replace; what is left out stays."""

    labels: dict[str, str] | None = Field(default=None, max_length=50, examples=[{"env": "prod"}])
    owners: list[str] | None = Field(default=None, max_length=50, examples=[["dba"]])

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.labels is None and self.owners is None:
            raise ValueError("name labels or owners")
        return self


class RemoveDatabaseBody(Body):
    """Why it is removed; `force` goes on although grants could not be revoked."""

    reason: Reason = Field(min_length=1, examples=["moved elsewhere"])
    force: bool = False


class SyncOut(Out):
    """What a new reading of a catalog has that the one before had not."""

    version: int
    changed: bool
    added_relations: list[str]
    removed_relations: list[str]
    added_columns: list[str]
    removed_columns: list[str]
    retyped_columns: list[str]
    stale: list[str] = Field(description="tagged or classified columns that are gone")


@routes.get("/databases", RouteFacts(LOOK, Capability.READ))
async def list_all_databases(
    call: ThisCall, query: Annotated[DatabasesQuery, Query()]
) -> DatabasesOut:
    """List databases the caller may see."""
    instance_id = None
    if query.instance is not None:
        instance_id = (await show_instance(call.ctx, call.actor, query.instance)).id
    found = await list_databases(call.ctx, call.actor, instance_id=instance_id)
    return DatabasesOut(items=[DatabaseOut.model_validate(each) for each in found])


@routes.post(
    "/databases",
    RouteFacts(
        _ADMIN,
        Capability.MANAGE,
        entries=(EntryKind.DATABASE_ADDED, EntryKind.CATALOG_SYNCED),
        timeout_s=_SLOW_S,
    ),
    status=201,
)
async def add_one_database(call: ThisCall, body: NewDatabaseBody) -> DatabaseOut:
    """Add one more database of an instance, with its first catalog."""
    instance = await show_instance(call.ctx, call.actor, body.instance)
    await add_database(
        call.ctx, call.actor, instance.id, body.name, labels=body.labels, owners=body.owners
    )
    call.made(f"/databases/{body.instance}/{body.name}")
    return _tagged(call, await show_database(call.ctx, call.actor, f"{body.instance}/{body.name}"))


@routes.get("/databases/{instance}/{name}", RouteFacts(LOOK, Capability.READ))
async def show_one_database(call: ThisCall, instance: Instance, name: Name) -> DatabaseOut:
    """Show a database, with the revision of its facts as `ETag`."""
    return _tagged(call, await show_database(call.ctx, call.actor, f"{instance}/{name}"))


@routes.patch(
    "/databases/{instance}/{name}",
    RouteFacts(_ADMIN, Capability.MANAGE, entries=(EntryKind.DATABASE_CHANGED,)),
)
async def change_one_database(
    call: ThisCall, instance: Instance, name: Name, body: DatabaseChangeBody
) -> DatabaseOut:
    """Replace a database's labels or owners."""
    await change_database(
        call.ctx,
        call.actor,
        await database_number(call, instance, name),
        labels=body.labels,
        owners=body.owners,
        expected_revision=call.expected_revision,
    )
    return _tagged(call, await show_database(call.ctx, call.actor, f"{instance}/{name}"))


@routes.post(
    "/databases/{instance}/{name}/remove",
    RouteFacts(
        _ADMIN,
        Capability.MANAGE,
        entries=(
            EntryKind.DATABASE_REMOVED,
            EntryKind.GRANT_ENDED,
            EntryKind.REQUEST_DENIED,
            EntryKind.RECEIPT_ISSUED,
        ),
        timeout_s=_SLOW_S,
    ),
    status=204,
)
async def remove_one_database(
    call: ThisCall, instance: Instance, name: Name, body: RemoveDatabaseBody
) -> None:
    """End every grant on a database, then forget it."""
    await remove_database(
        call.ctx,
        call.actor,
        await database_number(call, instance, name),
        reason=body.reason,
        force=body.force,
    )


@routes.post(
    "/databases/{instance}/{name}/sync",
    RouteFacts(
        concerned("its owners, admin, policy editor; what others may not see is not found"),
        Capability.MANAGE,
        entries=(EntryKind.CATALOG_SYNCED,),
        timeout_s=_SLOW_S,
    ),
)
async def sync_one_catalog(call: ThisCall, instance: Instance, name: Name) -> SyncOut:
    """Read a database's catalog now."""
    done = await sync_catalog(call.ctx, call.actor, await database_number(call, instance, name))
    changes = done.difference
    return SyncOut(
        version=done.version,
        changed=done.changed,
        added_relations=[str(each) for each in changes.added_relations],
        removed_relations=[str(each) for each in changes.removed_relations],
        added_columns=[str(each) for each in changes.added_columns],
        removed_columns=[str(each) for each in changes.removed_columns],
        retyped_columns=[str(each) for each in changes.retyped_columns],
        stale=[str(each) for each in done.stale],
    )


async def database_number(call: Call, instance: str, name: str) -> DatabaseId:
    """Return the id of a database the caller may see; others look as if it did not exist."""
    return (await show_database(call.ctx, call.actor, f"{instance}/{name}")).id


def _tagged(call: Call, database: Database) -> DatabaseOut:
    call.tag(database.facts_revision)
    return DatabaseOut.model_validate(database)
