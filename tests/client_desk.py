"""A gateway with a grant of each kind, which all tests of clients share, and who connects by it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from daypass.domain.ids import GrantId
from daypass.domain.secret import Secret
from daypass.domain.statement_class import StatementClass as C
from daypass.engines.postgres.local_proxy import GatewayWay, LocalProxy
from daypass.operations.apply_policy import apply_policy
from tests.gateways import Gate, Said, gateway_on
from tests.story import policy_with
from tests.world import World

Found = dict[str, Any]

_FIRST = "access:\n"
ANYTHING = policy_with(
    (
        _FIRST,
        f"""{_FIRST}  - name: tests of clients
    when: 'request.reason == "a test" && request.unmask == []'
    max_duration: 4h
    approve: automatic
""",
    )
)
"""The sample's policy, with a rule before all others that opens any class, masked as ever."""

_WRITE = frozenset({C.EXPLAIN, C.SELECT, C.INSERT, C.UPDATE, C.DELETE})
KINDS: Mapping[str, frozenset[C]] = {
    "read": frozenset({C.EXPLAIN, C.SELECT}),
    "write": _WRITE,
    "export": frozenset({C.EXPLAIN, C.SELECT, C.EXPORT}),
    "load": _WRITE | {C.EXPORT, C.COPY_IN},
}
"""Grants by what they are for; each covers the schema `sales`."""


@dataclass(frozen=True)
class Desk:
    """A gateway, somebody's token, and a grant of each of `KINDS`."""

    gate: Gate
    token: str
    grants: Mapping[str, GrantId]

    @property
    def world(self) -> World:
        """Return what is behind the gateway."""
        return self.gate.world

    def options(self, kind: str, more: str = "") -> str:
        """Return the startup options that choose a grant."""
        return f"-c daypass.grant={self.grants[kind]} {more}".strip()

    def conninfo(self, kind: str, **more: str) -> str:
        """Return a connection string of libpq's under a grant of a kind."""
        given = {"options": self.options(kind), **more}
        return self.gate.conninfo("ada", self.token, **given)

    def environment(self, kind: str) -> dict[str, str]:
        """Return what programs of other makes are told by the environment."""
        assert self.gate.certificate is not None
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "LC_ALL": "C.UTF-8",
            "PGHOST": self.gate.running.host,
            "PGPORT": str(self.gate.running.port),
            "PGUSER": "ada@example.com",
            "PGDATABASE": "prod/shop",
            "PGPASSWORD": self.token,
            "PGOPTIONS": self.options(kind),
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(self.gate.certificate),
        }

    async def run(
        self,
        kind: str,
        *command: str,
        stdin: str = "",
        timeout_s: float = 60,
        but: Mapping[str, str] = MappingProxyType({}),
    ) -> Said:
        """Run a program whose environment leads it to the gateway; `but` changes what that says."""
        environment = {**self.environment(kind), **but}
        return await run_program(command, environment, stdin=stdin, timeout_s=timeout_s)


async def run_program(
    command: Sequence[str], environment: Mapping[str, str], *, stdin: str = "", timeout_s: float
) -> Said:
    """Run a program to its end, and end it when it takes too long."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return Said(process.returncode or 0, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def desk_on(here: World, state_dir: Path) -> AsyncIterator[Desk]:
    """Open a gateway and a grant of each kind."""
    await apply_policy(here.ctx, await here.actor("samira"), ANYTHING)
    async with gateway_on(here, state_dir) as gate:
        grants = {
            kind: await here.grant("ada", "sales.*", classes=classes)
            for kind, classes in KINDS.items()
        }
        yield Desk(gate, await gate.token("ada"), grants)


@contextlib.asynccontextmanager
async def local_port(desk: Desk, kind: str) -> AsyncIterator[Mapping[str, str]]:
    """Serve a grant at a local port, as `daypass proxy` does, and return how to get there."""
    assert desk.gate.certificate is not None
    way = GatewayWay(
        desk.gate.running.host,
        desk.gate.running.port,
        "ada@example.com",
        "prod/shop",
        desk.gate.certificate.read_text(),
        encrypted=True,
        asked=(("grant", str(desk.grants[kind])),),
    )
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    proxy = LocalProxy(way, lambda: Secret(desk.token), "")
    serving = asyncio.create_task(proxy.serve(0, ready.set_result))
    try:
        port = await asyncio.wait_for(ready, 5)
        yield {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGPASSWORD": "",
            "PGOPTIONS": "",
            "PGSSLMODE": "disable",
            "PGSSLROOTCERT": "",
        }
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


async def end_soon(desk: Desk, number: GrantId, *, sessions: int = 1, left_s: float = 1.0) -> None:
    """Move a grant's deadline close once so many sessions are open under it."""
    for _ in range(600):
        [(count,)] = await desk.world.rows(
            "select count(*) from session where grant_id = %s and state = 'open'", number
        )
        if count == sessions:
            break
        await asyncio.sleep(0.05)
    async with desk.world.ctx.store.transaction() as tx:
        await tx.execute(
            "update access_grant set deadline = clock_timestamp() + make_interval(secs => %s)"
            " where id = %s",
            (left_s, number),
        )
        await tx.execute("select pg_notify('daypass', %s)", (f"grant_moved {number}",))


async def checks_of(
    desk: Desk, ending: GrantId, *command: str, but: Mapping[str, str] = MappingProxyType({})
) -> Found:
    """Run a program of checks, end a grant under it, and return what each check found."""
    running = asyncio.create_task(desk.run("read", *command, but=but))
    await end_soon(desk, ending, left_s=1)
    outcome = await running
    assert outcome.code == 0, outcome.err
    return {
        name: each if "failed" in each else each["value"]
        for name, each in json.loads(outcome.out).items()
    }


def without_numbers(text: str) -> str:
    """Return a text with the names Daypass made replaced, which differ from run to run."""
    return re.sub(r"dp_(g|s|v)_[0-9a-z_]+", r"dp_\1_", text)
