"""Everything a decision and a scope rest on, for one database."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from daypass.domain.catalog import Catalog, ColumnName, RelationName, Tags
from daypass.domain.errors import NotFound, Unavailable
from daypass.domain.ids import CatalogVersion, DatabaseId, InstanceId
from daypass.policy.derivation import ClassifiedCatalog, classify
from daypass.policy.facts import DatabaseFacts
from daypass.store import databases
from daypass.store.catalogs import decode_catalog
from daypass.store.database import Tx

_CACHED_DATABASES = 64

# The transaction that wrote the row is part of it: a revision raised by a transaction that rolled
# back afterwards is raised again by another, with other facts.
Edition: TypeAlias = tuple[UUID, DatabaseId, int, int]
"""Installation, database, revision of its facts, and the transaction that wrote its row."""


@dataclass(frozen=True, slots=True)
class DatabaseFactsBundle:
    """One database as policy, compiler and people see it at one moment.

    `tags` are what people confirmed, `classified` the catalog with those propagated. `owners` are
    names of groups; `accepted` are keys of exposures. Two bundles of the same `edition` hold the
    same.
    """

    id: DatabaseId
    name: str
    labels: dict[str, str]
    owners: tuple[str, ...]
    instance_id: InstanceId
    instance: str
    engine: str
    instance_labels: dict[str, str]
    active: bool
    catalog: Catalog
    catalog_version: CatalogVersion
    tags: Tags
    classified: ClassifiedCatalog
    accepted: frozenset[str]
    facts_revision: int
    edition: Edition

    @property
    def path(self) -> str:
        """Return `instance/database`, as people name it."""
        return f"{self.instance}/{self.name}"

    def for_policy(self) -> DatabaseFacts:
        """Return what policy asks of the database."""
        return DatabaseFacts(
            name=self.name,
            instance=self.instance,
            engine=self.engine,
            labels=self.labels,
            owners=frozenset(self.owners),
            instance_labels=self.instance_labels,
        )


@dataclass(frozen=True, slots=True)
class _Heavy:
    catalog: Catalog
    tags: Tags
    classified: ClassifiedCatalog
    accepted: frozenset[str]


_cache: OrderedDict[Edition, _Heavy] = OrderedDict()


async def load_facts(tx: Tx, database_id: DatabaseId) -> DatabaseFactsBundle:
    """Load a database's facts, a removed one's too (its `active` is false).

    Raises `NotFound` for no such database, and `Unavailable` when its catalog was never read.
    """
    while True:
        found = await databases.get_edition(tx, database_id)
        if found is None:
            raise NotFound(f"there is no database {database_id}")
        row, installation, written_by = found
        if row.catalog_version is None:
            raise Unavailable(
                f"the catalog of {row.path} has not been read yet",
                next_step=f"an admin can run: daypass instance sync {row.path}",
                code="catalog_missing",
            )
        key: Edition = (installation, database_id, row.facts_revision, written_by)
        version = row.catalog_version
        heavy = _cache.get(key)
        if heavy is not None:
            _cache.move_to_end(key)
            break
        key, version, heavy = await _read(tx, database_id)
        # A change may commit between the two; labels must not be older than tags.
        if key[2] == row.facts_revision:
            break
    return DatabaseFactsBundle(
        id=row.id,
        name=row.name,
        labels=row.labels,
        owners=tuple(row.owners),
        instance_id=row.instance_id,
        instance=row.instance,
        engine=row.engine,
        instance_labels=row.instance_labels,
        active=row.state == "active" and row.instance_state == "active",
        catalog=heavy.catalog,
        catalog_version=version,
        tags=heavy.tags,
        classified=heavy.classified,
        accepted=heavy.accepted,
        facts_revision=key[2],
        edition=key,
    )


async def find_database(tx: Tx, path: str) -> DatabaseId | None:
    """Return the managed database that `instance/database` names."""
    return await databases.find_database(tx, path)


async def _read(tx: Tx, database_id: DatabaseId) -> tuple[Edition, CatalogVersion, _Heavy]:
    # One statement sees one moment: its revision is that of everything it returns.
    cursor = await tx.execute(
        """
        select i.id, d.facts_revision, d.xmin::text::bigint, d.catalog_version, c.content::text,
          array(select array[schema_name, relation_name, tag] from relation_tag
            where database_id = d.id),
          array(select array[schema_name, relation_name, column_name, tag] from column_tag
            where database_id = d.id),
          array(select array[schema_name, relation_name, column_name] from classified_column
            where database_id = d.id),
          array(select key from accepted_exposure where database_id = d.id)
        from installation i, database d
        join catalog c on c.database_id = d.id and c.version = d.catalog_version
        where d.id = %s
        """,
        (database_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"there is no database {database_id} with a catalog")
    key: Edition = (row[0], database_id, row[1], row[2])
    # A big catalog takes long enough to keep others from being ended in time.
    heavy = await asyncio.to_thread(_heavy, row[4], row[5], row[6], row[7], row[8])
    _cache[key] = heavy
    while len(_cache) > _CACHED_DATABASES:
        _cache.popitem(last=False)
    return key, CatalogVersion(row[3]), heavy


def _heavy(
    content: str,
    relations: Iterable[list[str]],
    columns: Iterable[list[str]],
    classified: Iterable[list[str]],
    accepted: Iterable[str],
) -> _Heavy:
    catalog = decode_catalog(content)
    tags = _tags(relations, columns, classified)
    return _Heavy(catalog, tags, classify(catalog, tags), frozenset(accepted))


def _tags(
    relations: Iterable[list[str]], columns: Iterable[list[str]], classified: Iterable[list[str]]
) -> Tags:
    of_relation: dict[RelationName, set[str]] = defaultdict(set)
    for schema, relation, tag in relations:
        of_relation[RelationName(schema, relation)].add(tag)
    of_column: dict[ColumnName, set[str]] = defaultdict(set)
    for schema, relation, column, tag in columns:
        of_column[ColumnName(RelationName(schema, relation), column)].add(tag)
    return Tags(
        {name: frozenset(tags) for name, tags in of_relation.items()},
        {name: frozenset(tags) for name, tags in of_column.items()},
        frozenset(
            ColumnName(RelationName(schema, relation), column)
            for schema, relation, column in classified
        ),
    )
