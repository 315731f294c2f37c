"""Say who may decide about a database: its owners, and holders of Daypass roles."""

from __future__ import annotations

from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Denied, NotFound
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.operations.context import require_capability
from daypass.store.database import Tx
from daypass.store.databases import Database, get_database, lock_database


def owns(actor: Actor, database: Database) -> bool:
    """Say whether the actor is in a group that owns the database."""
    return not actor.principal.groups.isdisjoint(database.owners)


def require_owner(actor: Actor, database: Database, *roles: DaypassRole) -> None:
    """Raise `Denied` unless the actor owns the database or holds one of the Daypass roles."""
    require_capability(actor, Capability.MANAGE)
    if owns(actor, database) or actor.has_role(*roles):
        return
    owners = " or ".join(f"group:{name}" for name in database.owners)
    names = " or ".join(role.value for role in roles)
    who = " or ".join(part for part in (f"an owner of {database.path}", names) if part)
    raise Denied(
        Decision(
            Outcome.DENIED,
            (Reason("not_owner", f"only {who} may do this"),),
            next_step=f"ask {owners}" if owners else f"ask somebody with the Daypass role {names}",
        ),
        code="not_owner",
    )


async def managed_database(tx: Tx, database_id: DatabaseId) -> Database:
    """Lock a database and return it. Raises `NotFound` unless Daypass manages it."""
    database = await lock_database(tx, database_id)
    if database is None or database.state != "active" or database.instance_state != "active":
        raise NotFound(f"there is no database {database_id}")
    return database


async def known_database(tx: Tx, database_id: DatabaseId) -> Database:
    """Return a database without locking it. Raises `NotFound` unless Daypass manages it."""
    database = await get_database(tx, database_id)
    if database is None or database.state != "active" or database.instance_state != "active":
        raise NotFound(f"there is no database {database_id}")
    return database
