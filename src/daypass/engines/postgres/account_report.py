"""What is known of the closing of accounts, and the proof that nothing is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from psycopg import sql

from daypass.engines.postgres import names
from daypass.engines.postgres.account_state import Seen
from daypass.engines.postgres.admin import AdminConnection, Look

# SQLSTATEs: lock timeout, deadlock, "tuple concurrently updated"; dependent objects; no such role.
HELD: Final = ("55P03", "40P01", "XX000")
DEPENDED_ON: Final = "2BP01"
GONE: Final = "42704"

_LEFT: Final = Look(
    "left",
    "bigint[], text[]",
    """
with activity as materialized (
  select a.usesysid from pg_stat_activity as a where a.usesysid is not null
)
select n.name,
  (select count(*) from pg_roles as r where r.oid = n.oid or r.rolname = n.name),
  (select count(*) from activity as a where a.usesysid = n.oid),
  (select count(*) from pg_auth_members as m where n.oid in (m.member, m.roleid, m.grantor)),
  (select count(*) from pg_prepared_xacts as p where p.owner = n.name),
  (select count(*) from pg_shdepend as s
    where s.refclassid = 'pg_authid'::regclass and s.refobjid = n.oid)
from unnest($1::oid[], $2) as n (oid, name)
""",
)
_PROBES: Final = (
    "no role of the name",
    "no backend of the role",
    "no membership in, of or granted by the role",
    "no prepared transaction of the role",
    "no object owned by and no privilege of the role, in any database",
)


@dataclass(slots=True)
class Report:
    """What is known of one account's closing so far."""

    account: str
    oid: int = 0
    closed_at: datetime | None = None
    removed_at: datetime | None = None
    terminated: set[int] = field(default_factory=set)
    rolled_back: int = 0
    dropped: int = 0
    probes: tuple[str, ...] = ()
    missing: list[str] = field(default_factory=list)
    until: float = 0.0
    revoked: bool = False
    taken_back: bool = False
    done: bool = False


async def prove(connection: AdminConnection, reports: Sequence[Report]) -> None:
    """Look for anything that is left, by the name and by the oid each role had."""
    rows = await connection.look(
        "probe", _LEFT, [each.oid for each in reports], [each.account for each in reports]
    )
    moment = datetime.now(UTC)
    by_account = {each.account: each for each in reports}
    for name, *counts in rows:
        report = by_account[str(name)]
        report.done = True
        left = [what for what, count in zip(_PROBES, counts, strict=True) if count]
        if left:
            report.missing += [f"{report.account}: not so: {what}" for what in left]
            continue
        report.removed_at = moment
        report.closed_at = report.closed_at or moment
        report.probes = tuple(f"{report.account}: {what}" for what in _PROBES)


def revocations(seen: Seen, account: sql.Identifier) -> list[sql.Composable]:
    """Return the revocation of each membership in a scope.

    One that somebody else gave, in a role of the customer's, the admin may not even be allowed to
    revoke; those end with the account, whoever gave them.
    """
    return [
        sql.SQL("revoke {} from {}").format(sql.Identifier(role), account)
        for role in seen.memberships
        if names.scope_of_role(role) is not None
    ]
