"""A gateway as a process of its own, which tells of itself over its standard input and output.

Started with a `Where` as JSON. Each line it reads is a question; the answer is a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from daypass.app import configure_logging
from daypass.domain.secret import Secret
from daypass.engines.postgres import PostgresEngine
from daypass.gateway import closing, reception
from daypass.gateway import gateway as gateway_module
from daypass.gateway.gateway import GatewayOptions
from daypass.gateway.listeners import listening_socket
from daypass.gateway.running import GatewayPlace, RunningGateway, running_gateway
from daypass.operations.context import Context
from daypass.operations.secrets import SecretStore
from daypass.operations.targets import Targets
from daypass.store.database import Store


@dataclass(frozen=True)
class Where:
    """What the process is started with; times are short, so that tests need not wait for long."""

    store_conninfo: str
    key: str
    state_dir: str
    handshake_s: float = 12.0
    dial_s: float = 60.0
    drain_s: float = 1.0
    stray_s: float = 20.0


async def run(where: Where) -> None:
    """Run until told to stop, by TERM."""
    reception.HANDSHAKE_S = where.handshake_s  # type: ignore[attr-defined]
    reception.DIAL_S = where.dial_s  # type: ignore[attr-defined]
    closing.STRAY_S = where.stray_s  # type: ignore[misc]
    closing._STRAYS_EVERY_S = 1.0  # type: ignore[misc]
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    store = Store(Secret(where.store_conninfo), min_size=4, max_size=24)
    await store.open()
    ctx = Context(
        store=store,
        engines={"postgres": PostgresEngine()},
        secrets=SecretStore(bytes.fromhex(where.key)),
        targets=Targets(),
    )
    options = GatewayOptions(tls="offered", per_person=2000, drain_s=where.drain_s)
    place = GatewayPlace(state_dir=Path(where.state_dir))
    try:
        with listening_socket("127.0.0.1", 0) as bound:
            async with running_gateway(
                ctx, ctx.engines["postgres"], [bound], place, options, beats=True
            ) as running:
                _say({"port": running.port})
                answering = asyncio.create_task(_answer(running), name="answering")
                await stopped.wait()
                answering.cancel()
        _say({"stopped": True})
    finally:
        await ctx.targets.aclose()
        await store.aclose()


async def _answer(running: RunningGateway) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        _say(asdict(state_of(running)))


@dataclass(frozen=True)
class State:
    """What the process holds at a moment."""

    sessions: int
    connections: int
    handshakes: int
    tasks: list[str]
    files: int
    journaled: int
    """The number of the last record that was written down."""
    resident_bytes: int


def state_of(running: RunningGateway) -> State:
    """Count what the process holds."""
    found = running.gateway
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return State(
        sessions=len(found.live),
        connections=found.places.open_count,
        handshakes=found.places.greeting_count,
        tasks=sorted(task.get_name() for task in asyncio.all_tasks()),
        files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        journaled=found._logs._journal.sequence,  # type: ignore[attr-defined]
        resident_bytes=pages * os.sysconf("SC_PAGE_SIZE"),
    )


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    configure_logging("warning")
    gateway_module._LAST_S = 2.0  # type: ignore[misc]
    uvloop.run(run(Where(**json.loads(sys.argv[1]))))
