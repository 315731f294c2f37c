"""The same grant by two ways: through a gateway, and by a session made as the gateway makes its."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg

from daypass.domain.ids import GrantId
from daypass.domain.statement_class import StatementClass
from daypass.embedded import Cluster
from daypass.engines.contract import SessionSpec
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.relay_contract import RelayTarget
from daypass.operations.add_database import add_database
from daypass.operations.apply_policy import apply_policy
from daypass.operations.open_target import open_target
from daypass.operations.plan_grant import plan_grant
from daypass.store.grants import get_grant
from tests.gateways import Gate, gateway_on
from tests.splices.place import DATABASE
from tests.splices.raw import Wire
from tests.world import CompanyServer, World, world

CLASSES: Final = frozenset(
    StatementClass(each) for each in ("explain", "select", "insert", "update", "delete", "export")
)
_POLICY: Final = """
defaults: {unclassified: clear}
access:
  - name: splices
    when: 'request.reason == "a test"'
    max_duration: 8h
    allow_unmask: false
    approve: automatic
"""


@dataclass(frozen=True)
class Ways:
    """Both ways, and the plan of the grant they share."""

    gateway: Wire
    direct: Wire
    plan: PostgresPlan


@contextlib.asynccontextmanager
async def both_ways(
    store_cluster: Cluster, company: CompanyServer, state_dir: Path
) -> AsyncIterator[Ways]:
    """Grant somebody everything in the database of splices, and connect twice."""
    async with world(store_cluster, company, connections=16) as here:
        admin = await here.actor("robin")
        await add_database(here.ctx, admin, here.instance_id, DATABASE, labels={"env": "splices"})
        await apply_policy(here.ctx, admin, {"policy.yaml": _POLICY}, note="for splices")
        grant = await here.grant(
            "ada",
            classes=CLASSES,
            database=f"prod/{DATABASE}",
            duration=timedelta(hours=2),
        )
        async with gateway_on(here, state_dir, tls="offered") as gate:
            plan = await _plan(here, grant)
            async with _through(gate) as gateway, _direct(here, plan, grant) as direct:
                yield Ways(gateway, direct, plan)


async def _plan(here: World, grant_id: GrantId) -> PostgresPlan:
    async with here.ctx.store.transaction() as tx:
        grant = await get_grant(tx, grant_id)
        assert grant is not None
        plan = (await plan_grant(here.ctx, tx, grant)).plan
    assert isinstance(plan, PostgresPlan)
    return plan


@contextlib.asynccontextmanager
async def _through(gate: Gate) -> AsyncIterator[Wire]:
    """Let libpq sign in, and take its socket over."""
    token = await gate.token("ada", valid_for=timedelta(hours=2))
    conninfo = gate.conninfo("ada", token, f"prod/{DATABASE}", sslmode="disable")
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        taken = socket.socket(fileno=os.dup(connection.pgconn.socket))
        taken.setblocking(False)
        _, wire = await asyncio.get_running_loop().create_connection(Wire, sock=taken)
        try:
            yield wire
        finally:
            wire.close()


@contextlib.asynccontextmanager
async def _direct(here: World, plan: PostgresPlan, grant: GrantId) -> AsyncIterator[Wire]:
    target = await open_target(here.ctx, here.instance_id)
    assert isinstance(target, RelayTarget)
    account = f"dp_g_{grant}_999999"
    spec = SessionSpec(account, datetime.now(UTC) + timedelta(hours=2))
    line = await target.dial(plan, spec, (("application_name", ""),))
    wire = await Wire.over(line)
    try:
        yield wire
    finally:
        wire.close()
        await target.close((account,))
