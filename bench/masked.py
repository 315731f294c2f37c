"""Queries through the views of a scope, against the same without masks and on the table itself.

One client for all: libpq, which keeps each result whole and converts nothing. What is sent through
views is the text as Daypass would forward it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from bench.figures import Figure, median, quantile
from bench.place import READ, Place
from daypass.domain.ids import GrantId
from daypass.domain.scope import AskedScope
from daypass.engines.contract import Verdict
from daypass.operations.authorize_session import find_candidates
from daypass.operations.consider import Ask
from daypass.operations.decide_request import decide_request
from daypass.operations.issue_credential import issue_credential
from daypass.operations.open_target import engine_of
from daypass.operations.release_grant import release_grant
from daypass.operations.request_access import request_access

_COLUMNS = "id, region, country, email, phone, birth_date"
_MASKED = {"email", "phone", "birth_date"}
_TABLE, _CLEAR, _MASKS, _FILTER = "table", "view", "masks", "filter"
_EU = "region = 'EU'"


@dataclass(frozen=True, slots=True)
class _Query:
    """What is compared: the ways `by`, the first of which the others are measured against.

    `on_table` is put for `where` on the table, where no view filters.
    """

    what: str
    where: str
    by: tuple[str, ...]
    times: int
    aim: float | None = None
    on_table: str = ""
    values: Sequence[bytes] = ()
    note: str = ""


def _queries(customers: int) -> tuple[_Query, ...]:
    some, many = min(1_000, customers), min(100_000, customers)
    point = (b"4711" if customers > 4711 else b"42",)
    three = (_TABLE, _CLEAR, _MASKS)
    return (
        _Query(f"{some:,} rows", f"id <= {some}", three, 20, 1.3),
        _Query(f"{many:,} rows", f"id <= {many}", three, 1, 1.3),
        _Query("one row by its key", f"id = {point[0].decode()}", three, 200),
        _Query("one row by its key, prepared", "id = $1", three, 200, values=point),
        _Query(
            f"{some:,} rows of one region (security barrier)",
            f"id <= {some}",
            (_TABLE, _FILTER),
            20,
            on_table=f"id <= {some} and {_EU}",
            note="masks and a row filter, against the filter alone on the table",
        ),
        _Query(
            f"{many:,} rows of one region (security barrier)",
            f"id <= {many}",
            (_TABLE, _FILTER),
            1,
            on_table=f"id <= {many} and {_EU}",
        ),
        _Query(
            "count by a pattern no barrier lets through",
            "country like 'N%'",
            (_TABLE, _CLEAR, _MASKS, _FILTER),
            1,
            note="on a column that is in clear; LIKE is not leakproof",
        ),
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to the rows: a connection, and what is put for the table's name."""

    connection: psycopg.Connection[tuple[object, ...]]
    relation: str

    def text(self, query: _Query, *, table: bool) -> str:
        where = query.on_table if table and query.on_table else query.where
        columns = "count(*)" if "like" in where else _COLUMNS
        return f"select {columns} from {self.relation} where {where}"  # noqa: S608 - our own

    def processor_s(self) -> float:
        """Return what the backend has taken of a processor so far."""
        stat = Path(f"/proc/{self.connection.info.backend_pid}/schedstat").read_text()
        return int(stat.split()[0]) / 1e9

    def run(self, text: str, query: _Query) -> int:
        """Run a query once, prepared if it has values, and return how many rows came."""
        pgconn = self.connection.pgconn
        if query.values:
            result = pgconn.exec_prepared(b"q", list(query.values))
        else:
            result = pgconn.exec_(text.encode())
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise RuntimeError(result.get_error_message())
        return result.ntuples


