"""Everything that runs beside the API: the queue's worker and the loops."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
import structlog
from procrastinate import App

from daypass.cancelling import AGAIN_S, cancellable, heed_cancellation
from daypass.domain.errors import Conflict, Error
from daypass.domain.ids import DatabaseId, InstanceId
from daypass.jobs.moments import Waker, repeat, watch_moments
from daypass.jobs.tasks import register_tasks
from daypass.operations.close_sessions import close_abandoned
from daypass.operations.context import Context
from daypass.operations.reconcile_instance import reconcile_instance
from daypass.operations.remind_reviewers import remind_reviewers
from daypass.operations.send_messages import CHANNELS, Channel, send_messages
from daypass.operations.sequence_log import Sequencer
from daypass.operations.yield_instance import advance_yields
from daypass.store import outbox
from daypass.store.jobs import Task, enqueue, worker_app
from daypass.store.listening import listen
from daypass.store.processes import Hint, forget_process, note_process

_log = structlog.get_logger(__name__)

_HEARTBEAT_S = 3.0
_SILENT_S = 15.0
_YIELD_POLL_S = 2.0
_MESSAGES_POLL_S = 1.0
_REVIEWS_POLL_S = 60.0
_LOG_POLL_S = 0.5
_LOG_STANDSTILL_S = 30.0
_SHUTDOWN_S = 5.0


async def run_jobs(
    ctx: Context,
    channels: Mapping[str, Channel],
    *,
    concurrency: int,
    reconcile_every_s: float,
    sync_every_s: float,
    sequencer: Sequencer | None = None,
) -> None:
    """Run until cancelled; work begun is finished within a few seconds, or taken up again later."""
    await cancellable(
        _run(
            ctx,
            channels,
            concurrency=concurrency,
            reconcile_every_s=reconcile_every_s,
            sync_every_s=sync_every_s,
            sequencer=sequencer,
        ),
        again_s=3 * _SHUTDOWN_S,
    )


async def _run(
    ctx: Context,
    channels: Mapping[str, Channel],
    *,
    concurrency: int,
    reconcile_every_s: float,
    sync_every_s: float,
    sequencer: Sequencer | None,
) -> None:
    moments = Waker()
    messages = {name: Waker() for name in CHANNELS}
    known_to_lack: set[str] = set()
    app = worker_app(ctx.store.conninfo)
    register_tasks(app, ctx)

    def heard(hint: Hint, _number: int) -> None:
        if hint in (Hint.GRANT_ENDED, Hint.MOMENTS_CHANGED):
            moments.wake()
        elif hint is Hint.MESSAGES_WAIT:
            for waker in messages.values():
                waker.wake()

    async def send(name: str) -> float | None:
        sent = await send_messages(ctx, name, channels.get(name))
        if (sent.failed or sent.given_up) and (name in channels or name not in known_to_lack):
            known_to_lack.add(name)
            _log.warning(
                "messages_not_sent",
                channel=name,
                failed=sent.failed,
                given_up=sent.given_up,
                error=sent.problem,
            )
        async with ctx.store.connection() as connection:
            return await outbox.next_due_s(connection, name)

    async def reconcile() -> None:
        await asyncio.gather(*(_reconcile(ctx, each) for each in await _instances(ctx)))

    async def remind() -> None:
        await remind_reviewers(ctx)

    async def step_aside() -> None:
        for problem in await advance_yields(ctx):
            _log.warning("yield_failed", problem=problem)

    async def sync() -> None:
        async with ctx.store.transaction() as tx:
            cursor = await tx.execute(
                """
                select d.id from database d join instance i on i.id = d.instance_id
                where d.state = 'active' and i.state = 'active'
                """
            )
            for (number,) in await cursor.fetchall():
                database_id = DatabaseId(number)
                await enqueue(
                    tx,
                    Task.SYNC_CATALOG,
                    lock=f"sync:{database_id}",
                    once=f"sync:{database_id}",
                    database_id=database_id,
                )

    try:
        async with asyncio.TaskGroup() as group:

            def go_on(name: str, work: Coroutine[Any, Any, None], again_s: float = AGAIN_S) -> None:
                group.create_task(cancellable(work, again_s=again_s), name=name)

            await _beat(ctx)
            go_on("heartbeat", _heartbeat(ctx))
            go_on("listen", listen(ctx.store, heard))
            go_on("moments", watch_moments(ctx, moments))
            for name, waker in messages.items():
                loop = repeat(f"messages {name}", waker, _MESSAGES_POLL_S, partial(send, name))
                go_on(f"messages-{name}", loop)
            go_on("reviews", repeat("reviews", Waker(), _REVIEWS_POLL_S, remind))
            go_on("reconcile", repeat("reconcile", Waker(), reconcile_every_s, reconcile))
            go_on("yields", repeat("yields", Waker(), _YIELD_POLL_S, step_aside))
            go_on("sync", repeat("sync", Waker(), sync_every_s, sync))
            if sequencer is not None:
                go_on("log", repeat("log", Waker(), _LOG_POLL_S, partial(_sequence, sequencer)))
            go_on("worker", _work(app, concurrency), again_s=2 * _SHUTDOWN_S)
    finally:
        with suppress(Error, TimeoutError):
            async with asyncio.timeout(_SHUTDOWN_S), ctx.store.transaction() as tx:
                await forget_process(tx, ctx.process_id)


async def _work(app: App, concurrency: int) -> None:
    try:
        async with app.open_async():
            heed_cancellation()
            await app.run_worker_async(
                concurrency=concurrency,
                install_signal_handlers=False,
                fetch_job_polling_interval=1.0,
                abort_job_polling_interval=5.0,
                shutdown_graceful_timeout=_SHUTDOWN_S,
                delete_jobs="successful",
            )
    finally:
        # Cancelled while it opens, it leaves its connections open.
        await app.close_async()


async def _sequence(sequencer: Sequencer) -> None:
    try:
        await sequencer.run_round()
    except Conflict as error:
        # Somebody has to look; entries wait in the store meanwhile.
        _log.error("log_standstill", error=str(error))
        await asyncio.sleep(_LOG_STANDSTILL_S)


async def _beat(ctx: Context) -> None:
    async with ctx.store.transaction() as tx:
        await note_process(tx, ctx.process_id, "serve", socket.gethostname(), os.getpid())


async def _heartbeat(ctx: Context) -> None:
    async def beat() -> None:
        await _beat(ctx)

    await repeat("heartbeat", Waker(), _HEARTBEAT_S, beat)


async def _instances(ctx: Context) -> tuple[tuple[InstanceId, bool], ...]:
    """List every instance that may have something of ours, and whether it is still managed."""
    async with ctx.store.connection() as connection:
        cursor = await connection.execute("select id, state = 'active' from instance")
        return tuple((InstanceId(row[0]), row[1]) for row in await cursor.fetchall())


async def _reconcile(ctx: Context, instance: tuple[InstanceId, bool]) -> None:
    """Reconcile one instance; whatever is the matter with it concerns no other."""
    instance_id, managed = instance
    try:
        await close_abandoned(ctx, _SILENT_S, instance_id)
        if managed:
            await reconcile_instance(ctx, instance_id)
    except (Error, psycopg.Error, OSError) as error:
        _log.warning("reconcile_failed", instance=instance_id, error=str(error))
    except Exception:  # noqa: BLE001 - logged; the other instances are reconciled all the same
        _log.exception("reconcile_broken", instance=instance_id)
