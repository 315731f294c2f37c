"""Groups of principals, which policy and ownership name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from daypass.domain.errors import Conflict, NotFound
from daypass.domain.ids import GroupId, PrincipalId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Group:
    """A group and how many active principals are in it."""

    id: GroupId
    name: str
    members: int
    created_at: datetime


async def add_group(tx: Tx, name: str) -> GroupId:
    """Add an empty group. Raises `Conflict` when there is one of that name."""
    cursor = await tx.execute(
        "insert into people_group (name) values (%s) on conflict (name) do nothing returning id",
        (name,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise Conflict(f"there is a group {name} already", code="group_exists")
    return GroupId(row[0])


async def get_group(tx: Tx, name: str) -> Group:
    """Return the group of a name. Raises `NotFound`."""
    groups = await _select(tx, name=name)
    if not groups:
        raise NotFound(f"there is no group {name}", code="group_not_found")
    return groups[0]


async def list_groups(tx: Tx, *, after: str = "", limit: int | None = None) -> tuple[Group, ...]:
    """List groups in order of name."""
    return await _select(tx, after=after, limit=limit)


async def add_member(tx: Tx, group: GroupId, principal: PrincipalId) -> bool:
    """Put a locked principal into a group; return whether it was not in it before."""
    cursor = await tx.execute(
        "insert into membership (group_id, principal_id) values (%s, %s) on conflict do nothing",
        (group, principal),
    )
    return cursor.rowcount == 1


async def remove_member(tx: Tx, group: GroupId, principal: PrincipalId) -> bool:
    """Take a locked principal out of a group; return whether it was in it before."""
    cursor = await tx.execute(
        "delete from membership where group_id = %s and principal_id = %s", (group, principal)
    )
    return cursor.rowcount == 1


async def remove_everywhere(tx: Tx, principal: PrincipalId) -> None:
    """Take a locked principal out of every group."""
    await tx.execute("delete from membership where principal_id = %s", (principal,))


async def owned_databases(tx: Tx, group: GroupId) -> int:
    """Count the databases a group owns."""
    cursor = await tx.execute("select count(*) from database_owner where group_id = %s", (group,))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def _select(
    tx: Tx, *, name: str | None = None, after: str = "", limit: int | None = None
) -> tuple[Group, ...]:
    async with tx.cursor(row_factory=class_row(Group)) as cursor:
        # Byte order, whatever the database's collation, so that a page goes on where one ended.
        await cursor.execute(
            """
            select g.id, g.name, g.created_at,
              (select count(*) from membership m join principal p on p.id = m.principal_id
               where m.group_id = g.id and p.active) as members
            from people_group g
            where (%(name)s::text is null or g.name = %(name)s)
              and g.name collate "C" > %(after)s
            order by g.name collate "C"
            limit %(limit)s
            """,
            {"name": name, "after": after, "limit": limit},
        )
        return tuple(await cursor.fetchall())
