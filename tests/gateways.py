"""A gateway in front of the sample company, and its clients, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from daypass.domain.principal import Capability
from daypass.gateway.gateway import GatewayOptions
from daypass.gateway.listeners import listening_socket
from daypass.gateway.running import GatewayPlace, RunningGateway, running_gateway
from tests.people import token_of
from tests.world import World

PSQL = "/usr/lib/postgresql/15/bin/psql"
CONNECT = frozenset({Capability.CONNECT, Capability.REQUEST, Capability.READ})


@dataclass(frozen=True)
class Said:
    """What psql printed and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Gate:
    """A gateway that runs, with the world behind it."""

    world: World
    running: RunningGateway
    certificate: Path | None

    async def token(
        self,
        name: str,
        *capabilities: Capability,
        valid_for: timedelta = timedelta(hours=1),
    ) -> str:
        """Issue an access token to somebody of the sample company."""
        issued = await token_of(
            self.world.ctx,
            await self.world.actor(name),
            *(capabilities or CONNECT),
            valid_for=valid_for,
        )
        return issued.secret.reveal()

    def conninfo(self, name: str, token: str, database: str = "prod/shop", **more: str) -> str:
        """Return a connection string through the gateway."""
        secure = (
            {"sslmode": "verify-full", "sslrootcert": str(self.certificate)}
            if self.certificate is not None
            else {"sslmode": "disable"}
        )
        return make_conninfo(
            "",
            **{
                "host": self.running.host,
                "port": str(self.running.port),
                "user": name if "@" in name else f"{name}@example.com",
                "dbname": database,
                "password": token,
                **secure,
                **more,
            },
        )

    async def connect(
        self, name: str, token: str | None = None, database: str = "prod/shop", **more: str
    ) -> psycopg.AsyncConnection[tuple[object, ...]]:
        """Connect with psycopg, as somebody with an access token made for it."""
        token = token or await self.token(name)
        return await psycopg.AsyncConnection.connect(
            self.conninfo(name, token, database, **more), autocommit=True
        )

    async def psql(
        self,
        name: str,
        *arguments: str,
        token: str | None = None,
        database: str = "prod/shop",
        stdin: str = "",
        **more: str,
    ) -> Said:
        """Run psql through the gateway."""
        token = token or await self.token(name)
        process = await asyncio.create_subprocess_exec(
            PSQL,
            "-X",
            "-A",
            "-t",
            *arguments,
            self.conninfo(name, token, database, **more),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )
        out, err = await process.communicate(stdin.encode())
        return Said(process.returncode or 0, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def gateway_on(
    world: World, state_dir: Path, *, beats: bool = True, port: int = 0, **options: object
) -> AsyncIterator[Gate]:
    """Run a gateway of the world's in this process."""
    await asyncio.to_thread(state_dir.chmod, 0o700)
    given = GatewayOptions(drain_s=0.5)
    for key, value in options.items():
        given = _replaced(given, key, value)
    bound = listening_socket("127.0.0.1", port)
    place = GatewayPlace(state_dir=state_dir)
    with bound:
        async with running_gateway(
            world.ctx, world.ctx.engines["postgres"], [bound], place, given, beats=beats
        ) as found:
            yield Gate(world, found, found.certificate)


def _replaced(options: GatewayOptions, key: str, value: object) -> GatewayOptions:
    from dataclasses import replace

    return replace(options, **{key: value})  # type: ignore[arg-type]
