"""One look at all there may be of accounts on their instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daypass.engines.postgres.admin import AdminConnection, Look
from daypass.engines.postgres.marks import Mark, read_mark

# `prepared` are (gid, database, owner): until 15 a session can also act as its scope's role.
# `databases` is where it owns or was granted anything; the empty one stands for objects shared by
# all. The next are memberships it gave to others. Views made by functions are read once for all.
_LOOK: Final = Look(
    "accounts",
    "text[]",
    """
with activity as materialized (
  select a.usesysid, a.pid from pg_stat_activity as a where a.usesysid is not null
), transactions as materialized (
  select p.gid, p.database, p.owner from pg_prepared_xacts as p
)
select r.rolname, r.oid::bigint, r.rolcanlogin,
  coalesce(r.rolvaliduntil <= 'epoch'::timestamptz, false),
  shobj_description(r.oid, 'pg_authid'),
  array(select a.pid from activity as a where a.usesysid = r.oid order by 1),
  array(select distinct s.rolname::text from pg_auth_members as m
    join pg_roles as s on s.oid = m.roleid where m.member = r.oid order by 1),
  array(select array[p.gid, p.database::text, p.owner::text] from transactions as p
    where p.owner = r.rolname or p.owner in (
      select s.rolname from pg_auth_members as m join pg_roles as s on s.oid = m.roleid
      where m.member = r.oid and starts_with(s.rolname, 'dp_s_')
    ) order by p.gid),
  array(select distinct coalesce(d.datname::text, '')
    from pg_shdepend as s left join pg_database as d on d.oid = s.dbid
    where s.refclassid = 'pg_authid'::regclass and s.refobjid = r.oid order by 1),
  array(select array[s.rolname::text, o.rolname::text] from pg_auth_members as m
    join pg_roles as s on s.oid = m.roleid join pg_roles as o on o.oid = m.member
    where m.grantor = r.oid order by 1),
  pg_has_role(current_user, r.oid, 'usage')
from pg_roles as r where r.rolname = any ($1)
""",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found of an account."""

    oid: int
    can_login: bool
    expired: bool
    mark: Mark | None
    backends: tuple[int, ...]
    memberships: tuple[str, ...]
    prepared: tuple[tuple[str, str, str], ...]
    databases: tuple[str, ...]
    granted: tuple[tuple[str, str], ...]
    usable: bool

    @property
    def shut(self) -> bool:
        """Say whether nobody is in and nobody can come in."""
        return self.expired and not (self.can_login or self.backends)

    @property
    def closed(self) -> bool:
        """Say whether, besides, nothing could be done with it if somebody were in."""
        return self.shut and not (self.memberships or self.prepared)

    @property
    def bare(self) -> bool:
        """Say whether the role can be dropped at once: nobody is in and nothing hangs on it."""
        return not (self.backends or self.prepared or self.databases or self.granted)

    def remains(self, account: str) -> list[str]:
        """Say in words what is still there."""
        left = [f"the role {account}"]
        left += ["its login"] if self.can_login else []
        left += [f"backend {pid}" for pid in self.backends]
        left += [f"membership in {role}" for role in self.memberships]
        left += [f"prepared transaction {gid} in {db}" for gid, db, _ in self.prepared]
        left += [f"{member}'s membership in {role}" for role, member in self.granted]
        left += [f"objects or privileges in {db or 'no database'}" for db in self.databases]
        return left


async def look_at(connection: AdminConnection, account: str) -> Seen | None:
    """Look at an account; None when there is no such role."""
    return (await look_at_all(connection, [account])).get(account)


async def look_at_all(connection: AdminConnection, accounts: Sequence[str]) -> dict[str, Seen]:
    """Look at accounts in one moment; those of which there is no role are left out."""
    rows = await connection.look("look", _LOOK, list(accounts))
    return {str(name): _seen(facts) for name, *facts in rows}


def _seen(facts: Sequence[object]) -> Seen:
    oid, can_login, expired, comment, backends, memberships, prepared, databases, *more = facts
    granted, usable = more
    return Seen(
        oid=integer(oid),
        can_login=bool(can_login),
        expired=bool(expired),
        mark=read_mark(comment),
        backends=tuple(integer(pid) for pid in _list(backends)),
        memberships=tuple(str(role) for role in _list(memberships)),
        prepared=tuple(
            (str(gid), str(database), str(owner))
            for gid, database, owner in (_list(each) for each in _list(prepared))
        ),
        databases=tuple(str(each) for each in _list(databases)),
        granted=tuple(
            (str(role), str(member)) for role, member in (_list(each) for each in _list(granted))
        ),
        usable=bool(usable),
    )


def integer(value: object) -> int:
    """Return a number of the server's as one."""
    return value if isinstance(value, int) else 0


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
