"""Versions of what Daypass knows of databases."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
from psycopg.rows import class_row

from daypass.domain.catalog import Catalog
from daypass.domain.ids import CatalogVersion, DatabaseId
from daypass.store.database import Tx

_KEPT_VERSIONS = 50

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Catalog)


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version, without its content."""

    version: CatalogVersion
    digest: str
    read_at: datetime


def decode_catalog(content: str | bytes) -> Catalog:
    """Read a stored catalog. Raises `msgspec.ValidationError` when it is none."""
    return _decoder.decode(content)


def catalog_digest(catalog: Catalog) -> str:
    """Return the digest by which two readings are the same catalog.

    Estimates of row counts move by themselves and change nothing a scope rests on.
    """
    steady = replace(
        catalog, relations=tuple(replace(r, estimated_rows=0) for r in catalog.relations)
    )
    return hashlib.sha256(_encoder.encode(steady)).hexdigest()


async def current_digest(tx: Tx, database_id: DatabaseId) -> str | None:
    """Return the digest of the version a database has now, or None before its first."""
    cursor = await tx.execute(
        """
        select c.digest from database d
        join catalog c on c.database_id = d.id and c.version = d.catalog_version
        where d.id = %s
        """,
        (database_id,),
    )
    row = await cursor.fetchone()
    return str(row[0]) if row else None


async def insert_catalog(tx: Tx, database_id: DatabaseId, catalog: Catalog) -> CatalogVersion:
    """Store a catalog as the next version; the database's row must be locked."""
    cursor = await tx.execute(
        """
        insert into catalog (database_id, version, content, digest)
        select %(id)s, coalesce(max(version), 0) + 1, %(content)s::jsonb, %(digest)s
        from catalog where database_id = %(id)s
        returning version
        """,
        {
            "id": database_id,
            "content": _encoder.encode(catalog).decode(),
            "digest": catalog_digest(catalog),
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return CatalogVersion(row[0])


async def get_catalog(tx: Tx, database_id: DatabaseId, version: CatalogVersion) -> Catalog | None:
    """Return one version."""
    cursor = await tx.execute(
        "select content::text from catalog where database_id = %s and version = %s",
        (database_id, version),
    )
    row = await cursor.fetchone()
    return decode_catalog(row[0]) if row else None


async def list_versions(tx: Tx, database_id: DatabaseId) -> tuple[StoredVersion, ...]:
    """List the versions kept, newest first."""
    async with tx.cursor(row_factory=class_row(StoredVersion)) as cursor:
        await cursor.execute(
            "select version, digest, read_at from catalog where database_id = %s"
            " order by version desc",
            (database_id,),
        )
        return tuple(await cursor.fetchall())


async def prune_versions(tx: Tx, database_id: DatabaseId, keep: int = _KEPT_VERSIONS) -> int:
    """Delete old versions; the last `keep` stay, and those a grant was made under."""
    cursor = await tx.execute(
        """
        delete from catalog c
        using database d
        where c.database_id = %(id)s and d.id = c.database_id
          and c.version is distinct from d.catalog_version
          and c.version not in (
            select version from catalog where database_id = %(id)s
            order by version desc limit %(keep)s
          )
          and not exists (
            select from access_grant g
            where g.database_id = c.database_id and g.catalog_version = c.version
          )
        """,
        {"id": database_id, "keep": keep},
    )
    return cursor.rowcount
