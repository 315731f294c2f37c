"""pgcli through the gateway: its completions, its commands, its interrupt."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from tests.client_desk import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

_COMPLETIONS = """
import json, sys
from pgcli.pgexecute import PGExecute
from pgcli.completion_refresher import CompletionRefresher
from pgspecial import PGSpecial
def look(conninfo):
    executor = PGExecute(dsn=conninfo)
    kept = []
    refresher = CompletionRefresher()
    refresher._bg_refresh(executor, PGSpecial(), kept.append)
    completer = kept[0]
    return {
        "schemas": sorted(executor.schemata()),
        "tables": sorted(map(list, executor.tables())),
        "views": sorted(map(list, executor.views())),
        "columns": sorted(map(str, executor.table_columns())),
        "functions": sorted(map(str, executor.functions())),
        "types": sorted(map(list, executor.datatypes())),
        "keys": sorted(map(str, executor.foreignkeys())),
        "databases": sorted(executor.databases()),
        "casing": sorted(executor.casing()),
        "completed": sorted(completer.dbmetadata["tables"].get("sales", {})),
    }
print(json.dumps([look(each) for each in sys.argv[1:]]))
"""


def _home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "TERM": "dumb"}


async def test_it_completes_with_the_database_s_own_names(desk: Desk, tmp_path: Path) -> None:
    direct = make_conninfo(
        desk.world.company.cluster.conninfo("shop"),
        options="-c search_path=sales,public",
        sslmode="disable",
    )
    said = await desk.run(
        "read",
        sys.executable,
        "-c",
        _COMPLETIONS,
        desk.conninfo("read"),
        direct,
        but=_home(tmp_path),
    )
    assert said.code == 0, said.err
    through, without = map(_without_ours, json.loads(said.out))
    assert "customers" in through["completed"]
    for what, names in without.items():
        assert through[what] == names, what


def _without_ours(found: dict[str, list[object]]) -> dict[str, list[object]]:
    """Leave out Daypass's own schemas."""
    return {
        what: [each for each in names if "dp_v_" not in str(each) and "daypass" not in str(each)]
        for what, names in found.items()
    }


@pytest.mark.long
async def test_it_runs_commands_and_says_what_is_denied(desk: Desk, tmp_path: Path) -> None:
    said = await desk.run(
        "read",
        _pgcli(),
        "--less-chatty",
        "--no-password",
        *("-c", "select email from sales.customers order by id limit 1"),
        *("-c", "\\d sales.orders"),
        *("-c", "\\dt sales.*"),
        "--yes",
        *("-c", "delete from sales.orders"),
        but=_home(tmp_path),
    )
    assert "***@***" in said.out
    assert "customer_id" in said.out
    assert "support_tickets" in said.out
    assert "not delete" in said.out + said.err


@pytest.mark.long
async def test_its_interrupt_cancels(desk: Desk, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        _pgcli(),
        "--less-chatty",
        "-c",
        "select pg_sleep(20)",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**desk.environment("read"), **_home(tmp_path)},
    )
    running = (
        "select 1 from pg_stat_activity where query like '%pg_sleep(20)%' and state = 'active'"
        " and usename like 'dp_g_%'"
    )
    for _ in range(400):
        if desk.world.company.sql(running):
            break
        await asyncio.sleep(0.05)
    process.send_signal(2)
    await asyncio.wait_for(process.communicate(), 15)
    for _ in range(100):
        if not desk.world.company.sql(running):
            break
        await asyncio.sleep(0.05)
    assert desk.world.company.sql(running) == []


def _pgcli() -> str:
    return str(Path(sys.executable).with_name("pgcli"))
