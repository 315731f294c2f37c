"""The job queue: work to do after a transaction, enqueued inside it."""

from __future__ import annotations

from enum import StrEnum

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued

from daypass.domain.secret import Secret
from daypass.store.database import Tx


class Task(StrEnum):
    """Names of the tasks; `daypass.jobs` runs them."""

    APPLY_GRANT = "daypass.apply_grant"
    CLOSE_SESSIONS = "daypass.close_sessions"
    MOVE_DEADLINE = "daypass.move_deadline"
    COLLECT_SCOPE = "daypass.collect_scope"
    RECOMPILE_GRANTS = "daypass.recompile_grants"
    SYNC_CATALOG = "daypass.sync_catalog"


# Deferring names tasks and runs on the caller's connection; this App never opens one of its own.
_deferring = App(connector=PsycopgConnector())


async def enqueue(
    tx: Tx, task: Task, *, lock: str | None = None, once: str | None = None, **arguments: int | str
) -> None:
    """Enqueue a task that starts once the transaction has committed, and not if it rolls back.

    Tasks with the same `lock` run one after another; with `once`, a task of that key that already
    waits makes this one needless.
    """
    deferrer = _deferring.configure_task(
        task.value, allow_unknown=True, lock=lock, queueing_lock=once, connection=tx
    )
    if once is None:
        await deferrer.defer_async(**arguments)
        return
    try:
        # What the unique key refuses must not undo the caller's transaction.
        async with tx.transaction():
            await deferrer.defer_async(**arguments)
    except AlreadyEnqueued:
        return


def worker_app(conninfo: Secret) -> App:
    """Return the app a worker runs, with a connector of its own."""
    return App(connector=PsycopgConnector(conninfo=conninfo.reveal(), min_size=1, max_size=4))
