"""What a rule says of a session's statements: how they are recorded, and their bounds."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest

from daypass.operations.apply_policy import apply_policy
from tests.gateways import Gate
from tests.world import World

_POLICY = """
defaults: {{unclassified: clear}}
access:
  - name: everything
    when: "true"
    max_duration: 24h
    approve: automatic
    allow_unmask: true
    settings: ['*']
    {rule}
masking:
  - {{name: mails, columns: '"pii.email" in column.tags', mask: email}}
"""


async def under(here: World, rule: str) -> None:
    """Put a policy of one rule in force."""
    text = _POLICY.format(rule=rule)
    await apply_policy(here.ctx, await here.actor("samira"), {"policy.yaml": text})


async def recorded(here: World, text: str) -> dict[str, Any]:
    """Return what the audit log says of a statement once it is shipped there."""
    for _ in range(100):
        found = await here.rows(
            "select content from entry where kind = 'statement.started'"
            " and content->>'text' = %s order by id desc limit 1",
            text,
        )
        if found:
            content = found[0][0]
            assert isinstance(content, dict)
            return content
        await asyncio.sleep(0.05)
    raise AssertionError(f"{text!r} is not in the log")


async def asyncpg_at(gate: Gate, name: str) -> asyncpg.Connection:
    """Connect with asyncpg, which sends all it can in binary."""
    return await asyncpg.connect(
        host="127.0.0.1",
        port=gate.running.port,
        user=f"{name}@example.com",
        password=await gate.token(name),
        database="prod/shop",
        ssl=ssl.create_default_context(cafile=str(gate.certificate)),
    )


_BY_ID = "select status from sales.orders where id = $1"
_BY_MAIL = "select id from sales.customers where email = $1"


@pytest.mark.parametrize("keep", ["full", "hash", "none"])
async def test_parameters_are_recorded_as_the_rule_says(gate: Gate, keep: str) -> None:
    here = gate.world
    await under(here, f"record: {{parameters: {keep}}}")
    await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as connection:
        await connection.execute(_BY_ID.replace("$1", "%t"), ("4711",))
        await connection.execute(_BY_MAIL.replace("$1", "%s"), ("someone@example.com",))
    as_text = (await recorded(here, _BY_ID))["parameters"]
    by_mail = (await recorded(here, _BY_MAIL))["parameters"]
    other = await asyncpg_at(gate, "ada")
    try:
        await other.fetch(_BY_ID + " -- binary", 4711)
    finally:
        await other.close()
    binary = (await recorded(here, _BY_ID + " -- binary"))["parameters"]
    match keep:
        case "full":
            assert (as_text, binary) == (["4711"], ["\\x0000000000001267"])
        case "hash":
            assert len(as_text) == len(binary) == 1
            assert as_text[0].startswith("hmac-sha256:")
            assert binary[0].startswith("hmac-sha256:")
        case _:
            assert (as_text, binary) == ([], [])
    # Compared with a masked column: in clear under no rule.
    assert [each[:12] for each in by_mail] == ([] if keep == "none" else ["hmac-sha256:"])
    everything = json.dumps(await here.rows("select content::text from entry"))
    assert "someone@example.com" not in everything
    assert ("4711" in everything) is (keep == "full")


async def test_what_is_unmasked_is_recorded_in_clear(gate: Gate) -> None:
    here = gate.world
    await under(here, "record: {parameters: full}")
    await here.grant("ada", "sales.*", unmask=("sales.customers.email",))
    async with await gate.connect("ada") as connection:
        await connection.execute(_BY_MAIL.replace("$1", "%s"), ("someone@example.com",))
    assert (await recorded(here, _BY_MAIL))["parameters"] == ["someone@example.com"]


class _Disk:
    """A disk whose syncs wait to be let go."""

    def __init__(self) -> None:
        self.goes = threading.Event()
        self.asked = threading.Event()


@contextmanager
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Disk]:
    disk, really = _Disk(), os.fdatasync

    def sync(fd: int) -> None:
        disk.asked.set()
        if not disk.goes.wait(20):
            raise OSError(5, "nobody let it go")
        really(fd)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", sync)
        try:
            yield disk
        finally:
            disk.goes.set()


@pytest.mark.parametrize("strict", [True, False])
async def test_a_strict_rule_has_the_entry_on_disk_before_the_database_sees_the_statement(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    here = gate.world
    await under(here, f"record: {{strict: {str(strict).lower()}}}")
    number = await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as connection:
        await connection.execute("select 1")
        with slow_disk(monkeypatch) as disk:
            running = asyncio.create_task(
                connection.execute("select count(*), 'seen?' from sales.orders")
            )
            assert await asyncio.to_thread(disk.asked.wait, 10)
            await asyncio.sleep(0.5)
            seen = here.company.sql(
                "select count(*) from pg_stat_activity where query like '%seen?%'"
                f" and usename like 'dp_g_{number}_%'"
            )
            assert seen == [(0 if strict else 1,)]
            assert running.done() is not strict
            disk.goes.set()
            cursor = await asyncio.wait_for(running, 10)
            assert await cursor.fetchone() is not None
        # And it goes on as before: a pipeline, a copy, an error.
        async with connection.pipeline():
            cursors = [await connection.execute("select %s::int", (n,)) for n in range(20)]
        assert [await each.fetchone() for each in cursors] == [(n,) for n in range(20)]
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("select 1/0")


async def test_a_strict_session_ends_when_its_disk_fails_and_nothing_is_sent(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = gate.world
    await under(here, "record: {strict: true}")
    number = await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as connection:
        await connection.execute("select 1")

        def sync(_fd: int) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", sync)
            with pytest.raises(psycopg.OperationalError, match="journal"):
                await connection.execute("select count(*), 'unseen' from sales.orders")
    seen = here.company.sql(
        "select 1 from pg_stat_activity where query like '%unseen%'"
        f" and usename like 'dp_g_{number}_%'"
    )
    assert seen == []


async def test_the_rules_bounds_hold_and_are_told(gate: Gate) -> None:
    here = gate.world
    await under(here, "limits: {statement_timeout: 1s, rows: 100, bytes: 20000}")
    number = await here.grant("ada", "sales.*")
    async with await gate.connect("ada") as connection:
        cursor = await connection.execute("select id from sales.orders limit 100")
        assert len(await cursor.fetchall()) == 100
        for text, says in (
            ("select id from sales.orders limit 101", "100 rows"),
            ("select repeat('x', 30000)", "20000 bytes"),
            ("select pg_sleep(5)", f"grant {number} stops statements after 1 s"),
        ):
            with pytest.raises(psycopg.Error, match=says):
                await connection.execute(text.encode())
            # What stopped it does not reach what comes next.
            for n in range(5):
                cursor = await connection.execute("select pg_sleep(0.01), %s::int", (n,))
                assert (await cursor.fetchone() or ())[1] == n
    said = await gate.psql("ada", "-c", "select 1")
    assert "each statement may have 1 s, 100 rows, 20000 bytes" in said.err, said.err


async def test_a_denial_says_which_request_would_help(gate: Gate) -> None:
    here = gate.world
    await under(here, "on_connect: false")
    number = await here.grant("ada", "sales.orders")
    async with await gate.connect("ada") as connection:
        for text, asks in (
            ("delete from sales.orders", "-c delete -c select -t sales.orders"),
            (
                "select 1 from sales.orders o, billing.payments p where o.id = p.order_id",
                "-c select -t billing.payments -t sales.orders",
            ),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as denied:
                await connection.execute(text.encode())
            assert denied.value.diag.message_hint == (
                f"This session is under grant {number}. Ask for one that has it all: "
                f'daypass request prod/shop {asks} --reason "…"'
            )
    said = await gate.psql("ben", "-c", "select 1")
    assert 'daypass request prod/shop --for 1h --reason "…"' in said.err, said.err
