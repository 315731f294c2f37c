"""Everything that runs beside the API: the queue's worker and the loops."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress

import structlog
from procrastinate import App

from daypass.domain.errors import Error
from daypass.domain.ids import DatabaseId, InstanceId
from daypass.jobs.moments import Waker, listen, repeat, watch_moments
from daypass.jobs.tasks import register_tasks
from daypass.operations.close_sessions import close_abandoned
from daypass.operations.context import Context
from daypass.operations.reconcile_instance import reconcile_instance
from daypass.operations.send_messages import Channel, send_messages
from daypass.operations.yield_instance import advance_yields
from daypass.store import outbox
from daypass.store.jobs import Task, enqueue, worker_app
from daypass.store.processes import Hint, forget_process, note_process

_log = structlog.get_logger(__name__)

_HEARTBEAT_S = 3.0
_SILENT_S = 15.0
_YIELD_POLL_S = 2.0
_SHUTDOWN_S = 5.0


async def run_jobs(
    ctx: Context,
    channels: Mapping[str, Channel],
    *,
    concurrency: int,
    reconcile_every_s: float,
    sync_every_s: float,
) -> None:
    """Run until cancelled; work begun is finished within a few seconds, or taken up again later."""
    moments, messages = Waker(), Waker()
    app = worker_app(ctx.store.conninfo)
    register_tasks(app, ctx, messages)

    def heard(hint: Hint, _number: int) -> None:
        if hint in (Hint.GRANT_ENDED, Hint.MOMENTS_CHANGED):
            moments.wake()

    async def send() -> float | None:
        await send_messages(ctx, channels)
        async with ctx.store.connection() as connection:
            return await outbox.next_due_s(connection)

    async def reconcile() -> None:
        await close_abandoned(ctx, _SILENT_S)
        for instance_id in await _active_instances(ctx):
            try:
                await reconcile_instance(ctx, instance_id)
            except Error as error:
                _log.warning("reconcile_failed", instance=instance_id, error=error.message)

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
            await _beat(ctx)
            group.create_task(_heartbeat(ctx), name="heartbeat")
            group.create_task(listen(ctx, heard), name="listen")
            group.create_task(watch_moments(ctx, moments), name="moments")
            group.create_task(repeat("messages", messages, 5.0, send), name="messages")
            group.create_task(
                repeat("reconcile", Waker(), reconcile_every_s, reconcile), name="reconcile"
            )
            group.create_task(repeat("yields", Waker(), _YIELD_POLL_S, step_aside), name="yields")
            group.create_task(repeat("sync", Waker(), sync_every_s, sync), name="sync")
            group.create_task(_work(app, concurrency), name="worker")
    finally:
        with suppress(Error, TimeoutError):
            async with asyncio.timeout(_SHUTDOWN_S), ctx.store.transaction() as tx:
                await forget_process(tx, ctx.process_id)


async def _work(app: App, concurrency: int) -> None:
    async with app.open_async():
        await app.run_worker_async(
            concurrency=concurrency,
            install_signal_handlers=False,
            fetch_job_polling_interval=1.0,
            abort_job_polling_interval=5.0,
            shutdown_graceful_timeout=_SHUTDOWN_S,
            delete_jobs="successful",
        )


async def _beat(ctx: Context) -> None:
    async with ctx.store.transaction() as tx:
        await note_process(tx, ctx.process_id, "serve", socket.gethostname(), os.getpid())


async def _heartbeat(ctx: Context) -> None:
    async def beat() -> None:
        await _beat(ctx)

    await repeat("heartbeat", Waker(), _HEARTBEAT_S, beat)


async def _active_instances(ctx: Context) -> tuple[InstanceId, ...]:
    async with ctx.store.connection() as connection:
        cursor = await connection.execute("select id from instance where state = 'active'")
        return tuple(InstanceId(row[0]) for row in await cursor.fetchall())
