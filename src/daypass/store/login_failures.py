"""Counts of failed logins by digests of what they are counted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from daypass.store.database import Tx

_FORGOTTEN_AFTER = "1 day"


@dataclass(frozen=True, slots=True)
class Failures:
    """How often it failed, and how many seconds ago it last did."""

    subject: bytes
    failures: int
    age_s: float


async def lock_failures(tx: Tx, subjects: Sequence[bytes]) -> dict[bytes, Failures]:
    """Lock the counts of some subjects, in order, so that tries at once are counted one by one."""
    found: dict[bytes, Failures] = {}
    for subject in sorted(set(subjects)):
        async with tx.cursor(row_factory=class_row(Failures)) as cursor:
            await cursor.execute(
                """
                insert into login_failure (subject, failures, last_failure_at)
                values (%s, 0, clock_timestamp())
                on conflict (subject) do update set failures = login_failure.failures
                returning subject, failures,
                  extract(epoch from clock_timestamp() - last_failure_at)::float8 as age_s
                """,
                (subject,),
            )
            row = await cursor.fetchone()
        if row is None:
            raise RuntimeError("insert … returning returned no row")
        found[subject] = row
    return found


async def count_failure(tx: Tx, subject: bytes, *, failures: int) -> None:
    """Write a locked subject's new count."""
    await tx.execute(
        "update login_failure set failures = %s, last_failure_at = clock_timestamp()"
        " where subject = %s",
        (failures, subject),
    )


async def take_back(tx: Tx, subjects: Sequence[bytes]) -> None:
    """Take one failure back: the try it was counted for succeeded."""
    for subject in sorted(set(subjects)):
        await tx.execute(
            "update login_failure set failures = greatest(failures - 1, 0) where subject = %s",
            (subject,),
        )


async def forget(tx: Tx, subject: bytes) -> None:
    """Forget every failure of a subject."""
    await tx.execute("delete from login_failure where subject = %s", (subject,))


async def purge(tx: Tx) -> None:
    """Forget what is long past, so that tries for made-up addresses do not pile up."""
    await tx.execute(
        """
        delete from login_failure where subject in (
          select subject from login_failure
          where last_failure_at < clock_timestamp() - %s::interval
          limit 100 for update skip locked
        )
        """,
        (_FORGOTTEN_AFTER,),
    )
