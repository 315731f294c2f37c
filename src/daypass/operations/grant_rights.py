"""Who may look at, end and shorten whose grants and requests."""

from __future__ import annotations

from daypass.domain.errors import NotFound
from daypass.domain.ids import DatabaseId, PrincipalId
from daypass.domain.principal import Actor, DaypassRole
from daypass.operations.tell_people import owners_of
from daypass.store.database import Tx


async def is_own(tx: Tx, actor: Actor, principal_id: PrincipalId) -> bool:
    """Say whether the actor is the principal, or the person answering for a service account."""
    if actor.id == principal_id:
        return True
    cursor = await tx.execute(
        "select from principal where id = %s and owner_id = %s", (principal_id, actor.id)
    )
    return await cursor.fetchone() is not None


async def may_oversee(tx: Tx, actor: Actor, database_id: DatabaseId) -> bool:
    """Say whether the actor may end grants on a database: an admin or one of its owners."""
    if actor.has_role(DaypassRole.ADMIN):
        return True
    return actor.id in await owners_of(tx, database_id)


async def may_look(
    tx: Tx, actor: Actor, principal_id: PrincipalId, database_id: DatabaseId
) -> bool:
    """Say whether the actor may see a principal's requests and grants on a database."""
    return (
        await is_own(tx, actor, principal_id)
        or actor.has_role(DaypassRole.AUDITOR)
        or await may_oversee(tx, actor, database_id)
    )


def no_such(kind: str, number: int) -> NotFound:
    """Return the one answer to what does not exist and to what one may not see."""
    return NotFound(
        f"there is no {kind} {number} that you may see",
        next_step=f"daypass {kind}s lists yours",
        code=f"no_{kind}",
    )
