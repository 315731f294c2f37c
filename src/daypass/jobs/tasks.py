"""The tasks of the queue: each runs one operation, is idempotent, and is tried again."""

from __future__ import annotations

from collections.abc import Awaitable

import structlog
from procrastinate import App, BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

from daypass.domain.errors import NotFound
from daypass.domain.ids import DatabaseId, GrantId, ScopeHash, SessionId
from daypass.operations.apply_grant import apply_grant
from daypass.operations.apply_scope import collect_scope
from daypass.operations.close_sessions import close_session
from daypass.operations.context import Context
from daypass.operations.move_deadline import move_deadline
from daypass.operations.recompile_grants import recompile_grants
from daypass.operations.sync_catalog import sync_catalog
from daypass.store.jobs import Task

_log = structlog.get_logger(__name__)


class _Backoff(BaseRetryStrategy):
    """Wait 1, 2, 4 … seconds and never longer than `longest_s`; give up after `attempts`, if any.

    What must happen is also found again by polling: a task given up is not an obligation given up.
    """

    def __init__(self, longest_s: int, attempts: int | None = None) -> None:
        self._longest_s = longest_s
        self._attempts = attempts

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Say when to try again."""
        if self._attempts is not None and job.attempts >= self._attempts:
            return None
        wait_s = min(2 ** min(job.attempts, 10), self._longest_s)
        _log.warning(
            "task_failed", task=job.task_name, job=job.id, retry_in_s=wait_s, error=str(exception)
        )
        return RetryDecision(retry_in={"seconds": wait_s})


_FOR_EVER = _Backoff(longest_s=60)
_A_WHILE = _Backoff(longest_s=30, attempts=10)


async def unless_gone(task: Task, number: int, work: Awaitable[object]) -> None:
    """Do work for something that may have been removed since it was asked for: then none is left.

    Accounts to close are no such work: they stay on targets until they are closed.
    """
    try:
        await work
    except NotFound as gone:
        _log.info("task_needless", task=task.value, number=number, reason=gone.message)


def register_tasks(app: App, ctx: Context) -> None:
    """Give the worker's app every task of `store.jobs.Task`."""

    @app.task(name=Task.CLOSE_SESSIONS.value, retry=_FOR_EVER)
    async def _close(session_id: int) -> None:
        await close_session(ctx, SessionId(session_id))

    @app.task(name=Task.APPLY_GRANT.value, retry=_A_WHILE)
    async def _apply(grant_id: int) -> None:
        await unless_gone(Task.APPLY_GRANT, grant_id, apply_grant(ctx, GrantId(grant_id)))

    @app.task(name=Task.MOVE_DEADLINE.value, retry=_FOR_EVER)
    async def _move(grant_id: int) -> None:
        await move_deadline(ctx, GrantId(grant_id))

    @app.task(name=Task.COLLECT_SCOPE.value, retry=_FOR_EVER)
    async def _collect(database_id: int, scope_hash: str) -> None:
        await unless_gone(
            Task.COLLECT_SCOPE,
            database_id,
            collect_scope(ctx, DatabaseId(database_id), ScopeHash(scope_hash)),
        )

    @app.task(name=Task.RECOMPILE_GRANTS.value, retry=_FOR_EVER)
    async def _recompile(database_id: int) -> None:
        await unless_gone(
            Task.RECOMPILE_GRANTS, database_id, recompile_grants(ctx, DatabaseId(database_id))
        )

    @app.task(name=Task.SYNC_CATALOG.value, retry=_A_WHILE)
    async def _sync(database_id: int) -> None:
        await unless_gone(
            Task.SYNC_CATALOG, database_id, sync_catalog(ctx, None, DatabaseId(database_id))
        )
