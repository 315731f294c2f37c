"""Run the demo: a control plane, the sample company's production server, and everything between."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from daypass.app import Running, embedded_store, running
from daypass.demo.company.company import ADMIN, STANDING_LOGINS, load_company
from daypass.demo.sample import fill
from daypass.demo.state_folder import ADDRESSES, alone, is_used, read_json
from daypass.domain.errors import Unavailable
from daypass.domain.secret import Secret
from daypass.embedded import Cluster, EmbeddedError, find_binaries, free_port
from daypass.operations.secrets import SecretStore
from daypass.settings import ApiSettings, GatewaySettings, Settings

_PASSWORD_WORDS = 12
_GATEWAY_PORT = 7432


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that answers; `agent_token` is the sample agent's."""

    running: Running
    url: str
    target_port: int
    gateway: str
    password: Secret
    agent_token: Secret | None
    state_dir: Path


@asynccontextmanager
async def demo(
    state_dir: Path, *, customers: int, port: int, say: Callable[[str], None]
) -> AsyncIterator[Demo]:
    """Run the demo until the block ends; its state stays in the folder and is found again.

    Raises `AlreadyRunning` with the addresses of the one that runs.
    """
    addresses = state_dir / ADDRESSES
    with alone(state_dir):
        if is_used(state_dir):
            say(
                f"going on with what an earlier demo left in {state_dir} (--customers and sample"
                " data stay as they were); remove the folder to begin anew"
            )
        kept = _kept_secrets(state_dir / "secrets.json")
        settings = Settings(
            state_dir=state_dir,
            secret_key=f"file:{_key_file(state_dir)}",
            api=ApiSettings(port=port),
            # Any free one for whoever asked for any.
            gateway=GatewaySettings(port=_GATEWAY_PORT if port else 0, drain_s=2),
            reconcile_every_s=5,
            sync_every_s=60,
            log_level="warning",
        )
        say("starting the control plane's PostgreSQL")
        async with embedded_store(state_dir) as conninfo:
            say(f"starting the sample company's server ({customers:,} customers)")
            async with _target(state_dir, customers, kept) as target_port:
                async with running(settings, conninfo) as found:
                    say("adding people, tags and policy")
                    token = await fill(
                        found.ctx,
                        found.first_admin,
                        port=target_port,
                        admin_user=ADMIN,
                        admin_password=Secret(kept["admin"]),
                        password=Secret(kept["people"]),
                    )
                    if token is not None:
                        kept["agent_token"] = token.reveal()
                        _write(state_dir / "secrets.json", kept)
                    there = found.gateway
                    gateway = f"{there.host}:{there.port}" if there is not None else ""
                    _write(
                        addresses,
                        {
                            "url": found.url,
                            "target": f"127.0.0.1:{target_port}",
                            "gateway": gateway,
                        },
                    )
                    try:
                        yield Demo(
                            running=found,
                            url=found.url,
                            target_port=target_port,
                            gateway=gateway,
                            password=Secret(kept["people"]),
                            agent_token=(
                                Secret(kept["agent_token"]) if "agent_token" in kept else None
                            ),
                            state_dir=state_dir,
                        )
                    finally:
                        addresses.unlink(missing_ok=True)


@asynccontextmanager
async def _target(state_dir: Path, customers: int, kept: dict[str, str]) -> AsyncIterator[int]:
    port_file = state_dir / "target.port"

    def start() -> tuple[Cluster, int]:
        # The instance is known by its port: it stays the same while nobody else has it.
        wanted = int(port_file.read_text()) if port_file.exists() else free_port()
        cluster = Cluster(
            state_dir / "company",
            find_binaries(),
            port=wanted,
            settings={
                "max_connections": "100",
                "shared_buffers": "128MB",
                "max_prepared_transactions": "10",
            },
        )
        cluster.start()
        port_file.write_text(str(wanted))
        load_company(
            cluster.conninfo("postgres"),
            customers=customers,
            admin_password=kept["admin"],
            logins={name: kept[name] for name in STANDING_LOGINS},
        )
        return cluster, wanted

    try:
        cluster, port = await asyncio.to_thread(start)
    except EmbeddedError as error:
        raise Unavailable(
            f"the sample company's server does not start: {error}",
            next_step=f"if its port is taken for good, remove {state_dir} and start again",
        ) from error
    try:
        yield port
    finally:
        await asyncio.to_thread(cluster.stop)


def _key_file(state_dir: Path) -> Path:
    file = state_dir / "secret.key"
    if not file.exists():
        _write_text(file, base64.b64encode(SecretStore.new_key()).decode())
    return file


def _kept_secrets(file: Path) -> dict[str, str]:
    kept = read_json(file)
    for name in ("people", "admin", *STANDING_LOGINS):
        kept.setdefault(name, secrets.token_urlsafe(_PASSWORD_WORDS))
    _write(file, kept)
    return kept


def _write(file: Path, document: dict[str, str]) -> None:
    _write_text(file, json.dumps(document))


def _write_text(file: Path, text: str) -> None:
    """Write a file only its owner reads, whole or not at all."""
    draft = file.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    draft.replace(file)
