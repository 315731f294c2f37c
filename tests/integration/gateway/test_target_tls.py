"""The way from the gateway to a target behind TLS: modes mean what they mean to libpq."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from daypass.domain.errors import Unavailable
from daypass.domain.secret import Secret
from daypass.engines.contract import SessionSpec, TargetAddress
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.target import PostgresTarget
from daypass.engines.postgres.wire_dial import PostgresLine, dial_line
from daypass.gateway.certificate import own_certificate
from daypass.operations.authorize_session import find_candidates
from daypass.operations.open_target import open_target
from tests.gateways import Gate
from tests.world import CompanyServer

SSL_OF_SESSIONS = (
    "select s.ssl, s.version from pg_stat_ssl s join pg_stat_activity a using (pid)"
    " where a.usename like 'dp_g_%'"
)


@pytest.fixture
def secured(company: CompanyServer, tmp_path: Path) -> Iterator[Path]:
    """Turn TLS on at the company's server, and return the certificate to trust."""
    made = own_certificate(tmp_path / "server", ("127.0.0.1",), moment=datetime.now(UTC))
    folder = company.cluster.data_dir
    for name in ("gateway.crt", "gateway.key"):
        there = folder / name
        shutil.copy(made.file.parent / name, there)
        owner = folder.stat()
        os.chown(there, owner.st_uid, owner.st_gid)
        there.chmod(0o600)
    company.sql("alter system set ssl_cert_file = 'gateway.crt'")
    company.sql("alter system set ssl_key_file = 'gateway.key'")
    company.sql("alter system set ssl = on")
    company.sql("select pg_reload_conf()")
    try:
        yield made.file
    finally:
        company.sql("alter system reset all")
        company.sql("select pg_reload_conf()")


@pytest.fixture
async def granted(gate: Gate) -> Gate:
    """Return a gateway with a grant of Ada's."""
    await gate.world.grant("ada", "sales.*")
    return gate


async def _instance(gate: Gate, mode: str, options: dict[str, str]) -> None:
    async with gate.world.ctx.store.transaction() as tx:
        await tx.execute(
            "update instance set tls_mode = %s, options = %s, revision = revision + 1",
            (mode, json.dumps(options)),
        )


async def test_modes_of_tls(secured: Path, granted: Gate, tmp_path: Path) -> None:
    here, token = granted.world, await granted.token("ada")
    for mode, root, encrypted in (
        ("disable", "", False),
        ("prefer", "", True),
        ("require", "", True),
        ("verify-ca", str(secured), True),
        ("verify-full", str(secured), True),
    ):
        await _instance(granted, mode, {"sslrootcert": root} if root else {})
        async with await granted.connect("ada", token) as connection:
            await connection.execute("select 1")
            [(ssl_on, version)] = here.company.sql(SSL_OF_SESSIONS)
            assert ssl_on is encrypted, mode
            assert (version == "TLSv1.3") is encrypted
            sleeping = asyncio.create_task(connection.execute("select pg_sleep(20)"))
            await asyncio.sleep(0.3)
            # The cancel goes by the same TLS.
            await connection.cancel_safe(timeout=5)
            with pytest.raises(psycopg.errors.QueryCanceled):
                await asyncio.wait_for(sleeping, 5)
        for _ in range(100):
            if not here.company.sql(SSL_OF_SESSIONS):
                break
            await asyncio.sleep(0.02)


async def test_a_target_that_cannot_be_trusted_is_not_dialled(
    secured: Path, granted: Gate, tmp_path: Path
) -> None:
    token = await granted.token("ada")
    other = own_certificate(tmp_path / "other", ("127.0.0.1",), moment=datetime.now(UTC)).file
    await _instance(granted, "verify-full", {"sslrootcert": str(other)})
    with pytest.raises(psycopg.OperationalError, match="cannot be reached"):
        await granted.connect("ada", token)
    await _instance(granted, "require", {"sslrootcert": str(other)})
    with pytest.raises(psycopg.OperationalError, match="cannot be reached"):
        await granted.connect("ada", token)
    # What promises something the gateway does not keep is not passed over.
    await _instance(granted, "require", {"channel_binding": "require"})
    with pytest.raises(psycopg.OperationalError, match="channel_binding"):
        await granted.connect("ada", token)
    await _instance(granted, "verify-full", {"sslrootcert": str(secured)})
    async with await granted.connect("ada", token) as connection:
        await connection.execute("select 1")


async def test_a_session_itself_is_not_dialled_where_it_must_not(
    secured: Path, granted: Gate, tmp_path: Path
) -> None:
    """Dial past the admin's own connections, which would fail first."""
    here = granted.world
    ada = await here.actor("ada")
    (candidate, *_) = await find_candidates(here.ctx, ada, "prod/shop")
    target = await open_target(here.ctx, here.instance_id)
    plan = candidate.found.plan
    assert isinstance(target, PostgresTarget)
    assert isinstance(plan, PostgresPlan)
    await target.apply(plan)
    other = own_certificate(tmp_path / "other", ("127.0.0.1",), moment=datetime.now(UTC)).file
    wrong_name = own_certificate(
        tmp_path / "named", ("db.example.com",), moment=datetime.now(UTC)
    ).file
    number = 900
    for mode, root, host, lets_in in (
        ("verify-full", str(secured), "127.0.0.1", True),
        ("verify-full", str(other), "127.0.0.1", False),
        ("verify-ca", str(other), "127.0.0.1", False),
        ("verify-ca", str(secured), "localhost", True),
        ("require", str(wrong_name), "127.0.0.1", False),
        ("require", "", "127.0.0.1", True),
        ("verify-full", str(tmp_path / "none.crt"), "127.0.0.1", False),
    ):
        number += 1
        address = replace(
            target._address, host=host, tls_mode=mode, options={"sslrootcert": root} if root else {}
        )
        spec = SessionSpec(f"dp_g_1_{number}", datetime.now(UTC) + timedelta(minutes=5))

        async def sign_in(
            password: Secret, address: TargetAddress = address, spec: SessionSpec = spec
        ) -> PostgresLine:
            return await dial_line(address, plan, spec, (), password)

        opening = target._dialler.open_by(plan, spec, timedelta(), sign_in)
        if lets_in:
            line = await opening
            assert line.transport.get_extra_info("ssl_object") is not None
            await line.aclose()
            await target.close((spec.account,))
        else:
            with pytest.raises(Unavailable) as refused:
                await opening
            assert refused.value.detail_code in ("target_unreachable", "target_tls"), mode
        # Whatever was made for it is gone again.
        assert not here.company.sql(f"select 1 from pg_roles where rolname = '{spec.account}'")


async def test_tls_that_is_required_and_not_there(granted: Gate) -> None:
    token = await granted.token("ada")
    # The admin's own connections are open already: only the session's is new.
    await _instance(granted, "require", {})
    with pytest.raises(psycopg.OperationalError, match="cannot be reached"):
        await granted.connect("ada", token)
    await _instance(granted, "disable", {})
    async with await granted.connect("ada", token) as connection:
        await connection.execute("select 1")
