"""Messages that go out: written in the transaction they tell of, delivered at least once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from daypass.domain.ids import PrincipalId
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


async def insert_message(
    tx: Tx,
    *,
    event: str,
    channel: str,
    recipient_id: PrincipalId | None,
    payload: Mapping[str, Any],
) -> int:
    """Put a message into the outbox."""
    cursor = await tx.execute(
        """
        insert into outbox (event, channel, recipient_id, payload) values (%s, %s, %s, %s)
        returning id
        """,
        (event, channel, recipient_id, Jsonb(dict(payload))),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning returned no row")
    return int(row[0])


async def claim_messages(tx: Tx, limit: int = 50) -> tuple[Message, ...]:
    """Take messages that are due, so that nobody else takes them while the transaction lasts."""
    async with tx.cursor(row_factory=class_row(Message)) as cursor:
        await cursor.execute(
            """
            select o.id, o.event, o.recipient_id, coalesce(p.email, '') as recipient, o.channel,
              o.payload, o.attempts, o.created_at
            from outbox o left join principal p on p.id = o.recipient_id
            where o.state = 'waiting' and o.next_at <= clock_timestamp()
            order by o.next_at limit %s
            for update of o skip locked
            """,
            (limit,),
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


async def next_due_s(tx: Tx) -> float | None:
    """Return the seconds until a waiting message is due, if any waits."""
    cursor = await tx.execute(
        """
        select extract(epoch from min(next_at) - clock_timestamp())::float8 from outbox
        where state = 'waiting'
        """
    )
    row = await cursor.fetchone()
    return row[0] if row else None
