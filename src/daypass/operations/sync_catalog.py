"""Read a database's catalog from its instance and keep it, when it changed, as a new version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from daypass.audit.entry import EntryKind
from daypass.domain.catalog import Catalog, Column, ColumnName, RelationName, Tags
from daypass.domain.errors import Conflict, Error
from daypass.domain.ids import CatalogVersion, DatabaseId
from daypass.domain.principal import Actor, DaypassRole
from daypass.operations.context import Context
from daypass.operations.database_owner import known_database, managed_database, require_owner
from daypass.operations.entry_by import entry_by
from daypass.operations.facts_changed import facts_changed
from daypass.operations.open_target import open_target
from daypass.store import catalogs, databases, entries, instances, tags
from daypass.store.database import Tx

_NAMES_IN_ENTRY = 50
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class CatalogDifference:
    """What a new catalog has that the one before had not; all in order of name.

    `added_columns` are those of relations that were there before: nobody has classified them.
    """

    added_relations: tuple[RelationName, ...] = ()
    removed_relations: tuple[RelationName, ...] = ()
    added_columns: tuple[ColumnName, ...] = ()
    removed_columns: tuple[ColumnName, ...] = ()
    retyped_columns: tuple[ColumnName, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogSync:
    """The outcome of reading a catalog: `stale` are classified or tagged columns it has not."""

    database_id: DatabaseId
    version: CatalogVersion
    changed: bool
    difference: CatalogDifference
    stale: tuple[ColumnName, ...]


async def sync_catalog(ctx: Context, actor: Actor | None, database_id: DatabaseId) -> CatalogSync:
    """Read the catalog and store a new version if it changed; `actor` is None for Daypass itself.

    Raises `Unavailable` when the instance cannot be reached; the error stays with the database.
    """
    for _ in range(_ATTEMPTS):
        async with ctx.store.snapshot() as tx:
            before = await known_database(tx, database_id)
        if actor is not None:
            require_owner(actor, before, DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR)
        try:
            target = await open_target(ctx, before.instance_id)
            catalog = await target.read_catalog(before.name)
        except Error as error:
            async with ctx.store.transaction() as tx:
                await instances.record_contact(tx, before.instance_id, error.message)
                await databases.record_sync(tx, database_id, None, error.message)
            raise
        async with ctx.store.transaction() as tx:
            await instances.record_contact(tx, before.instance_id)
            now = await managed_database(tx, database_id)
            # Somebody else stored a reading while this one was made: which is newer, nobody knows.
            if now.catalog_version == before.catalog_version:
                return await record_catalog(tx, actor, database_id, catalog)
    raise Conflict(
        f"the catalog of {before.path} is being read by others at the same time",
        next_step="try again in a moment",
        code="catalog_busy",
    )


async def record_catalog(
    tx: Tx, actor: Actor | None, database_id: DatabaseId, catalog: Catalog
) -> CatalogSync:
    """Store a reading, made before the transaction; the database's row must be locked."""
    database = await databases.get_database(tx, database_id)
    if database is None:
        raise RuntimeError(f"there is no database {database_id}")
    classification = await tags.get_tags(tx, database_id)
    stale = stale_columns(catalog, classification)
    known = await catalogs.current_digest(tx, database_id)
    if database.catalog_version is not None and known == catalogs.catalog_digest(catalog):
        await databases.record_sync(tx, database_id, database.catalog_version)
        return CatalogSync(database_id, database.catalog_version, False, CatalogDifference(), stale)
    old = None
    if database.catalog_version is not None:
        old = await catalogs.get_catalog(tx, database_id, database.catalog_version)
    difference = catalog_difference(old, catalog)
    version = await catalogs.insert_catalog(tx, database_id, catalog)
    await databases.record_sync(tx, database_id, version)
    # Tags stay, so that a column that comes back is masked as before. That somebody looked at it
    # does not: a new column of the old name may hold anything.
    await tags.declassify(tx, database_id, (c for c in stale if c in classification.classified))
    await catalogs.prune_versions(tx, database_id)
    await facts_changed(tx, database_id)
    await entries.append(
        tx,
        entry_by(
            actor,
            EntryKind.CATALOG_SYNCED,
            database_id=database_id,
            version=int(version),
            engine=catalog.engine,
            server_version=catalog.server_version,
            relations=len(catalog.relations),
            added_relations=_names(difference.added_relations),
            removed_relations=_names(difference.removed_relations),
            added_columns=_names(difference.added_columns),
            removed_columns=_names(difference.removed_columns),
            retyped_columns=_names(difference.retyped_columns),
        ),
    )
    return CatalogSync(database_id, version, True, difference, stale)


def catalog_difference(old: Catalog | None, new: Catalog) -> CatalogDifference:
    """Compare two readings; against None everything is new."""
    before = {r.name: r for r in old.relations} if old else {}
    after = {r.name: r for r in new.relations}
    added: list[ColumnName] = []
    removed: list[ColumnName] = []
    retyped: list[ColumnName] = []
    for name in before.keys() & after.keys():
        had = {c.name: c for c in before[name].columns}
        has = {c.name: c for c in after[name].columns}
        added += (ColumnName(name, c) for c in has.keys() - had.keys())
        removed += (ColumnName(name, c) for c in had.keys() - has.keys())
        retyped += (
            ColumnName(name, c) for c in had.keys() & has.keys() if _retyped(had[c], has[c])
        )
    return CatalogDifference(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(sorted(added)),
        tuple(sorted(removed)),
        tuple(sorted(retyped)),
    )


def stale_columns(catalog: Catalog, classification: Tags) -> tuple[ColumnName, ...]:
    """List the columns that are tagged or classified and that the catalog has not."""
    present = {ColumnName(r.name, c.name) for r in catalog.relations for c in r.columns}
    return tuple(sorted((classification.classified | classification.columns.keys()) - present))


def _retyped(old: Column, new: Column) -> bool:
    return (old.type, old.type_family) != (new.type, new.type_family)


def _names(names: Iterable[RelationName | ColumnName]) -> list[str]:
    texts = [str(name) for name in names]
    if len(texts) > _NAMES_IN_ENTRY:
        return [*texts[:_NAMES_IN_ENTRY], f"… and {len(texts) - _NAMES_IN_ENTRY} more"]
    return texts
