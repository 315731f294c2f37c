"""Change a database's labels and owners: policy reads both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Conflict
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Actor, DaypassRole
from daypass.operations.add_instance import label_problems, raise_problems
from daypass.operations.context import Context, require_role
from daypass.operations.database_owner import managed_database
from daypass.operations.entry_by import entry_by
from daypass.operations.facts_changed import facts_changed
from daypass.store import databases, entries


async def change_database(
    ctx: Context,
    actor: Actor,
    database_id: DatabaseId,
    *,
    labels: Mapping[str, str] | None = None,
    owners: Sequence[str] | None = None,
    expected_revision: int | None = None,
) -> int:
    """Replace labels, owners or both; None leaves them. Return the facts revision.

    Only an admin: a label such as `env` decides which rules apply, an owner approves. Raises
    `Conflict` when the database's facts are no longer those of `expected_revision`.
    """
    require_role(actor, DaypassRole.ADMIN)
    if labels is not None:
        raise_problems("the labels cannot be set", label_problems("labels", labels))
    async with ctx.store.transaction() as tx:
        before = await managed_database(tx, database_id)
        if expected_revision not in (None, before.facts_revision):
            raise Conflict(
                f"{before.path} has changed since you looked at it",
                next_step="look again, then repeat the change",
                code="revision_conflict",
            )
        new_labels = dict(labels) if labels is not None else before.labels
        new_owners = sorted(set(owners)) if owners is not None else before.owners
        if new_labels == before.labels and new_owners == before.owners:
            return before.facts_revision
        await databases.set_labels(tx, database_id, new_labels)
        await databases.set_owners(tx, database_id, new_owners)
        revision = await facts_changed(tx, database_id)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.DATABASE_CHANGED,
                database_id=database_id,
                database=before.path,
                labels=new_labels,
                labels_before=before.labels,
                owners=new_owners,
                owners_before=before.owners,
            ),
        )
    return revision
