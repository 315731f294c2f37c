"""Close many accounts of an instance together, as far as none of them resists.

Whatever is left undone is found undone by those who close accounts one by one, and done there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import psycopg
from psycopg import sql

from daypass.engines.postgres.account_report import DEPENDED_ON, GONE, HELD, Report, prove
from daypass.engines.postgres.account_report import revocations as _revocations
from daypass.engines.postgres.account_state import Seen, look_at_all
from daypass.engines.postgres.accounts import terminate
from daypass.engines.postgres.admin import AdminConnection

TOGETHER: Final = 32
"""How many accounts one commit changes: one that is held gives all of them to the slow way."""
_PAUSES_S: Final = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.1)


async def sweep(connection: AdminConnection, reports: Sequence[Report], installation: str) -> None:
    """End all backends, then all logins and memberships, then drop the roles and prove it."""
    looked = await look_at_all(connection, [each.account for each in reports])
    ours = {}
    for report in reports:
        seen = looked.get(report.account)
        if seen is not None and _is_plain(seen, installation):
            ours[report.account] = report
            report.oid = seen.oid
            report.terminated |= set(seen.backends)
    if any(looked[account].backends for account in ours):
        await terminate(connection, list(ours))
    to_shut = [account for account in ours if not looked[account].closed]
    await _each_chunk(connection, "expire accounts", to_shut, looked, _shut)
    dropped: list[Report] = []
    for pause_s in _PAUSES_S:
        await asyncio.sleep(pause_s)
        looked = await look_at_all(connection, list(ours))
        moment = datetime.now(UTC)
        for account, seen in looked.items():
            if seen.closed and ours[account].closed_at is None:
                ours[account].closed_at = moment
        dropped += [ours.pop(account) for account in list(ours) if account not in looked]
        if not ours:
            break
        bare = [each for each, seen in looked.items() if seen.closed and seen.bare]
        await _each_chunk(connection, "drop accounts", bare, looked, _drop)
    if dropped:
        await prove(connection, dropped)


def _is_plain(seen: Seen, installation: str) -> bool:
    """Say whether an account is this Daypass's and takes no more than what is done here."""
    ours = seen.mark is not None and seen.mark.installation == installation
    return ours and seen.usable and not seen.prepared


async def _each_chunk(
    connection: AdminConnection,
    step: str,
    accounts: Sequence[str],
    looked: dict[str, Seen],
    statements: Callable[[str, Seen], list[sql.Composable]],
) -> None:
    """Run the statements of some accounts in a commit; what does not go well is left undone."""
    for start in range(0, len(accounts), TOGETHER):
        text = sql.SQL("; ").join(
            statement
            for account in accounts[start : start + TOGETHER]
            for statement in statements(account, looked[account])
        )
        try:
            await connection.run(step, text)
        except psycopg.Error as error:
            if error.sqlstate not in (*HELD, DEPENDED_ON, GONE):
                raise


def _shut(account: str, seen: Seen) -> list[sql.Composable]:
    name = sql.Identifier(account)
    return [
        sql.SQL("alter role {} nologin password null valid until 'epoch'").format(name),
        *_revocations(seen, name),
    ]


def _drop(account: str, seen: Seen) -> list[sql.Composable]:
    name = sql.Identifier(account)
    return [*_revocations(seen, name), sql.SQL("drop role {}").format(name)]
