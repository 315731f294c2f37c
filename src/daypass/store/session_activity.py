"""What sessions of gateways are doing now: written by each gateway of its own, at its own pace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from daypass.domain.ids import SessionId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Activity:
    """A statement that runs, cut to what is shown, and since when by the store's clock."""

    statement: str
    since: datetime


async def note_activity(tx: Tx, running: Mapping[SessionId, Activity]) -> None:
    """Say what runs now in some sessions."""
    await tx.execute(
        """
        insert into session_activity as a (session_id, statement, since)
        select * from unnest(%s::bigint[], %s::text[], %s::timestamptz[])
        on conflict (session_id) do update
        set statement = excluded.statement, since = excluded.since, noted_at = clock_timestamp()
        """,
        (
            list(running),
            [each.statement for each in running.values()],
            [each.since for each in running.values()],
        ),
    )


async def forget_activity(tx: Tx, session_ids: Iterable[SessionId]) -> None:
    """Say that nothing runs in some sessions any more, or that they are over."""
    await tx.execute(
        "delete from session_activity where session_id = any(%s)", (list(session_ids),)
    )


async def activity_of(tx: Tx, session_ids: Sequence[SessionId]) -> dict[SessionId, Activity]:
    """Return what runs in those of some sessions where something does."""
    cursor = await tx.execute(
        "select session_id, statement, since from session_activity where session_id = any(%s)",
        (list(session_ids),),
    )
    return {SessionId(row[0]): Activity(row[1], row[2]) for row in await cursor.fetchall()}
