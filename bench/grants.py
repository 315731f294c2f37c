"""Grants as policy allows them by itself, and approvals by people."""

from __future__ import annotations

import asyncio
import time

from bench.figures import Figure, spread
from bench.place import Place, ask_for
from bench.processor import Meter
from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor
from daypass.operations.decide_request import decide_request
from daypass.operations.release_grant import release_grant
from daypass.operations.request_access import request_access

_AT_ONCE = 8


async def measure(place: Place) -> list[Figure]:
    """Measure grants one after another, eight at a time, and approvals."""
    count = 40 if place.quick else 300
    ada, ben, dana = [await place.actor(name) for name in ("ada", "ben", "dana")]
    ask = ask_for("sales.orders")
    made: list[GrantId] = []

    async def make() -> float:
        started = time.perf_counter()
        filed = await request_access(place.ctx, ada, ask)
        took = time.perf_counter() - started
        if filed.grant_id is None:
            raise RuntimeError("policy did not allow it by itself")
        made.append(filed.grant_id)
        return took

    busy = Meter(place)
    with busy.running():
        alone = [await make() for _ in range(count)]
    figures = [
        spread("2", "grant made by policy, one after another", alone),
        busy.figure("2", "of each, with the work it causes", count),
    ]
    waiting = iter(range(count))
    took: list[float] = []

    async def maker() -> None:
        took.extend([await make() for _ in waiting])

    started = time.perf_counter()
    await asyncio.gather(*(maker() for _ in range(_AT_ONCE)))
    wall_s = time.perf_counter() - started
    figures.append(spread("2", f"grant made by policy, {_AT_ONCE} at a time", took))
    figures.append(
        Figure("2", f"grants made, {_AT_ONCE} at a time", "/s", {"rate": count / wall_s}, count)
    )
    await _end_all(place, ada, made)
    approvals: list[float] = []
    for _ in range(count // 2):
        filed = await request_access(place.ctx, ben, ask)
        started = time.perf_counter()
        decided = await decide_request(place.ctx, dana, filed.request_id, yes=True)
        approvals.append(time.perf_counter() - started)
        if decided.request.state != "approved":
            raise RuntimeError(f"the request is {decided.request.state}")
    figures.append(spread("2", "a yes that makes the grant", approvals))
    rows = await place.world.rows("select id from access_grant where state = 'active'")
    await _end_all(place, ben, [GrantId(number) for (number,) in rows])  # type: ignore[arg-type]
    return figures


async def _end_all(place: Place, actor: Actor, made: list[GrantId]) -> None:
    for grant_id in made:
        await release_grant(place.ctx, actor, grant_id)
    await place.all_closed()
