"""The composition root: puts engines, store, API and jobs together and runs them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import structlog
import uvicorn
from psycopg import sql

from daypass.api.app import create_app
from daypass.domain.errors import Invalid, Unavailable
from daypass.domain.secret import Secret
from daypass.embedded import Cluster, EmbeddedError, find_binaries
from daypass.engines.contract import Engine
from daypass.engines.postgres import PostgresEngine
from daypass.gateway.gateway import GatewayOptions
from daypass.gateway.journal.limits import JournalLimits
from daypass.gateway.limits import ConnectionLimits
from daypass.gateway.listeners import listening_socket
from daypass.gateway.running import GatewayPlace, RunningGateway, running_gateway
from daypass.jobs.channels import MailChannel, WebhookChannel
from daypass.jobs.worker import run_jobs
from daypass.operations.context import Context
from daypass.operations.log_keys import log_keys
from daypass.operations.log_parts import PublishedLog
from daypass.operations.make_first_admin import FirstAdminOffer, offer_first_admin
from daypass.operations.secrets import SecretStore
from daypass.operations.send_messages import Channel
from daypass.operations.sequence_log import Sequencer
from daypass.operations.targets import Targets
from daypass.settings import Settings
from daypass.stopping import stop_signals
from daypass.store.database import Store
from daypass.store.log_folder import LogFolder
from daypass.store.migrate import migrate

STORE_DATABASE = "daypass"
_STOP_S = 10


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Where a gateway takes clients in; `certificate` is the file to know it by, if any."""

    host: str
    port: int
    certificate: Path | None


@dataclass(frozen=True, slots=True)
class Running:
    """A Daypass that answers: where, and the first admin's link while there is no admin."""

    ctx: Context
    url: str
    first_admin: FirstAdminOffer | None
    gateway: GatewayAddress | None = None


def engines() -> dict[str, Engine]:
    """Return every engine this Daypass knows, by name."""
    known: tuple[Engine, ...] = (PostgresEngine(),)
    return {engine.name: engine for engine in known}


def configure_logging(level: str) -> None:
    """Log JSON lines to standard error; secrets are a type that redacts itself."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    # What libraries log, the queue's worker first, is told in the same lines.
    of_libraries = logging.StreamHandler(sys.stderr)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[of_libraries])


def secret_store(settings: Settings) -> SecretStore:
    """Return the secrets' store. Raises `Invalid` without a key: nothing starts unsealed."""
    if not settings.secret_key:
        raise Invalid(
            "no secret key is set, and Daypass does not start without one",
            next_step="make one: (umask 077; openssl rand -base64 32 > KEYFILE); then set "
            "secret_key = 'file:/path/to/KEYFILE'",
            code="secret_key_missing",
        )
    text = SecretStore(SecretStore.new_key()).resolve(settings.secret_key, "secret_key").reveal()
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Invalid("the secret key is not base64", code="secret_key_wrong") from error
    return SecretStore(key)


@asynccontextmanager
async def embedded_store(state_dir: Path) -> AsyncIterator[Secret]:
    """Run the control plane's own PostgreSQL below the state folder; yield its conninfo."""

    def start() -> tuple[Cluster, Secret]:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        cluster = Cluster(state_dir / "store", find_binaries(), settings={"max_connections": "150"})
        cluster.start()
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
            known = connection.execute(
                "select from pg_database where datname = %s", (STORE_DATABASE,)
            )
            if known.fetchone() is None:
                connection.execute(
                    sql.SQL("create database {} template template0 encoding 'UTF8'").format(
                        sql.Identifier(STORE_DATABASE)
                    )
                )
        return cluster, Secret(cluster.conninfo(STORE_DATABASE))

    try:
        cluster, conninfo = await asyncio.to_thread(start)
    except EmbeddedError as error:
        raise Unavailable(f"the control-plane store does not start: {error}") from error
    try:
        yield conninfo
    finally:
        await asyncio.to_thread(cluster.stop)