async def measure(place: Place) -> list[Figure]:
    """Open all the ways, measure by turns, and end them again."""
    dmitri = await place.actor("dmitri")
    # Else no login is handed out: it would open more than the shop.
    await asyncio.to_thread(
        place.company.sql, "revoke select on public.page_views from public", "metrics"
    )
    made: list[GrantId] = []
    with contextlib.ExitStack() as stack:
        owner = stack.enter_context(_connected(place.company.cluster.conninfo("shop")))
        owner.execute("set role shop_owner")
        ways = {_TABLE: _Way(owner, "sales.customers")}
        asked = AskedScope(READ, ("sales.customers",))
        for name, scope in (
            (_CLEAR, replace(asked, unmask=("sales.customers.*",))),
            (_MASKS, asked),
            (_FILTER, replace(asked, row_filters={"sales.customers": _EU})),
        ):
            grant_id = await _approved(place, scope)
            made.append(grant_id)
            (candidate,) = await find_candidates(place.ctx, dmitri, "prod/shop", grant_id)
            masked = {column.name for column in candidate.found.scope.masked_columns()}
            if masked & set(_COLUMNS.split(", ")) != (set() if name == _CLEAR else _MASKED):
                raise RuntimeError(f"{name}: policy masks {masked}")
            given = await issue_credential(place.ctx, dmitri, grant_id)
            conninfo = make_conninfo(
                host=given.host,
                port=given.port,
                dbname=given.database,
                user=given.user,
                password=given.password.reveal(),
            )
            prepared = engine_of(place.ctx, "postgres").prepare(
                "select * from sales.customers", candidate.found.plan
            )
            if prepared.verdict is not Verdict.FORWARD:
                raise RuntimeError(prepared.reason)
            relation = prepared.text.removeprefix("select * from ")
            ways[name] = _Way(stack.enter_context(_connected(conninfo)), relation)
        rounds = 5 if place.quick else 11
        figures = [
            each
            for query in _queries(place.customers)
            for each in await asyncio.to_thread(_compare, ways, query, rounds)
        ]
    for grant_id in made:
        await release_grant(place.ctx, dmitri, grant_id)
    await place.all_closed()
    return figures


async def _approved(place: Place, asked: AskedScope) -> GrantId:
    ask = Ask(database="prod/shop", asked=asked, reason="a measurement", direct_credentials=True)
    filed = await request_access(place.ctx, await place.actor("dmitri"), ask)
    await decide_request(place.ctx, await place.actor("samira"), filed.request_id, yes=True)
    [(number,)] = await place.world.rows(
        "select id from access_grant where request_id = %s", filed.request_id
    )
    return GrantId(int(str(number)))


@contextlib.contextmanager
def _connected(conninfo: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        # One backend at a time: workers of a parallel plan would share two processors with it.
        connection.execute("set max_parallel_workers_per_gather = 0")
        yield connection


def _compare(ways: dict[str, _Way], query: _Query, rounds: int) -> list[Figure]:
    """Run a query by all its ways in turns; ratios are within a round, and their median counts."""
    texts = {name: ways[name].text(query, table=name == _TABLE) for name in query.by}
    rows = set()
    for name in query.by:
        if query.values:
            ways[name].connection.pgconn.prepare(b"q", texts[name].encode())
        rows.add([ways[name].run(texts[name], query) for _ in range(6)][-1])
    if len(rows) != 1:
        raise RuntimeError(f"{query.what}: {rows} rows by different ways")
    took: dict[str, list[float]] = {name: [] for name in query.by}
    busy = dict.fromkeys(query.by, 0.0)
    for _ in range(rounds):
        for name in query.by:
            each = []
            before = ways[name].processor_s()
            for _ in range(query.times):
                started = time.perf_counter()
                ways[name].run(texts[name], query)
                each.append(time.perf_counter() - started)
            busy[name] += ways[name].processor_s() - before
            took[name].append(median(each))
    for name in query.by:
        if query.values:
            ways[name].connection.execute("deallocate q")
    figures = []
    against = query.by[0]
    for name in query.by[1:]:
        ratios = [one / other for one, other in zip(took[name], took[against], strict=True)]
        values = _of(ratios, busy[name] / busy[against])
        values[f"{name} ms"] = median(took[name]) * 1e3
        values[f"{against} ms"] = median(took[against]) * 1e3
        aims = {"ratio": query.aim} if query.aim is not None and name == _MASKS else {}
        figures.append(
            Figure("5", f"{query.what}: {name} / {against}", "", values, rounds, aims, query.note)
        )
    if {_CLEAR, _MASKS} <= set(query.by):
        ratios = [one / other for one, other in zip(took[_MASKS], took[_CLEAR], strict=True)]
        values = {
            "ratio": median(ratios),
            "from": quantile(ratios, 0.1),
            "to": quantile(ratios, 0.9),
        }
        aims = {"ratio": query.aim} if query.aim is not None else {}
        figures.append(Figure("5", f"{query.what}: {_MASKS} / {_CLEAR}", "", values, rounds, aims))
    return figures


def _of(ratios: list[float], processor: float) -> dict[str, float]:
    """Return the ratio of times on the clock, and of what the backends took of the processor."""
    return {
        "ratio": median(ratios),
        "from": quantile(ratios, 0.1),
        "to": quantile(ratios, 0.9),
        "processor": processor,
    }
