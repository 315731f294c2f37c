"""Tell the rest of Daypass that what scopes of a database rest on has changed."""

from __future__ import annotations

from daypass.domain.ids import DatabaseId
from daypass.store.database import Tx
from daypass.store.databases import raise_facts_revision
from daypass.store.jobs import Task, enqueue


async def facts_changed(tx: Tx, database_id: DatabaseId) -> int:
    """Raise the database's facts revision and have its live grants compiled again.

    Call it after the change and in its transaction; returns the new revision.
    """
    revision = await raise_facts_revision(tx, database_id)
    # Never `once`: a task that waits now may start before this transaction commits, see the old
    # facts, and would have made the one that sees the new ones needless.
    await enqueue(
        tx, Task.RECOMPILE_GRANTS, lock=f"recompile:{database_id}", database_id=int(database_id)
    )
    return revision
