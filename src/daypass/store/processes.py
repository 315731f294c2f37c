"""Running processes of Daypass, and the hints they give each other."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from daypass.store.database import Tx

CHANNEL = "daypass"


class Hint(StrEnum):
    """What a process may tell the others; losing one costs time only, since all of them also poll.

    The payload is `<hint> <number>`.
    """

    GRANT_ENDED = "grant_ended"
    GRANT_MOVED = "grant_moved"
    """Its deadline is another one."""
    SESSION_KILLED = "session_killed"
    CANCEL_ASKED = "cancel_asked"
    """A client wants what runs in a session cancelled; the number is that of its key."""
    MOMENTS_CHANGED = "moments_changed"
    REQUEST_CHANGED = "request_changed"
    POLICY_CHANGED = "policy_changed"
    MESSAGES_WAIT = "messages_wait"


async def note_process(tx: Tx, process_id: uuid.UUID, kind: str, host: str, pid: int) -> None:
    """Say that a process is alive now."""
    await tx.execute(
        """
        insert into process (id, kind, host, pid) values (%s, %s, %s, %s)
        on conflict on constraint process_pkey do update set seen_at = clock_timestamp()
        """,
        (process_id, kind, host, pid),
    )


async def forget_process(tx: Tx, process_id: uuid.UUID) -> None:
    """Say that a process has ended."""
    await tx.execute("delete from process where id = %s", (process_id,))


async def tell(tx: Tx, hint: Hint, number: int = 0) -> None:
    """Give a hint once the transaction has committed."""
    await tx.execute("select pg_notify(%s, %s)", (CHANNEL, f"{hint.value} {number}"))


_SOON = timedelta(seconds=2)
"""Every process looks at least each second for what is due."""


async def tell_of_moment(tx: Tx, left: timedelta) -> None:
    """Hint that something new becomes due after so long, where nobody would look before."""
    if left < _SOON:
        await tell(tx, Hint.MOMENTS_CHANGED)


async def tell_all(tx: Tx, hint: Hint, numbers: Sequence[int]) -> None:
    """Give a hint for each of many numbers once the transaction has committed."""
    await tx.execute(
        "select pg_notify(%s, n) from unnest(%s::text[]) as n",
        (CHANNEL, [f"{hint.value} {number}" for number in numbers]),
    )
