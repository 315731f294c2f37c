"""From asking to the first row of a masked query, where policy allows it by itself."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace

from bench.figures import Figure, spread
from bench.place import Place, ask_for, narrowed
from bench.processor import Meter
from daypass.domain.ids import GrantId
from daypass.domain.scope import AskedScope
from daypass.operations.apply_grant import apply_grant
from daypass.operations.apply_scope import collect_scope
from daypass.operations.consider import Ask
from daypass.operations.release_grant import release_grant
from daypass.operations.request_access import request_access
from daypass.operations.run_query import run_query

_QUERY = "select full_name, email, phone, region from sales.customers where id = 42"
_AIMS = {"p50": 50.0, "p99": 150.0}
_WARM_UP = 10
_TOGETHER = 10


async def measure(place: Place) -> list[Figure]:
    """Measure a shared scope in process and over HTTP by turns, then scopes made for the first."""
    rounds = 30 if place.quick else 210
    one = ask_for("sales.customers")
    ada = await place.actor("ada")
    # Somebody else's grant of the same scope keeps it made.
    held = await request_access(place.ctx, ada, one)
    if held.grant_id is None:
        raise RuntimeError("policy did not allow it by itself")
    await apply_grant(place.ctx, held.grant_id)
    direct: list[float] = []
    http: list[float] = []
    asking: list[float] = []
    busy, busy_http, closing = Meter(place), Meter(place), Meter(place)
    for first in range(0, rounds, _TOGETHER):
        done: list[GrantId] = []
        for number in range(first, first + _TOGETHER):
            warm = number >= _WARM_UP or place.quick
            with busy.running() if warm else nullcontext():
                took, grant_id, asked = await _directly(place, one)
            done.append(grant_id)
            await place.all_closed()
            with busy_http.running() if warm else nullcontext():
                took_http, grant_id = await _over_http(place, one)
            done.append(grant_id)
            # Its session is closed behind it: others' measurements are not to pay for that.
            await place.all_closed()
            if warm:
                direct.append(took)
                asking.append(asked)
                http.append(took_http)
        with closing.running():
            await _end(place, *done)
    await _end(place, held.grant_id)
    figures = [
        spread("1", "request → first row, scope shared, in process", direct, aims=_AIMS),
        spread("1", "   of which asking", asking),
        busy.figure("1", "of both, in process", len(direct)),
        closing.figure("1", "of ending a grant until its receipt, 20 together", 2 * rounds),
        spread(
            "1",
            "request → first row, scope shared, two HTTP calls",
            http,
            aims=_AIMS,
            note="the client runs in the server's process and shares its processor",
        ),
        busy_http.figure("1", "of both, with the HTTP client", len(http)),
    ]
    cold = 10 if place.quick else 30
    seconds = []
    for number in range(cold):
        ask = narrowed(one, "sales.customers", f"id < {1_000_000 + number}")
        took, grant_id, _ = await _directly(place, ask)
        seconds.append(took)
        await _end(place, grant_id)
    figures.append(
        spread("1", "request → first row, first of its scope, 1 relation", seconds, aims=_AIMS)
    )
    seconds = []
    wide = replace(one, asked=AskedScope(frozenset()), profile="oncall-read")
    for _ in range(cold):
        await _nothing_made(place)
        took, grant_id, _ = await _directly(place, wide)
        seconds.append(took)
        last = await place.world.rows("select jsonb_array_length(scope->'relations') from plan")
        await _end(place, grant_id)
    figures.append(
        spread(
            "1",
            f"request → first row, first of its scope, {last[0][0]} relations (oncall-read)",
            seconds,
            aims=_AIMS,
        )
    )
    return figures


async def _directly(place: Place, ask: Ask) -> tuple[float, GrantId, float]:
    ada = await place.actor("ada")
    started = time.perf_counter()
    filed = await request_access(place.ctx, ada, ask)
    asked = time.perf_counter() - started
    if filed.grant_id is None:
        raise RuntimeError(f"policy did not allow it by itself: {filed.decision}")
    outcome = await run_query(place.ctx, ada, "prod/shop", _QUERY, grant_id=filed.grant_id)
    took = time.perf_counter() - started
    _check(outcome.result.row_count, outcome.masked)
    return took, filed.grant_id, asked


async def _over_http(place: Place, ask: Ask) -> tuple[float, GrantId]:
    body = {
        "database": "prod/shop",
        "classes": sorted(each.value for each in ask.asked.classes),
        "relations": list(ask.asked.relations),
        "duration": "1h",
        "reason": ask.reason,
        "ticket": ask.ticket,
    }
    started = time.perf_counter()
    filed = (await place.api.post("/api/v1/requests", json=body)).raise_for_status().json()
    query = {"database": "prod/shop", "text": _QUERY, "grant_id": filed["grant_id"]}
    answer = (await place.api.post("/api/v1/query", json=query)).raise_for_status().json()
    took = time.perf_counter() - started
    _check(answer["row_count"], tuple(answer["masked"]))
    return took, GrantId(filed["grant_id"])


def _check(rows: int, masked: tuple[str, ...]) -> None:
    if rows != 1 or masked != ("full_name", "email", "phone"):
        raise RuntimeError(f"the query gave {rows} rows, masked {masked}")


async def _end(place: Place, *grant_ids: GrantId) -> None:
    ada = await place.actor("ada")
    for each in grant_ids:
        await release_grant(place.ctx, ada, each)
    await place.all_closed()


async def _nothing_made(place: Place) -> None:
    """Collect whatever scope is still made."""
    for database_id, scope_hash in await place.world.rows(
        "select database_id, scope_hash from plan"
    ):
        await collect_scope(place.ctx, database_id, scope_hash)  # type: ignore[arg-type]
