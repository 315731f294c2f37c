"""Messages that go out: written in the transaction they tell of, delivered at least once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from daypass.domain.ids import GrantId, PrincipalId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Message:
    """A message waiting to go out; `recipient` is an e-mail address, empty for webhooks."""

    id: int
    event: str
    recipient_id: PrincipalId | None
    recipient: str
    channel: str
    payload: dict[str, Any]
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What there is to tell, and whom."""

    event: str
    recipients: Sequence[PrincipalId]
    payload: Mapping[str, Any]


_INSERT = """
    insert into outbox (event, channel, recipient_id, payload)
    select %(event)s, 'webhook', null::bigint, %(payload)s::jsonb
    union all
    select %(event)s, 'smtp', q.id, %(payload)s::jsonb
    from (
      select distinct coalesce(p.owner_id, p.id) as id from principal p
      where p.id = any(%(recipients)s) and p.active
    ) r join principal q on q.id = r.id and q.active
"""


async def insert_messages(tx: Tx, new: Sequence[NewMessage]) -> None:
    """Put messages into the outbox: one for programs, and one for each recipient by mail.

    Mail for a service account goes to whoever answers for it; nobody who has left gets any.
    """
    rows = [
        {
            "event": each.event,
            "payload": Jsonb(dict(each.payload)),
            "recipients": list(each.recipients),
        }
        for each in new
    ]
    if len(rows) == 1:
        await tx.execute(_INSERT, rows[0])
        return
    async with tx.cursor() as cursor:
        await cursor.executemany(_INSERT, rows)


async def claim_messages(tx: Tx, channel: str, limit: int) -> tuple[Message, ...]:
    """Take a channel's messages that are due; nobody else does while the transaction lasts."""
    async with tx.cursor(row_factory=class_row(Message)) as cursor:
        await cursor.execute(
            """
            select o.id, o.event, o.recipient_id, coalesce(p.email, '') as recipient, o.channel,
              o.payload, o.attempts, o.created_at
            from outbox o left join principal p on p.id = o.recipient_id
            where o.state = 'waiting' and o.channel = %s and o.next_at <= clock_timestamp()
            order by o.next_at, o.id limit %s
            for update of o skip locked
            """,
            (channel, limit),
        )
        return tuple(await cursor.fetchall())


async def begin_attempt(tx: Tx, message_id: int, alone_s: float) -> None:
    """Count an attempt and let nobody else try before so many seconds have passed."""
    await tx.execute(
        """
        update outbox set attempts = attempts + 1,
          next_at = clock_timestamp() + make_interval(secs => %s)
        where id = %s
        """,
        (alone_s, message_id),
    )


async def mark_delivered(tx: Tx, message_id: int) -> None:
    """Note that a message went out."""
    await tx.execute(
        """
        update outbox set state = 'delivered', delivered_at = clock_timestamp(), last_error = ''
        where id = %s and state = 'waiting'
        """,
        (message_id,),
    )


async def note_failure(
    tx: Tx, message_id: int, error: str, *, retry_s: float, give_up: bool
) -> None:
    """Note why a message did not go out; one that cannot is given up, kept and shown."""
    await tx.execute(
        """
        update outbox set last_error = %s,
          next_at = clock_timestamp() + make_interval(secs => %s),
          state = case when %s then 'given_up' else state end
        where id = %s and state = 'waiting'
        """,
        (error, retry_s, give_up, message_id),
    )


async def give_up_waiting(tx: Tx, channel: str, error: str) -> int:
    """Give up all that waits on a channel, and say why; return how many there were."""
    cursor = await tx.execute(
        """
        update outbox set state = 'given_up', last_error = %s
        where state = 'waiting' and channel = %s
        """,
        (error, channel),
    )
    return cursor.rowcount


async def told_since(tx: Tx, event: str, grant_id: GrantId, since_s: float) -> bool:
    """Say whether programs were told of an event of a grant within so many seconds."""
    cursor = await tx.execute(
        """
        select exists (
          select from outbox where event = %s and channel = 'webhook'
            and payload->'facts'->'grant' = to_jsonb(%s::bigint)
            and created_at > clock_timestamp() - make_interval(secs => %s)
        )
        """,
        (event, grant_id, since_s),
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def next_due_s(tx: Tx, channel: str) -> float | None:
    """Return the seconds until a channel's next waiting message is due, if any waits."""
    cursor = await tx.execute(
        """
        select extract(epoch from min(next_at) - clock_timestamp())::float8 from outbox
        where state = 'waiting' and channel = %s
        """,
        (channel,),
    )
    row = await cursor.fetchone()
    return row[0] if row else None
