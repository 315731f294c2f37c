"""What `daypass proxy` runs: put together apart from the rest, so that it starts at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from daypass.domain.secret import Secret
from daypass.engines.postgres.local_proxy import GatewayWay, LocalProxy, one_time_user
from daypass.stopping import hold_signals, stop_signals


async def serve_proxy(
    at: int,
    token: Secret,
    ready: Callable[[int, str], None],
    *,
    host: str,
    port: int,
    user: str,
    database: str,
    certificate: str,
    encrypted: bool,
    asked: tuple[tuple[str, str], ...],
    wait_s: float,
) -> None:
    """Lead local connections of this user from a port to a database until told to stop.

    `host` to `wait_s` say where to, see `GatewayWay`. `ready` is told the local port, and the user
    name to give where one is asked for. Signals that were held back are taken from here on, and
    held back again in the end.
    """
    way = GatewayWay(host, port, user, database, certificate, encrypted, asked, wait_s)
    asked_user = one_time_user()
    with stop_signals() as stopped:
        hold_signals(False)
        proxy = LocalProxy(way, lambda: token, asked_user)
        task = asyncio.create_task(
            proxy.serve(at, lambda there: ready(there, asked_user)), name="proxy"
        )
        stopping = asyncio.create_task(stopped.wait(), name="stopping")
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        hold_signals(True)
        stopping.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
