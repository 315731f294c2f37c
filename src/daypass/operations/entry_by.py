"""Make an entry in the name of whoever acts."""

from __future__ import annotations

from daypass.audit.entry import Entry, EntryKind, Json
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Actor


def entry_by(
    actor: Actor | None, kind: EntryKind, *, database_id: DatabaseId | None = None, **content: Json
) -> Entry:
    """Return an entry that says who acted from where; None is Daypass by itself."""
    return Entry(
        kind=kind,
        actor_id=actor.id if actor else None,
        address=actor.address if actor else "",
        application=actor.application if actor else "",
        database_id=database_id,
        content=content,
    )
