"""What is worked out without asking anybody, on a database of 1,000 relations with 20 columns."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from bench.figures import Figure, spread
from bench.place import READ, Place
from daypass.domain.catalog import Catalog, ColumnName, Tags
from daypass.domain.scope import AskedScope
from daypass.engines.contract import Target
from daypass.operations.open_target import engine_of
from daypass.operations.policy_in_force import hold_policy
from daypass.policy.decide import decide
from daypass.policy.derivation import classify
from daypass.policy.facts import DatabaseFacts, RequestFacts
from daypass.policy.scope import resolve

_DATABASE = "wide"
_SCHEMAS = 10
_COLUMNS = 20


async def measure(place: Place) -> list[Figure]:
    """Make the database, read it, and work scopes out of it."""
    relations = 200 if place.quick else 1_000
    rounds = 5 if place.quick else 11
    await asyncio.to_thread(_make, place, relations)
    target = await place.target()
    try:
        reads, catalog = await _reads(target, 5)
        _check(catalog, relations)
        size = f"{relations:,} relations of {_COLUMNS} columns"
        figures = [spread("6", f"read the catalog, {size}", reads)]
        figures += await _worked_out(place, catalog, size, rounds)
    finally:
        # An admin's connection keeps a database from being dropped.
        await asyncio.to_thread(place.company.sql, f"drop database {_DATABASE} with (force)")
    return figures


async def _worked_out(place: Place, catalog: Catalog, size: str, rounds: int) -> list[Figure]:
    async with place.ctx.store.transaction() as tx:
        policy = (await hold_policy(tx)).policy
    ada = (await place.actor("ada")).principal
    database = DatabaseFacts(_DATABASE, "prod", "postgres", {"env": "prod"})
    tags = _tags(catalog)
    classified = classify(catalog, tags)
    asked = AskedScope(READ)
    resolution = resolve(policy, asked, ada, database, classified)
    engine = engine_of(place.ctx, "postgres")
    plan = engine.compile(resolution.scope, catalog, _DATABASE)
    wanted = min(len(resolution.scope.relations), 500)
    if wanted < 100:
        raise RuntimeError(f"only {wanted} relations in scope: {resolution.scope.left_out[:3]}")
    request = RequestFacts(
        ada, database, asked, timedelta(hours=1), resolution.relations, (), "why", "INC-42"
    )
    now = datetime.now(UTC)
    decision = decide(policy, request, now)
    text = "select c1, c2 from s1.t1 where c0 = 42"
    prepared = engine.prepare(text, plan)
    return [
        spread(
            "6",
            f"decide a request by {len(policy.access)} rules ({decision.outcome.value})",
            _timed(lambda: decide(policy, request, now), 200),
            unit="µs",
        ),
        spread("6", f"propagate tags, {size}", _timed(lambda: classify(catalog, tags), rounds)),
        spread(
            "6",
            f"resolve a scope of everything, {size}",
            _timed(lambda: resolve(policy, asked, ada, database, classified), rounds),
        ),
        spread(
            "6",
            f"compile it ({len(plan.describe()):,} statements)",
            _timed(lambda: engine.compile(resolution.scope, catalog, _DATABASE), rounds),
        ),
        spread(
            "6",
            f"judge a statement seen before ({prepared.verdict.value})",
            _timed(lambda: engine.prepare(text, plan), 500),
            unit="µs",
        ),
    ]


def _timed(work: Callable[[], object], times: int) -> list[float]:
    work()
    gc.collect()
    took = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return took


async def _reads(target: Target, times: int) -> tuple[list[float], Catalog]:
    read: Callable[[], Awaitable[Catalog]] = lambda: target.read_catalog(_DATABASE)  # noqa: E731
    catalog = await read()
    took = []
    for _ in range(times):
        started = time.perf_counter()
        catalog = await read()
        took.append(time.perf_counter() - started)
    return took, catalog


def _make(place: Place, relations: int) -> None:
    columns = ", ".join(f"c{number} text" for number in range(1, _COLUMNS))
    place.company.sql(f"create database {_DATABASE} owner shop_owner template template0")
    place.company.sql(f"grant connect, create on database {_DATABASE} to daypass_admin")
    place.company.sql(
        f"""
        do $$ begin
          set local role shop_owner;
          for s in 1 .. {_SCHEMAS} loop
            execute format('create schema s%s', s);
          end loop;
          for t in 1 .. {relations} loop
            execute format('create table s%s.t%s (c0 bigint primary key, {columns})',
              1 + t %% {_SCHEMAS}, t);
          end loop;
        end $$
        """.replace("%%", "%"),
        _DATABASE,
    )


def _check(catalog: Catalog, relations: int) -> None:
    wide = [each for each in catalog.relations if len(each.columns) == _COLUMNS]
    if len(wide) != relations:
        raise RuntimeError(f"{len(wide)} relations were read, {relations} made")


def _tags(catalog: Catalog) -> Tags:
    """Classify every column; one in five is personal."""
    kinds = ("pii.email", "pii.phone", "pii.national_id", "pii.card")
    names = [
        ColumnName(relation.name, column.name)
        for relation in catalog.relations
        for column in relation.columns
    ]
    columns = {
        name: frozenset({kinds[(index // 5) % len(kinds)]})
        for index, name in enumerate(names)
        if index % 5 == 1
    }
    return Tags({}, columns, frozenset(names))
