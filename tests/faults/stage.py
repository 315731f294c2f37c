"""Everything a fault can hit, as real processes: two servers, a gateway, and proxies in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from daypass.domain.errors import Unavailable
from daypass.domain.ids import GrantId
from daypass.domain.statement_class import StatementClass
from daypass.embedded import Cluster
from daypass.jobs.worker import run_jobs
from daypass.operations.apply_policy import apply_policy
from tests import servers as pg
from tests.conftest import lacking
from tests.faults.gateway_process import State, Where
from tests.faults.proxy import Connection, Proxy, Trap
from tests.people import token_of
from tests.world import CompanyServer, World, company_server, world

_MAJOR = 15
_MARKS = """
    create schema faults authorization shop_owner;
    create table faults.marks (tag text not null, n integer not null);
    alter table faults.marks owner to shop_owner;
    -- What is committed is there after a kill.
    alter database shop set synchronous_commit = on;
"""
_POLICY = """
defaults: {unclassified: clear, duration: 1h}
access:
  - {name: faults, when: 'true', max_duration: 8h, approve: automatic, allow_unmask: true}
"""
CLASSES = frozenset(
    {
        StatementClass.SELECT,
        StatementClass.INSERT,
        StatementClass.COPY_IN,
        StatementClass.EXPORT,
    }
)


@dataclass(frozen=True)
class Servers:
    """The store's server and the customer's."""

    store: Cluster
    company: CompanyServer


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both, to be killed as it pleases."""
    store, target = pg.binaries_of(pg.STORE_MAJOR), pg.binaries_of(_MAJOR)
    if store is None or target is None:
        lacking(f"PostgreSQL {pg.STORE_MAJOR} and {_MAJOR} are not installed")
    # What is committed is there after a kill.
    sure = {"synchronous_commit": "on"}
    with (
        pg.running_server(store, max_connections=200, settings=sure) as cluster,
        company_server(target) as found,
    ):
        found.sql(_MARKS)
        yield Servers(cluster, found)


@dataclass
class Stage:
    """A Daypass whose gateway is another process, reached and reaching through proxies."""

    world: World
    servers: Servers
    target: Proxy
    store: Proxy
    token: str
    folder: Path
    traps: dict[str, tuple[bool, Trap]] = field(default_factory=dict)
    """By tag: whether it is of the connection to cancel by, and the trap."""
    process: asyncio.subprocess.Process | None = None
    port: int = 0

    def whose(self, connection: Connection) -> tuple[str, Trap | None]:
        """Return whose a connection to the target is."""
        if connection.said.cancels:
            for each in self.target.connections:
                if any(
                    message.name == "BackendKeyData" and message.raw[5:] == connection.said.cancels
                    for message in each.seen
                ):
                    of_cancel, trap = self.traps.get(each.tag, (False, None))
                    return f"{each.tag} cancel", trap if of_cancel else None
            return "nobody's", None
        tag = connection.said.startup.get("application_name", "")
        of_cancel, trap = self.traps.get(tag, (True, None))
        return tag, None if of_cancel else trap

    async def grant(self) -> GrantId:
        """Make a grant of its own for everything the scenes do."""
        return await self.world.grant("ada", "faults.marks", classes=CLASSES)

    async def deadline_in(self, grant_id: GrantId, seconds: float) -> None:
        """Bring a grant's deadline close, past what rules allow, and tell as an operation does."""
        async with self.world.ctx.store.transaction() as tx:
            await tx.execute(
                "update access_grant set deadline = clock_timestamp() + make_interval(secs => %s)"
                " where id = %s",
                (seconds, grant_id),
            )
            await tx.execute("select pg_notify('daypass', %s)", (f"grant_moved {grant_id}",))
            await tx.execute("select pg_notify('daypass', 'moments_changed 0')")

    async def on_target(self, query: str) -> list[tuple[object, ...]]:
        """Ask the customer's server as its superuser."""
        return await asyncio.to_thread(self.servers.company.sql, query)

    async def rows(self, query: LiteralString, *values: object) -> list[tuple[object, ...]]:
        """Ask the store, until it answers: it may just have been killed."""
        until = time.monotonic() + 10
        while True:
            try:
                return await self.world.rows(query, *values)
            except Unavailable:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.05)

    async def ask_gateway(self) -> State:
        """Return what the gateway holds now."""
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()
        line = await asyncio.wait_for(self.process.stdout.readline(), 10)
        return State(**json.loads(line))

    async def start_gateway(self) -> None:
        """Start the gateway's process, behind the proxy to the store."""
        conninfo = make_conninfo(
            "", **{**conninfo_to_dict(self.world.store_conninfo), "port": str(self.store.port)}
        )
        where = Where(conninfo, self.world.key.hex(), str(self.folder))
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.gateway_process", json.dumps(asdict(where))),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        assert line, (self.folder / "gateway.log").read_text()[-3000:]
        self.port = json.loads(line)["port"]

    async def stop_gateway(self, within_s: float = 20) -> float:
        """Have it drain, and return how long that took."""
        assert self.process is not None
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.communicate(), within_s)
        except TimeoutError:
            self.process.kill()
            await self.process.communicate()
            raise
        return time.monotonic() - began


@asynccontextmanager
async def staged(servers: Servers, folder: Path) -> AsyncIterator[Stage]:
    """Set the stage; nothing of it is left."""
    await asyncio.to_thread(folder.chmod, 0o700)
    company, store = servers.company, servers.store
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(world(store, company, connections=24))
        stage = Stage(here, servers, Proxy(("", 0), inner_accepts=False), None, "", folder)  # type: ignore[arg-type]
        stage.target = await stack.enter_async_context(
            Proxy(("127.0.0.1", company.port), inner_accepts=False, whose=stage.whose)
        )
        assert store.port is not None
        stage.store = await stack.enter_async_context(
            Proxy(("127.0.0.1", store.port), inner_accepts=False, reads=False)
        )
        await _prepared(stage)
        stack.push_async_callback(_back, stage)
        jobs = asyncio.create_task(
            run_jobs(here.ctx, {}, concurrency=16, reconcile_every_s=3600, sync_every_s=3600),
            name="jobs",
        )
        stack.push_async_callback(_ended, jobs)
        await stage.start_gateway()
        stack.push_async_callback(stage.stop_gateway)
        yield stage


async def _prepared(stage: Stage) -> None:
    here = stage.world
    await apply_policy(here.ctx, await here.actor("robin"), {"policy.yaml": _POLICY})
    await _led_to(stage, stage.target.port)
    stage.token = (await token_of(here.ctx, await here.actor("ada"))).secret.reveal()
    # What was copied from a template has lost steps of its sequences if it is killed before.
    with psycopg.connect(stage.servers.store.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("checkpoint")


async def _led_to(stage: Stage, port: int) -> None:
    async with stage.world.ctx.store.transaction() as tx:
        await tx.execute(
            "update instance set port = %s, revision = revision + 1, tls_mode = 'disable',"
            ' options = \'{"connect_timeout": "12"}\'',
            (port,),
        )


async def _back(stage: Stage) -> None:
    await _led_to(stage, stage.servers.company.port)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