def api_socket(host: str, port: int, *, exact: bool = False) -> socket.socket:
    """Bind the API to the port, or to the next free one unless it has to be `exact`ly this.

    Raises `Unavailable` when none of them is free.
    """
    try:
        return listening_socket(host, port, exact=exact, section="api")
    except Unavailable as error:
        if not exact:
            raise
        raise Unavailable(
            f"port {port} on {host} cannot be listened on, and with api.public_url set no other is"
            " tried: what leads people here would not find it",
            next_step="end what has the port, or set api.port and have the proxy lead there",
            code="port_taken",
        ) from error


class _Server(uvicorn.Server):
    """A server that says when it answers, and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none: uvicorn would end its own part alone."""
        yield


@asynccontextmanager
async def running(settings: Settings, conninfo: Secret) -> AsyncIterator[Running]:
    """Run API and jobs on a store until the block ends; everything begun is ended with it."""
    secrets = secret_store(settings)
    channels = _channels(settings, secrets)
    signers = log_keys(
        tuple(each for each in (settings.log.key, settings.log.previous_key) if each),
        secrets,
        None if settings.store.url else settings.state_dir,
    )
    parts = LogFolder(settings.log.folder or settings.state_dir / "log")
    await asyncio.to_thread(migrate, conninfo)
    async with AsyncExitStack() as stack:
        public = bool(settings.api.public_url)
        bound = stack.enter_context(api_socket(settings.api.host, settings.api.port, exact=public))
        host, port = bound.getsockname()[:2]
        url = settings.api.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
        store = Store(conninfo, max_size=settings.store.pool)
        await store.open()
        stack.push_async_callback(store.aclose)
        ctx = Context(
            store,
            engines(),
            secrets,
            Targets(),
            public_url=url.rstrip("/"),
            channels=tuple(sorted(channels)),
            log=PublishedLog(parts, tuple(each.verifier for each in signers)),
        )
        stack.push_async_callback(ctx.targets.aclose)
        for channel in channels.values():
            if isinstance(channel, WebhookChannel):
                stack.push_async_callback(channel.aclose)
        offer = await offer_first_admin(ctx)
        server = _Server(
            uvicorn.Config(
                create_app(ctx),
                log_config=None,
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=_STOP_S,
                server_header=False,
                # Without a proxy in front, who calls could say any address for its own.
                proxy_headers=public,
            )
        )
        async with asyncio.TaskGroup() as group:
            api = group.create_task(server.serve(sockets=[bound]), name="api")
            jobs = group.create_task(
                run_jobs(
                    ctx,
                    channels,
                    concurrency=settings.workers,
                    reconcile_every_s=settings.reconcile_every_s,
                    sync_every_s=settings.sync_every_s,
                    sequencer=Sequencer(ctx, parts, signers),
                ),
                name="jobs",
            )
            try:
                up = group.create_task(server.up.wait(), name="api-up")
                await asyncio.wait({api, up}, return_when=asyncio.FIRST_COMPLETED)
                up.cancel()
                async with AsyncExitStack() as open_gateway:
                    gateway = None
                    if settings.gateway.enabled:
                        gateway = _address_of(
                            await open_gateway.enter_async_context(
                                _gateway(ctx, settings, beats=False)
                            )
                        )
                    yield Running(ctx, url, offer, gateway)
            finally:
                server.should_exit = True
                jobs.cancel()
                with suppress(asyncio.CancelledError):
                    await jobs


