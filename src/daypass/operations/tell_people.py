"""Write messages to everyone concerned into the outbox, in the transaction they tell of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from daypass.domain.ids import DatabaseId, PrincipalId
from daypass.domain.principal import DaypassRole
from daypass.store.database import Tx
from daypass.store.outbox import NewMessage, insert_messages
from daypass.store.processes import Hint, tell


def message(
    event: str,
    recipients: Iterable[PrincipalId | None],
    *,
    subject: str,
    text: str,
    facts: Mapping[str, str | int | bool | None],
) -> NewMessage:
    """Write a message: one by mail to each recipient and one to the webhooks.

    `facts` are for programs and hold no secrets and no data from targets.
    """
    return NewMessage(
        event,
        sorted({each for each in recipients if each is not None}),
        {"event": event, "subject": subject, "text": text, "facts": dict(facts)},
    )


async def tell_people(
    tx: Tx,
    event: str,
    recipients: Iterable[PrincipalId | None],
    *,
    subject: str,
    text: str,
    facts: Mapping[str, str | int | bool | None],
) -> None:
    """Send one message; see `message`."""
    await send_all(tx, [message(event, recipients, subject=subject, text=text, facts=facts)])


async def send_all(tx: Tx, messages: Sequence[NewMessage]) -> None:
    """Send messages once the transaction has committed."""
    await insert_messages(tx, messages)
    await tell(tx, Hint.MESSAGES_WAIT)


async def owners_of(tx: Tx, database_id: DatabaseId) -> tuple[PrincipalId, ...]:
    """List the active people who own a database."""
    cursor = await tx.execute(
        """
        select distinct p.id from database_owner o
        join membership m on m.group_id = o.group_id
        join principal p on p.id = m.principal_id
        where o.database_id = %s and p.active and p.kind = 'person'
        """,
        (database_id,),
    )
    return tuple(PrincipalId(row[0]) for row in await cursor.fetchall())


async def members_of(tx: Tx, group: str) -> tuple[PrincipalId, ...]:
    """List the active people in a group."""
    cursor = await tx.execute(
        """
        select p.id from people_group g
        join membership m on m.group_id = g.id
        join principal p on p.id = m.principal_id
        where g.name = %s and p.active and p.kind = 'person'
        """,
        (group,),
    )
    return tuple(PrincipalId(row[0]) for row in await cursor.fetchall())


async def holders_of(tx: Tx, role: DaypassRole) -> tuple[PrincipalId, ...]:
    """List the active people with a Daypass role."""
    cursor = await tx.execute(
        "select id from principal where %s = any(roles) and active and kind = 'person'",
        (role.value,),
    )
    return tuple(PrincipalId(row[0]) for row in await cursor.fetchall())
