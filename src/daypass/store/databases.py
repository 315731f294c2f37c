"""Databases of instances: labels, owners, and the revision of what scopes rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from daypass.domain.errors import Conflict, Invalid
from daypass.domain.ids import CatalogVersion, DatabaseId, InstanceId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Database:
    """A database with its instance's name; `owners` are names of groups, in order.

    `catalog_version` is None until its catalog has been read.
    """

    id: DatabaseId
    instance_id: InstanceId
    name: str
    labels: dict[str, str]
    catalog_version: CatalogVersion | None
    facts_revision: int
    synced_at: datetime | None
    sync_error: str
    state: str
    created_at: datetime
    instance: str
    engine: str
    instance_labels: dict[str, str]
    instance_state: str
    owners: list[str]

    @property
    def path(self) -> str:
        """Return `instance/database`, as people name it."""
        return f"{self.instance}/{self.name}"


_FIELDS = """
    select d.*, i.name as instance, i.engine, i.labels as instance_labels,
      i.state as instance_state,
      array(
        select g.name from database_owner o join people_group g on g.id = o.group_id
        where o.database_id = d.id order by g.name
      ) as owners
"""
_TABLES = """
    from database d join instance i on i.id = d.instance_id
"""
_SELECT = _FIELDS + _TABLES


async def get_database(tx: Tx, database_id: DatabaseId) -> Database | None:
    """Return a database, a removed one too."""
    async with tx.cursor(row_factory=class_row(Database)) as cursor:
        await cursor.execute(_SELECT + "where d.id = %s", (database_id,))
        return await cursor.fetchone()


async def get_edition(tx: Tx, database_id: DatabaseId) -> tuple[Database, UUID, int] | None:
    """Return a database, the store it is in, and the transaction that wrote it last."""
    async with tx.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            _FIELDS
            + ", n.id as installation, d.xmin::text::bigint as written_by"
            + _TABLES
            + "cross join installation n where d.id = %s",
            (database_id,),
        )
        row = await cursor.fetchone()
    if row is None:
        return None
    installation, written_by = row.pop("installation"), row.pop("written_by")
    return Database(**row), installation, written_by


async def lock_database(tx: Tx, database_id: DatabaseId) -> Database | None:
    """Return a database and keep others from changing it until the transaction ends.

    Rows that refer to it can still be added: whoever does so may hold what this transaction waits
    for next.
    """
    await tx.execute("select from database where id = %s for no key update", (database_id,))
    return await get_database(tx, database_id)


async def find_database(tx: Tx, path: str) -> DatabaseId | None:
    """Return the managed database that `instance/database` names."""
    instance, _, name = path.partition("/")
    cursor = await tx.execute(
        """
        select d.id from database d join instance i on i.id = d.instance_id
        where i.name = %s and d.name = %s and d.state = 'active' and i.state = 'active'
        """,
        (instance, name),
    )
    row = await cursor.fetchone()
    return DatabaseId(row[0]) if row else None


async def list_databases(tx: Tx, *, instance_id: InstanceId | None = None) -> tuple[Database, ...]:
    """List the managed databases by instance and name."""
    async with tx.cursor(row_factory=class_row(Database)) as cursor:
        await cursor.execute(
            _SELECT
            + """
            where d.state = 'active' and i.state = 'active'
              and (%(instance)s::bigint is null or d.instance_id = %(instance)s)
            order by i.name, d.name
            """,
            {"instance": instance_id},
        )
        return tuple(await cursor.fetchall())


async def insert_database(
    tx: Tx, instance_id: InstanceId, name: str, labels: Mapping[str, str]
) -> DatabaseId:
    """Add a database without a catalog. Raises `Conflict` when it is there already."""
    try:
        cursor = await tx.execute(
            "insert into database (instance_id, name, labels) values (%s, %s, %s) returning id",
            (instance_id, name, Jsonb(dict(labels))),
        )
    except UniqueViolation as error:
        raise Conflict(
            f"the database {name} of that instance is managed already", code="database_exists"
        ) from error
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return DatabaseId(row[0])


async def set_labels(tx: Tx, database_id: DatabaseId, labels: Mapping[str, str]) -> None:
    """Replace a database's labels."""
    await tx.execute(
        "update database set labels = %s where id = %s", (Jsonb(dict(labels)), database_id)
    )


async def set_owners(tx: Tx, database_id: DatabaseId, groups: Iterable[str]) -> None:
    """Replace the groups that own a database. Raises `Invalid` for a group that does not exist."""
    names = sorted(set(groups))
    cursor = await tx.execute(
        """
        select given from unnest(%s::text[]) as given
        where not exists (select from people_group where name = given)
        order by given
        """,
        (names,),
    )
    unknown = [row[0] for row in await cursor.fetchall()]
    if unknown:
        raise Invalid(
            f"there is no group named {unknown[0]}",
            problems=tuple(("owners", f"no group named {name}") for name in unknown),
            next_step="make the group first",
            code="unknown_group",
        )
    await tx.execute(
        """
        delete from database_owner o using people_group g
        where o.database_id = %s and g.id = o.group_id and g.name <> all (%s::text[])
        """,
        (database_id, names),
    )
    await tx.execute(
        """
        insert into database_owner (database_id, group_id)
        select %s, id from people_group where name = any (%s::text[])
        on conflict do nothing
        """,
        (database_id, names),
    )


async def raise_facts_revision(tx: Tx, database_id: DatabaseId) -> int:
    """Say that something scopes rest on has changed; return the new revision.

    Call it after the change: what is cached under a revision must hold all of it.
    """
    cursor = await tx.execute(
        "update database set facts_revision = facts_revision + 1 where id = %s"
        " returning facts_revision",
        (database_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError(f"there is no database {database_id}")
    revision: int = row[0]
    return revision


async def record_sync(
    tx: Tx, database_id: DatabaseId, version: CatalogVersion | None, error: str = ""
) -> None:
    """Remember the catalog version a database has now, or why it could not be read."""
    await tx.execute(
        """
        update database
        set catalog_version = coalesce(%(version)s, catalog_version), sync_error = %(error)s,
          synced_at = case when %(error)s = '' then clock_timestamp() else synced_at end
        where id = %(id)s
        """,
        {"version": version, "error": error, "id": database_id},
    )


async def mark_database_removed(tx: Tx, database_id: DatabaseId) -> None:
    """Stop managing a database; the row stays, since entries and grants name it."""
    await tx.execute("update database set state = 'removed' where id = %s", (database_id,))