@asynccontextmanager
async def _gateway(
    ctx: Context, settings: Settings, *, beats: bool, shared: bool = False
) -> AsyncIterator[RunningGateway]:
    wanted = settings.gateway
    bound = listening_socket(wanted.host, wanted.port, shared=shared)
    place = GatewayPlace(
        state_dir=settings.state_dir,
        public_host=wanted.public_host,
        public_port=wanted.public_port,
        certificate=wanted.certificate,
        key=wanted.key,
        journal=JournalLimits(limit_bytes=wanted.journal_bytes, limit_age_s=wanted.journal_age_s),
    )
    options = GatewayOptions(
        tls=wanted.tls,
        per_person=wanted.per_person,
        statements_per_s=wanted.statements_per_s,
        connects_per_minute=wanted.connects_per_minute,
        longest_wait=timedelta(seconds=wanted.longest_wait_s),
        drain_s=wanted.drain_s,
        limits=ConnectionLimits(
            connections=wanted.connections,
            per_place=wanted.per_address,
            handshakes=min(400, wanted.connections),
            handshakes_per_place=min(200, wanted.per_address),
        ),
    )
    with bound:
        async with running_gateway(
            ctx, ctx.engines["postgres"], [bound], place, options, beats=beats
        ) as found:
            yield found


def _channels(settings: Settings, secrets: SecretStore) -> dict[str, Channel]:
    channels: dict[str, Channel] = {}
    if settings.webhooks:
        channels["webhook"] = WebhookChannel(
            tuple((hook.url, secrets.resolve(hook.secret, "webhook")) for hook in settings.webhooks)
        )
    smtp = settings.smtp
    if smtp is not None:
        channels["smtp"] = MailChannel(
            host=smtp.host,
            port=smtp.port,
            sender=smtp.sender,
            user=smtp.user,
            password=secrets.resolve(smtp.password, "smtp") if smtp.password else None,
            tls=smtp.tls,
        )
    return channels


async def serve(settings: Settings, announce: Callable[[Running], Awaitable[None]]) -> None:
    """Run Daypass until it is told to stop; without a store of yours, on one of its own."""
    secrets = secret_store(settings)
    with stop_signals() as stopped:
        async with AsyncExitStack() as stack:
            if settings.store.url:
                conninfo = secrets.resolve(settings.store.url, "store")
            else:
                conninfo = await stack.enter_async_context(embedded_store(settings.state_dir))
            found = await stack.enter_async_context(running(settings, conninfo))
            if not stopped.is_set():
                await announce(found)
            await stopped.wait()


async def serve_gateway(
    settings: Settings, announce: Callable[[GatewayAddress], Awaitable[None]], *, shared: bool
) -> None:
    """Run a gateway alone until it is told to stop, beside a Daypass on the same store.

    `shared` binds to exactly the port of the settings, as other processes of this machine do.
    """
    secrets = secret_store(settings)
    if settings.store.url:
        conninfo = secrets.resolve(settings.store.url, "store")
    else:
        conninfo = await asyncio.to_thread(running_store, settings.state_dir)
    with stop_signals() as stopped:
        async with AsyncExitStack() as stack:
            store = Store(conninfo, max_size=settings.store.pool)
            await store.open()
            stack.push_async_callback(store.aclose)
            ctx = Context(
                store,
                engines(),
                secrets,
                Targets(),
                public_url=settings.api.public_url.rstrip("/"),
            )
            stack.push_async_callback(ctx.targets.aclose)
            found = await stack.enter_async_context(
                _gateway(ctx, settings, beats=True, shared=shared)
            )
            if not stopped.is_set():
                await announce(_address_of(found))
            await stopped.wait()


def free_gateway_port(settings: Settings) -> int:
    """Return a port that workers can share, which nobody else has: shared sockets overlook it."""
    with listening_socket(settings.gateway.host, settings.gateway.port) as free:
        port: int = free.getsockname()[1]
        return port


def _address_of(found: RunningGateway) -> GatewayAddress:
    return GatewayAddress(found.host, found.port, found.certificate)


def running_store(state_dir: Path) -> Secret:
    """Return the conninfo of the embedded store that another process runs below a state folder."""
    cluster = Cluster(state_dir / "store", find_binaries())
    if not cluster.is_running():
        raise Unavailable(
            f"no Daypass runs on {state_dir}, and a gateway alone starts no store",
            next_step="daypass serve first, or set store.url",
            code="store_away",
        )
    return Secret(cluster.conninfo(STORE_DATABASE))
