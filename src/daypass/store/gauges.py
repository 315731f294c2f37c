"""Numbers of what lives and what waits, for whoever watches over Daypass."""

from __future__ import annotations

from dataclasses import dataclass

from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Gauges:
    """One look at the store: counts by state, and the age in seconds of what has waited longest.

    Ages are 0 when nothing waits. `revocation_lag_s` is the longest of the last hour's receipts.
    """

    grants: dict[str, int]
    requests_pending: int
    sessions: dict[str, int]
    revoking_oldest_s: float
    messages_waiting: int
    message_oldest_s: float
    jobs_waiting: int
    revocation_lag_s: float
    reviews_due: int


async def read_gauges(tx: Tx) -> Gauges:
    """Count what lives and waits now."""
    cursor = await tx.execute(
        """
        select
          (select coalesce(jsonb_object_agg(state, n), '{}') from (
            select state, count(*) as n from access_grant where state <> 'revoked' group by state
          ) as g),
          (select count(*) from request where state = 'pending'),
          (select coalesce(jsonb_object_agg(state, n), '{}') from (
            select state, count(*) as n from session where state <> 'closed' group by state
          ) as s),
          (select coalesce(extract(epoch from clock_timestamp() - min(ended_at)), 0)::float8
            from access_grant where state = 'revoking'),
          (select count(*) from outbox where state = 'waiting'),
          (select coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8
            from outbox where state = 'waiting'),
          (select count(*) from procrastinate_jobs where status in ('todo', 'doing')),
          (select coalesce(max(extract(epoch from closed_at - due_at)), 0)::float8
            from receipt where created_at > clock_timestamp() - interval '1 hour'),
          (select count(*) from access_grant g where g.break_glass and not exists (
            select from break_glass_review w where w.grant_id = g.id))
        """
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("select returned no row")
    return Gauges(*row)
