"""Have scopes collected that nothing needs any more."""

from __future__ import annotations

from collections.abc import Iterable

from daypass.domain.ids import DatabaseId, ScopeHash
from daypass.operations.context import Context
from daypass.store import grants
from daypass.store.jobs import Task, enqueue


async def collect_spare_scopes(
    ctx: Context, scopes: Iterable[tuple[DatabaseId, ScopeHash]]
) -> None:
    """Enqueue the collection of those that no grant and no session needs.

    Call it after the transaction that ended the need has committed: of two that end the last needs
    at the same time, each sees the other's before. What a crash in between leaves, the reconciler
    collects.
    """
    for database_id, scope_hash in sorted(set(scopes)):
        async with ctx.store.transaction() as tx:
            if await grants.scope_needed(tx, database_id, scope_hash):
                continue
            name = f"scope:{database_id}:{scope_hash}"
            await enqueue(
                tx,
                Task.COLLECT_SCOPE,
                lock=name,
                once=name,
                database_id=database_id,
                scope_hash=scope_hash,
            )
