"""Many grants at a time, each with a session of its own: opened, ended together, closed."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from bench.figures import Figure, median, spread
from bench.place import Place, ask_for, set_on_target
from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor
from daypass.engines.contract import Session
from daypass.operations.apply_grant import apply_grant
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.open_session import open_session
from daypass.operations.release_grant import release_grant
from daypass.operations.request_access import request_access
from daypass.store import grants
from daypass.store.processes import Hint, tell

_DATABASE = "prod/shop"
_DURATION = re.compile(r"duration: ([0-9.]+) ms")
_ACCOUNT = re.compile(r"\bdp_g_\d+_\d+\b")
_LOGGED = {
    "log_min_duration_statement": "0",
    "log_line_prefix": "~%a~",
}


async def deadlines(place: Place) -> list[Figure]:
    """End 200 grants by one deadline, each with an open session, and read their receipts."""
    count = 40 if place.quick else 200
    ada = await place.actor("ada")
    made = await _grants(place, ada, count)
    opened = await _sessions(place, ada, made)
    deadline = datetime.now(UTC) + timedelta(seconds=5)
    # One by one, people's way, the first deadlines would come before the last ones are set.
    async with place.ctx.store.transaction() as tx:
        for grant_id in made:
            await grants.move_deadline(tx, grant_id, deadline)
        await tell(tx, Hint.MOMENTS_CHANGED)
    await (await place.target()).set_deadline([each.account for each in opened], deadline)
    left_s = (deadline - datetime.now(UTC)).total_seconds()
    if left_s < 1:
        raise RuntimeError("the deadline came before every grant had it")
    await asyncio.sleep(left_s)
    cut = await _cut(place, deadline)
    await place.all_closed()
    rows = await place.world.rows(
        """
        select extract(epoch from closed_at - due_at)::float8,
          extract(epoch from removed_at - due_at)::float8, terminated
        from receipt where grant_id = any(%s)
        """,
        list(made),
    )
    closed, removed = [float(str(row[0])) for row in rows], [float(str(row[1])) for row in rows]
    if len(rows) != count or any(row[2] != 1 for row in rows):
        raise RuntimeError("a session was not ended by its deadline")
    return [
        Figure("3", "deadline → no session left, all together", "s", {"last": cut}, count),
        spread(
            "3",
            "deadline → closed, by receipts",
            closed,
            unit="s",
            aims={"p99": 1.0},
            note="closed: no login, no backend, no membership",
        ),
        spread("3", "deadline → removed, by receipts", removed, unit="s"),
    ]


async def _cut(place: Place, deadline: datetime) -> float:
    """Return the seconds from the deadline until no backend of a session is left."""
    while True:
        [(left,)] = await asyncio.to_thread(
            place.company.sql, "select count(*) from pg_stat_activity where usename ~ '^dp_g_'"
        )
        moment = datetime.now(UTC)
        if not left:
            return (moment - deadline).total_seconds()
        await asyncio.sleep(0.02)


async def at_once(place: Place) -> list[Figure]:
    """Make, open, end and close 500 grants with a session each, as fast as they come."""
    count = 60 if place.quick else 500
    ada = await place.actor("ada")
    before = _catalog_rows(place)
    set_on_target(place.company, **_LOGGED)
    log_starts_at = place.company.cluster.log_file.stat().st_size
    try:
        started = time.perf_counter()
        made = await _grants(place, ada, count)
        made_s = time.perf_counter() - started
        started = time.perf_counter()
        opened = await _sessions(place, ada, made)
        opened_s = time.perf_counter() - started
        started = time.perf_counter()
        await asyncio.gather(*(release_grant(place.ctx, ada, each) for each in made))
        await place.all_closed()
        closed_s = time.perf_counter() - started
    finally:
        set_on_target(place.company, **dict.fromkeys(_LOGGED, ""))
    [(receipts,)] = await place.world.rows(
        "select count(*) from receipt where grant_id = any(%s) and terminated <= 1", list(made)
    )
    if receipts != count:
        raise RuntimeError(f"{count} grants gave {receipts} receipts")
    if (after := _catalog_rows(place)) != before:
        raise RuntimeError(f"the catalog had {before} rows of roles and views, now {after}")
    with place.company.cluster.log_file.open(errors="replace") as log:
        log.seek(log_starts_at)
        in_database, statements = admin_time(log, [each.account for each in opened])
    note = "wall time, all in one process that shares two processors with both servers"
    return [
        Figure("4", f"{count} grants made at once", "s", {"wall": made_s}, count),
        Figure("4", f"{count} sessions opened at once", "s", {"wall": opened_s}, count, note=note),
        Figure("4", f"{count} grants ended, closed and removed", "s", {"wall": closed_s}, count),
        Figure(
            "4",
            "admin's database time per grant",
            "ms",
            {
                "p50": median(in_database),
                "p99": sorted(in_database)[int(len(in_database) * 0.99)],
                "statements": median(statements),
            },
            count,
            {"p50": 20.0},
            "the server's own durations of every admin statement, shared by the accounts it names",
        ),
    ]


def admin_time(log: Iterable[str], accounts: list[str]) -> tuple[list[float], list[float]]:
    """Sum what the server's log says statements of the admin's took, by the account they name.

    One that names several counts for each with its share. Where parameters are logged, on a line of
    their own, the accounts stand there.
    """
    took: defaultdict[str, float] = defaultdict(float)
    number: defaultdict[str, float] = defaultdict(float)
    pending: float | None = None
    for line in log:
        if line.startswith("~"):
            admin = line.startswith("~daypass admin~")
            if admin and (match := _DURATION.search(line)):
                pending = float(match[1])
            elif not (admin and "DETAIL:" in line):
                pending = None
        if pending is not None and (named := set(_ACCOUNT.findall(line))):
            for account in named:
                took[account] += pending / len(named)
                number[account] += 1 / len(named)
            pending = None
    return [took[each] for each in accounts], [number[each] for each in accounts]


def _catalog_rows(place: Place) -> int:
    [(roles,)] = place.company.sql("select count(*) from pg_roles where rolname ~ '^dp_[gs]_'")
    [(views,)] = place.company.sql("select count(*) from pg_namespace where nspname ~ '^dp_v_'")
    return int(str(roles)) + int(str(views))


async def _grants(place: Place, actor: Actor, count: int) -> list[GrantId]:
    ask = ask_for("sales.customers", "sales.orders")
    filed = await asyncio.gather(*(request_access(place.ctx, actor, ask) for _ in range(count)))
    made = [each.grant_id for each in filed if each.grant_id is not None]
    if len(made) != count:
        raise RuntimeError("policy did not allow it by itself")
    return made


async def _sessions(place: Place, actor: Actor, made: list[GrantId]) -> list[Session]:
    await apply_grant(place.ctx, made[0])

    async def one(grant_id: GrantId) -> Session:
        (candidate,) = await find_candidates(place.ctx, actor, _DATABASE, grant_id)
        permit = await authorize_session(place.ctx, actor, candidate, kind="gateway", most=1000)
        return await open_session(place.ctx, permit, candidate.found.plan)

    return list(await asyncio.gather(*(one(each) for each in made)))
