"""Instances: the database servers Daypass manages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from daypass.domain.errors import Conflict
from daypass.domain.ids import InstanceId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as stored; `admin_secret` is a reference, never a clear password.

    `revision` rises with everything a connection rests on.
    """

    id: InstanceId
    name: str
    engine: str
    host: str
    port: int
    admin_user: str
    admin_secret: str
    admin_database: str
    tls_mode: str
    labels: dict[str, str]
    options: dict[str, str]
    state: str
    yielded_until: datetime | None
    yield_notice_until: datetime | None
    last_contact_at: datetime | None
    last_error: str
    revision: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewInstance:
    """What an instance is made of."""

    name: str
    engine: str
    host: str
    port: int
    admin_user: str
    admin_secret: str
    admin_database: str
    tls_mode: str
    labels: Mapping[str, str]
    options: Mapping[str, str]


async def installation_id(tx: Tx) -> UUID:
    """Return what marks everything this Daypass makes on targets."""
    row = await (await tx.execute("select id from installation")).fetchone()
    if row is None:
        raise RuntimeError("the store has no installation row")
    marker: UUID = row[0]
    return marker


async def get_instance(tx: Tx, instance_id: InstanceId) -> Instance | None:
    """Return an instance, a removed one too."""
    async with tx.cursor(row_factory=class_row(Instance)) as cursor:
        await cursor.execute("select * from instance where id = %s", (instance_id,))
        return await cursor.fetchone()


async def lock_instance(tx: Tx, instance_id: InstanceId) -> Instance | None:
    """Return an instance and keep others from changing it until the transaction ends.

    Whoever locks databases of it as well locks the instance first.
    """
    async with tx.cursor(row_factory=class_row(Instance)) as cursor:
        await cursor.execute(
            "select * from instance where id = %s for no key update", (instance_id,)
        )
        return await cursor.fetchone()


async def find_instance(tx: Tx, name: str) -> Instance | None:
    """Return the managed instance of that name."""
    async with tx.cursor(row_factory=class_row(Instance)) as cursor:
        await cursor.execute("select * from instance where name = %s and state = 'active'", (name,))
        return await cursor.fetchone()


async def list_instances(tx: Tx) -> tuple[Instance, ...]:
    """List the managed instances by name."""
    async with tx.cursor(row_factory=class_row(Instance)) as cursor:
        await cursor.execute("select * from instance where state = 'active' order by name")
        return tuple(await cursor.fetchall())


async def insert_instance(tx: Tx, new: NewInstance) -> InstanceId:
    """Add an instance. Raises `Conflict` when the name is taken."""
    try:
        cursor = await tx.execute(
            """
            insert into instance (
              name, engine, host, port, admin_user, admin_secret, admin_database, tls_mode,
              labels, options, last_contact_at
            ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp())
            returning id
            """,
            (
                new.name,
                new.engine,
                new.host,
                new.port,
                new.admin_user,
                new.admin_secret,
                new.admin_database,
                new.tls_mode,
                Jsonb(dict(new.labels)),
                Jsonb(dict(new.options)),
            ),
        )
    except UniqueViolation as error:
        raise Conflict(
            f"there is an instance named {new.name} already",
            next_step="choose another name, or change that one",
            code="instance_exists",
        ) from error
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return InstanceId(row[0])


async def update_instance(tx: Tx, instance_id: InstanceId, new: NewInstance) -> None:
    """Change what an instance is made of; its name and engine stay."""
    await tx.execute(
        """
        update instance
        set host = %s, port = %s, admin_user = %s, admin_secret = %s, admin_database = %s,
          tls_mode = %s, labels = %s, options = %s, revision = revision + 1
        where id = %s
        """,
        (
            new.host,
            new.port,
            new.admin_user,
            new.admin_secret,
            new.admin_database,
            new.tls_mode,
            Jsonb(dict(new.labels)),
            Jsonb(dict(new.options)),
            instance_id,
        ),
    )


async def record_contact(tx: Tx, instance_id: InstanceId, error: str = "") -> None:
    """Remember that an instance answered, or the error it answered with."""
    await tx.execute(
        """
        update instance
        set last_error = %(error)s,
          last_contact_at =
            case when %(error)s = '' then clock_timestamp() else last_contact_at end
        where id = %(id)s
        """,
        {"error": error, "id": instance_id},
    )


async def start_yield(
    tx: Tx, instance_id: InstanceId, *, duration_s: float, notice_s: float
) -> tuple[datetime, datetime]:
    """Keep sessions from opening on an instance; return when the notice and the yield end."""
    cursor = await tx.execute(
        """
        update instance
        set yield_notice_until = now() + make_interval(secs => %(notice)s),
          yielded_until = now() + make_interval(secs => %(duration)s)
        where id = %(id)s
        returning yield_notice_until, yielded_until
        """,
        {"notice": notice_s, "duration": duration_s, "id": instance_id},
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError(f"there is no instance {instance_id}")
    return row[0], row[1]


async def end_yield(tx: Tx, instance_id: InstanceId) -> None:
    """Let sessions open on an instance again."""
    await tx.execute(
        "update instance set yielded_until = null, yield_notice_until = null where id = %s",
        (instance_id,),
    )


async def list_yielding(tx: Tx) -> tuple[tuple[InstanceId, bool], ...]:
    """List the instances whose notice is over, each with whether its yield is over too."""
    cursor = await tx.execute(
        """
        select id, yielded_until <= clock_timestamp() from instance
        where yield_notice_until <= clock_timestamp() order by id
        """
    )
    return tuple((InstanceId(row[0]), row[1]) for row in await cursor.fetchall())


async def mark_instance_removed(tx: Tx, instance_id: InstanceId) -> None:
    """Stop managing an instance; the row stays, since entries and grants name it."""
    await tx.execute(
        "update instance set state = 'removed', revision = revision + 1 where id = %s",
        (instance_id,),
    )
