"""The audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned
from daypass.api.pages import Page, PageQuery, before_number, page_of
from daypass.api.shapes import Out
from daypass.domain.ids import EntryId
from daypass.domain.principal import Capability
from daypass.operations.read_entries import EntryFilter, read_entries, read_entry
from daypass.store.entries import StoredEntry

routes = Routes("entries")


class EntryOut(Out):
    """One record of the audit log, and the digest of its canonical text.

    `database` is a path, `subject` the e-mail address of whom it is about.
    """

    id: int
    at: datetime
    kind: str
    actor: str | None
    on_behalf_of: str | None
    address: str
    application: str
    database_id: int | None
    request_id: int | None
    grant_id: int | None
    session_id: int | None
    rule: str | None
    content: dict[str, Any]
    digest: str
    database: str | None
    subject: str | None


class WholeEntryOut(EntryOut):
    """A record with its canonical text, which the digest is of."""

    canonical: str


class EntriesQuery(PageQuery):
    """Which entries to list; `kind` may be a group of kinds, such as `request`.

    Those of a grant are also those of its requests.
    """

    kind: str | None = Field(default=None, max_length=60, pattern=r"^[a-z_]+(\.[a-z_]+)?$")
    actor: str | None = Field(default=None, max_length=254, description="an e-mail address")
    database_id: int | None = Field(default=None, ge=1, lt=2**63)
    request_id: int | None = Field(default=None, ge=1, lt=2**63)
    grant_id: int | None = Field(default=None, ge=1, lt=2**63)


@routes.get(
    "/entries",
    RouteFacts(
        concerned("any principal: what it did itself; admin and auditor: all"), Capability.READ
    ),
)
async def list_all_entries(
    call: ThisCall, query: Annotated[EntriesQuery, Query()]
) -> Page[EntryOut]:
    """List entries of the audit log, newest first."""
    rows = await read_entries(
        call.ctx,
        call.actor,
        EntryFilter(
            kind=query.kind,
            actor=query.actor,
            database_id=query.database_id,
            request_id=query.request_id,
            grant_id=query.grant_id,
        ),
        before=before_number(query),
        limit=query.limit + 1,
    )
    return page_of(rows, query, entry_out, lambda row: row.id)


@routes.get(
    "/entries/{entry_id}",
    RouteFacts(
        concerned("any principal: what it did itself; admin and auditor: all"), Capability.READ
    ),
)
async def show_one_entry(
    call: ThisCall, entry_id: Annotated[int, Path(ge=1, lt=2**63, examples=[1])]
) -> WholeEntryOut:
    """Show one entry whole."""
    found = await read_entry(call.ctx, call.actor, EntryId(entry_id))
    return WholeEntryOut(**entry_out(found).model_dump(), canonical=found.canonical)


def entry_out(entry: StoredEntry) -> EntryOut:
    """Write an entry as the API shows it."""
    fields = {name: getattr(entry, name) for name in EntryOut.model_fields if name != "digest"}
    return EntryOut(**fields, digest=entry.digest.hex())
