"""Logins that exist without any grant, and how much each could do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

from psycopg import AsyncConnection

from daypass.engines.contract import StandingLogin
from daypass.engines.postgres.login_kinds import login_kind

_READ_POINTS: Final = 40
_WRITE_POINTS: Final = 30
_OWNER_POINTS: Final = 10
_FOR_EVER_POINTS: Final = 10
_FIRST_WITH_MEMBERSHIP_OPTIONS: Final = 160000
# Roles of the server that are as good as a superuser, and what they add by themselves.
_ALMIGHTY: Final = frozenset({"pg_execute_server_program", "pg_write_server_files"})
_POINTS: Final[Mapping[str, int]] = {
    "replication": 50,
    "createrole": 25,
    "bypassrls": 15,
    "createdb": 5,
    "pg_read_server_files": 50,
    "pg_create_subscription": 20,
    "pg_signal_backend": 5,
}
_MEANING: Final[Mapping[str, str]] = {
    "replication": "can copy the whole instance (REPLICATION)",
    "createrole": "can make roles and hand itself others (CREATEROLE)",
    "bypassrls": "passes row-level security (BYPASSRLS)",
    "createdb": "can make databases (CREATEDB)",
    "pg_read_server_files": "can read files of the server",
    "pg_create_subscription": "can copy data in from other servers",
    "pg_signal_backend": "can end others' sessions",
}


@dataclass(frozen=True, slots=True)
class Login:
    """A login as the server has it; `reads`, `writes` and `owns` count relations of `relations`."""

    name: str
    kind: str
    powers: tuple[str, ...]
    roles: tuple[str, ...]
    relations: int
    reads: int
    writes: int
    owns: int
    for_ever: bool
    expired: bool
    last_seen: datetime | None


@cache
def _sql(name: str) -> bytes:
    return (files("daypass.engines.postgres") / "sql" / f"{name}.sql").read_bytes()


async def standing_logins(conn: AsyncConnection[Any]) -> tuple[StandingLogin, ...]:
    """Score every login of the instance, the most powerful first.

    Relations are those of the database the connection leads to; accounts of sessions are left out.
    `last_seen` is known only for who is connected now: the server keeps no record of logins.
    """
    async with conn.transaction(), conn.cursor() as cursor:
        await cursor.execute("set transaction isolation level repeatable read, read only")
        await cursor.execute("set local search_path = pg_catalog, pg_temp")
        from_16 = conn.info.server_version >= _FIRST_WITH_MEMBERSHIP_OPTIONS
        await cursor.execute(_sql("logins"), {"become": "SET" if from_16 else "MEMBER"})
        rows = await cursor.fetchall()
        roles = sorted({row[0] for row in rows} | {role for row in rows for role in row[10]})
        await cursor.execute(_sql("reach"), {"roles": roles})
        reach = {row[0]: row[1:] for row in await cursor.fetchall()}
        await cursor.execute(_sql("relation_count"))
        [(relations,)] = await cursor.fetchall()
    logins = (_login(row, reach, relations) for row in rows)
    scored = (_standing(login) for login in logins)
    return tuple(sorted(scored, key=lambda each: (-each.score, each.name)))


def _login(row: tuple[Any, ...], reach: Mapping[str, tuple[Any, ...]], relations: int) -> Login:
    name, bootstrap, superuser, createrole, createdb, bypassrls, replication, *rest = row
    for_ever, expired, is_admin, roles, backends, seen = rest
    kind = login_kind(name, superuser=superuser)
    if is_admin:
        kind = "admin"
    elif bootstrap and kind != "human":
        kind = "system"
    powers = [
        power
        for power, has in (
            ("superuser", superuser),
            ("createrole", createrole),
            ("createdb", createdb),
            ("bypassrls", bypassrls),
            ("replication", replication),
        )
        if has
    ]
    acts_as = [name, *roles]
    reads, writes, owns = (
        len({n for role in acts_as if role in reach for n in reach[role][at]}) for at in range(3)
    )
    return Login(
        name=name,
        kind=kind,
        powers=(*powers, *(role for role in roles if role in _ALMIGHTY or role in _POINTS)),
        roles=tuple(role for role in roles if not role.startswith("pg_")),
        relations=relations,
        reads=relations if superuser else reads,
        writes=relations if superuser else writes,
        owns=owns,
        for_ever=for_ever,
        expired=expired,
        # What others' backends do is hidden from most admins; that they are there is not.
        last_seen=seen or (datetime.now(UTC) if backends else None),
    )


def _standing(login: Login) -> StandingLogin:
    return StandingLogin(
        name=login.name,
        kind=login.kind,
        score=score_of(login),
        privileges=tuple(_privileges(login)),
        last_seen=login.last_seen,
        reasons=tuple(_reasons(login)),
    )


def score_of(login: Login) -> int:
    """Return how much a login could do, from 0 (nothing) to 100 (everything): pure."""
    if login.expired:
        return 0
    if "superuser" in login.powers or _ALMIGHTY.intersection(login.powers):
        return 100
    score = sum(_POINTS.get(power, 0) for power in login.powers)
    score += _share(login.reads, login.relations, _READ_POINTS)
    score += _share(login.writes, login.relations, _WRITE_POINTS)
    score += _OWNER_POINTS if login.owns else 0
    score += _FOR_EVER_POINTS if login.for_ever and score else 0
    return min(score, 100)


def _share(part: int, whole: int, points: int) -> int:
    """Return the points for a part; a small part still counts for a quarter of them."""
    if not part or not whole:
        return 0
    return round(points * (0.25 + 0.75 * part / whole))


def _privileges(login: Login) -> Iterable[str]:
    yield from login.powers
    if login.reads:
        yield f"read {login.reads} of {login.relations} relations"
    if login.writes:
        yield f"write {login.writes} of {login.relations} relations"
    if login.owns:
        yield f"own {login.owns} of {login.relations} relations"
    for role in login.roles:
        yield f"role {role}"


def _reasons(login: Login) -> Iterable[str]:
    if login.expired:
        yield "its password has expired"
    if "superuser" in login.powers:
        yield "is a superuser: nothing is kept from it"
    elif almighty := sorted(_ALMIGHTY.intersection(login.powers)):
        yield f"holds {', '.join(almighty)}, which is as good as a superuser"
    else:
        yield from (_MEANING[power] for power in login.powers if power in _MEANING)
        if login.owns:
            yield f"acts as the owner of {login.owns} of {login.relations} relations"
        if login.writes:
            yield f"reads {login.reads} and writes {login.writes} of {login.relations} relations"
        elif login.reads:
            yield f"reads {login.reads} of {login.relations} relations"
        if login.roles:
            yield f"holds {', '.join(login.roles)}"
        if not login.reads and not login.writes and not login.powers:
            yield "can sign in, and read nothing of this database"
    if login.for_ever:
        yield "never expires"
    if login.last_seen:
        yield "is connected now"
