"""Write the receipts of grants whose accounts are gone, and finish them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.ids import GrantId
from daypass.engines.contract import Closure
from daypass.operations.context import Context
from daypass.operations.spare_scopes import collect_spare_scopes
from daypass.operations.tell_people import message, send_all
from daypass.store import entries, grants, receipts, sessions
from daypass.store.database import now
from daypass.store.grants import GrantRow
from daypass.store.outbox import NewMessage
from daypass.store.receipts import NewReceipt
from daypass.store.sessions import SessionRow

GRANT_ENDED = "the grant ended"


@dataclass(frozen=True, slots=True)
class Ending:
    """A grant, the sessions that were closed for it, and what was seen of their accounts."""

    grant: GrantRow
    sessions: tuple[SessionRow, ...]
    closure: Closure


async def write_receipts(ctx: Context, endings: Sequence[Ending]) -> tuple[NewReceipt, ...]:
    """Write what is not written yet, and return it: nothing of these accounts is left."""
    by_grant = {ending.grant.id: ending for ending in endings}
    async with ctx.store.transaction() as tx:
        # Grants before sessions: everybody locks in this order.
        locked = await grants.lock_revoking(tx, list(by_grant))
        known = [each for ending in endings for each in ending.sessions]
        closed = await sessions.mark_all_closed(tx, [each.id for each in known])
        moment = await now(tx)
        # What was seen was timed by this machine's clock; receipts go by the store's.
        skew = moment - datetime.now(UTC)
        written = tuple(_receipt(g, by_grant[g.id].closure, moment, skew) for g in locked)
        await receipts.insert_receipts(tx, written)
        await grants.finish_grants(tx, [grant.id for grant in locked])
        ended = [_session_closed(each) for each in known if each.id in closed]
        issued = [_issued(g, r) for g, r in zip(locked, written, strict=True)]
        await entries.append_all(tx, [*ended, *issued])
        await send_all(tx, [_message(g, r) for g, r in zip(locked, written, strict=True)])
    await collect_spare_scopes(
        ctx, {(g.database_id, g.scope_hash) for g in locked if g.scope_hash is not None}
    )
    return written


def _receipt(grant: GrantRow, closure: Closure, moment: datetime, skew: timedelta) -> NewReceipt:
    due_at = min(grant.ended_at or moment, grant.deadline)
    closed_at = max(due_at, (closure.closed_at or moment) + skew)
    return NewReceipt(
        grant_id=GrantId(grant.id),
        due_at=due_at,
        closed_at=closed_at,
        removed_at=max(closed_at, (closure.removed_at or moment) + skew),
        accounts=closure.accounts,
        terminated=closure.terminated,
        rolled_back=closure.rolled_back,
        dropped=closure.dropped,
        probes=closure.probes,
        attempts=grant.revoke_attempts + 1,
    )


def _session_closed(session: SessionRow) -> Entry:
    return Entry(
        EntryKind.SESSION_CLOSED,
        grant_id=session.grant_id,
        session_id=session.id,
        content={"reason": GRANT_ENDED, "account": session.account},
    )


def _issued(grant: GrantRow, receipt: NewReceipt) -> Entry:
    return Entry(
        EntryKind.RECEIPT_ISSUED,
        database_id=grant.database_id,
        request_id=grant.request_id,
        grant_id=grant.id,
        rule=grant.rule,
        content={
            "due_at": utc_text(receipt.due_at),
            "closed_at": utc_text(receipt.closed_at),
            "removed_at": utc_text(receipt.removed_at),
            "lag_ms": round(receipt.lag_s * 1000),
            "accounts": list(receipt.accounts),
            "terminated": receipt.terminated,
            "rolled_back": receipt.rolled_back,
            "dropped": receipt.dropped,
            "probes": list(receipt.probes),
            "attempts": receipt.attempts,
        },
    )


def _message(grant: GrantRow, receipt: NewReceipt) -> NewMessage:
    return message(
        "receipt.issued",
        {grant.principal_id},
        subject=f"Grant {grant.id} on {grant.database} is closed",
        text=f"Nothing of grant {grant.id} is left on {grant.database}; closed "
        f"{receipt.lag_s:.2f} s after it ended.",
        facts={"grant": grant.id, "database": grant.database},
    )
