"""Many grants on one database at once, each with a session: none fails, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor
from daypass.embedded import Cluster
from daypass.engines.contract import Session
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.close_grant import close_grant
from daypass.operations.open_session import open_session
from daypass.operations.reconcile_instance import reconcile_instance
from daypass.operations.release_grant import release_grant
from tests import servers as pg
from tests.conftest import lacking
from tests.people import person
from tests.world import CompanyServer, World, company_server, world

EACH = 10
"""Sessions of one person: as many as one may have at a time."""
RELATIONS = ("sales.orders", "sales.products", "billing.payments")
MEDIAN_MS = 20.0

_CATALOG = {
    "roles": "select oid, rolname from pg_authid order by 1",
    "memberships": "select roleid, member, grantor from pg_auth_members order by 1, 2, 3",
    "shared dependencies": "select dbid, classid, objid, refobjid, deptype from pg_shdepend"
    " order by 1, 2, 3, 4, 5",
    "schemas": "select oid, nspname, nspacl::text from pg_namespace"
    " where nspname !~ '^pg_(toast_)?temp_' order by 1",
    "relations": "select c.oid, relname, relacl::text from pg_class as c"
    " join pg_namespace as n on n.oid = relnamespace"
    " where nspname !~ '^pg_(toast_)?temp_' order by 1",
    "comments": "select objoid, description from pg_shdescription order by 1",
    "settings": "select * from pg_db_role_setting order by 1, 2",
}
_ACCOUNT = re.compile(r"dp_g_\d+_\d+")
_DURATION = re.compile(r"^duration: ([0-9.]+) ms")
_USAGE = re.compile(r"([0-9.]+) s user, ([0-9.]+) s system")


def _catalog(company: CompanyServer) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of the catalog that grants could leave something in."""
    return {name: company.sql(query) for name, query in _CATALOG.items()}


@pytest.fixture(scope="module")
def logged_company(pg_major: int) -> Iterator[CompanyServer]:
    """Start a company's server that logs what each statement takes."""
    binaries = pg.binaries_of(pg_major)
    if binaries is None:
        lacking(f"PostgreSQL {pg_major} is not installed")
    with company_server(binaries) as company:
        for setting, value in (
            ("logging_collector", "on"),
            ("log_destination", "jsonlog"),
            ("log_directory", "log"),
            ("log_filename", "statements.log"),
            ("log_min_duration_statement", "0"),
            ("log_rotation_size", "0"),
            ("log_statement_stats", "on"),
        ):
            company.sql(f"alter system set {setting} = '{value}'", "postgres")
        company.cluster.stop()
        company.cluster.start()
        yield company


@dataclass
class Crowd:
    """People with grants and sessions."""

    here: World
    people: list[Actor]
    grants: dict[GrantId, Actor] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=list)

    async def make(self, number: int) -> None:
        """Ask for a grant, open a session under it and use it."""
        actor = self.people[number // EACH]
        name = str(actor.principal.email).partition("@")[0]
        grant_id = await self.here.grant(name, RELATIONS[number % len(RELATIONS)])
        self.grants[grant_id] = actor
        (candidate,) = await find_candidates(self.here.ctx, actor, "prod/shop", grant_id)
        permit = await authorize_session(self.here.ctx, actor, candidate, kind="query")
        session = await open_session(self.here.ctx, permit, candidate.found.plan)
        self.sessions.append(session)
        table = RELATIONS[number % len(RELATIONS)].partition(".")[2]
        result = await session.execute(f"select count(*) from {table}")
        assert result.sqlstate == "", result.error
        assert result.rows[0][0] != "0"

    async def end(self, grant_id: GrantId) -> None:
        """Give a grant back; its session is still open, and cut."""
        await release_grant(self.here.ctx, self.grants[grant_id], grant_id)
        closed = await close_grant(self.here.ctx, grant_id)
        assert closed is not None

    async def are_cut(self) -> None:
        """Check that the server has closed every session."""
        for session in self.sessions:
            assert (await session.execute("select 1")).sqlstate in ("57P01", "08003")

    async def hang_up(self) -> None:
        """Close the clients' ends."""
        for session in self.sessions:
            await session.aclose()


async def _crowd(here: World, count: int) -> Crowd:
    admin = await here.actor("robin")
    return Crowd(
        here,
        [
            await person(here.ctx, admin, f"oncall-{n}@example.com", groups=frozenset({"oncall"}))
            for n in range(count // EACH)
        ],
    )


@dataclass(frozen=True)
class Spent:
    """What grants cost the server: its processor's time, and the time its statements took."""

    processor_ms: list[float]
    elapsed_ms: list[float]

    @property
    def text(self) -> str:
        """Return the medians in words."""
        return (
            f"{statistics.median(self.processor_ms):.1f} ms of its processor's time"
            f" ({statistics.median(self.elapsed_ms):.1f} ms elapsed, with all at once)"
        )


def _log(company: CompanyServer) -> str:
    return (company.cluster.data_dir / "log" / "statements.json").read_text(encoding="utf-8")


def _spent(text: str, count: int) -> Spent:
    """Return what each grant cost the server, from what its log grew by.

    A statement that does not say whose account it is about counts for all alike.
    """
    processor: dict[str, float] = defaultdict(float)
    elapsed: dict[str, float] = defaultdict(float)
    for line in text.splitlines():
        entry = json.loads(line)
        if entry.get("user") != "daypass_admin":
            continue
        message, detail = entry.get("message", ""), entry.get("detail", "")
        if took := _DURATION.match(message):
            _share(elapsed, message + detail, float(took[1]))
        elif message.endswith("STATISTICS") and (used := _USAGE.search(detail)):
            _share(processor, entry.get("statement", ""), sum(map(float, used.groups())) * 1000)
    return Spent(*(_with_shares(each, count) for each in (processor, elapsed)))


def _share(spent: dict[str, float], text: str, milliseconds: float) -> None:
    accounts = set(_ACCOUNT.findall(text)) or {""}
    for account in accounts:
        spent[account] += milliseconds / len(accounts)


def _with_shares(spent: dict[str, float], count: int) -> list[float]:
    everybodys = spent.pop("", 0.0) / count
    assert len(spent) == count
    return [each + everybodys for each in spent.values()]


async def _made_and_revoked(store: Cluster, company: CompanyServer, count: int) -> Spent:
    """Make and revoke as many grants at once; return what they cost the database."""
    async with world(store, company, connections=24) as here, contextlib.AsyncExitStack() as end:
        crowd = await _crowd(here, count)
        end.push_async_callback(crowd.hang_up)
        # Once, for what stays: the views' owner and a schema of Daypass's own.
        await crowd.make(0)
        await crowd.end(next(iter(crowd.grants)))
        await reconcile_instance(here.ctx, here.instance_id)
        before = _catalog(company)
        crowd.grants.clear()
        known = len(_log(company))

        started = time.monotonic()
        await asyncio.gather(*(crowd.make(number) for number in range(count)))
        made_s = time.monotonic() - started
        assert len(crowd.grants) == count
        seen = company.sql(
            "select count(distinct usename), count(*) from pg_stat_activity"
            " where usename ~ '^dp_g_'"
        )
        assert seen == [(count, count)]
        # One role for each kind of grant, whoever has one.
        assert company.sql("select count(*) from pg_roles where rolname ~ '^dp_s_'") == [
            (len(RELATIONS),)
        ]

        started = time.monotonic()
        await asyncio.gather(*(crowd.end(grant_id) for grant_id in list(crowd.grants)))
        revoked_s = time.monotonic() - started
        spent = _spent(_log(company)[known:], count)
        await crowd.are_cut()
        reconciled = await reconcile_instance(here.ctx, here.instance_id)
        assert reconciled.orphans + reconciled.intruders == ()
        assert len(reconciled.lost) == 0
        assert len(reconciled.scopes_removed) == len(RELATIONS)
        assert _catalog(company) == before
        states = await here.rows("select state, count(*) from access_grant group by 1")
        assert states == [("revoked", count + 1)]
    print(  # noqa: T201 - the figures that this is about
        f"\n{count} grants: made in {made_s:.1f} s, revoked in {revoked_s:.1f} s; each cost the"
        f" database {spent.text}"
    )
    return spent


async def test_sixty_at_once(store_cluster: Cluster, logged_company: CompanyServer) -> None:
    await _made_and_revoked(store_cluster, logged_company, 60)


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(900)
async def test_five_hundred_at_once(store_cluster: Cluster, logged_company: CompanyServer) -> None:
    spent = await _made_and_revoked(store_cluster, logged_company, 500)
    assert statistics.median(spent.processor_ms) < MEDIAN_MS
