"""Ship a gateway's journal into the store: in order, exactly once, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Conflict
from daypass.store import entries, journals
from daypass.store.database import Store


class JournaledRecord(Protocol):
    """One record: `body` is an entry as canonical JSON."""

    @property
    def sequence(self) -> int:
        """Return its number in the journal, from 1 and without gaps."""

    @property
    def body(self) -> bytes:
        """Return its text."""


class ShippedJournal(Protocol):
    """What shipping needs of a journal."""

    @property
    def id(self) -> uuid.UUID:
        """Return what names it in the store."""

    @property
    def sequence(self) -> int:
        """Return the number of its last record."""

    def read(self, after: int) -> Sequence[JournaledRecord]:
        """Return some of the records after one, in order: those that no crash takes back."""

    def acknowledge(self, sequence: int) -> None:
        """Take note that records up to one are in the store."""


class ShippingContext(Protocol):
    """What shipping needs of a context: no secrets, no targets."""

    @property
    def store(self) -> Store:
        """Return the store."""

    @property
    def process_id(self) -> uuid.UUID:
        """Return what names the gateway's process in the store."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """How many records were shipped, and the last of the journal that is in the store."""

    count: int
    last_sequence: int


async def ship_journal(ctx: ShippingContext, journal: ShippedJournal) -> Shipped:
    """Ship what a journal holds on disk; a journal the store does not know is noted first.

    Raises `Conflict` (`journal_short`) when the store has more of it than the journal itself:
    somebody has taken records away, or put back an older copy.
    """
    last = await _noted(ctx, journal)
    journal.acknowledge(last)
    count = 0
    while records := await asyncio.to_thread(journal.read, last):
        texts = await asyncio.to_thread(_texts, records)
        async with ctx.store.transaction() as tx:
            held = await journals.hold_journal(tx, journal.id)
            if held is None:
                raise RuntimeError("a journal that was noted is gone")
            last = await journals.append_records(tx, held, records[0].sequence, texts)
            count += last - held.last_sequence
        # Not before it is committed: until then the journal alone has them.
        journal.acknowledge(last)
    return Shipped(count, last)


async def close_journal(ctx: ShippingContext, journal: ShippedJournal) -> None:
    """Note that a journal is wholly in the store and ends there.

    Raises `Conflict` when it is not.
    """
    async with ctx.store.transaction() as tx:
        held = await journals.hold_journal(tx, journal.id)
        if held is None or held.last_sequence != journal.sequence:
            raise Conflict(
                f"journal {journal.id} is not wholly in the store", code="journal_unshipped"
            )
        if await journals.close_journal(tx, journal.id):
            await entries.append(tx, _entry(EntryKind.JOURNAL_CLOSED, held.host, journal))


async def _noted(ctx: ShippingContext, journal: ShippedJournal) -> int:
    async with ctx.store.transaction() as tx:
        known = await journals.get_journal(tx, journal.id)
        if known is None:
            host = socket.gethostname()
            if await journals.insert_journal(tx, journal.id, ctx.process_id, host):
                await entries.append(tx, _entry(EntryKind.JOURNAL_OPENED, host, journal))
            return 0
    if known.last_sequence > journal.sequence:
        raise Conflict(
            f"journal {journal.id} ends at record {journal.sequence}, but the store has it up to"
            f" {known.last_sequence}: records were taken away, or an older copy put back",
            code="journal_short",
        )
    return known.last_sequence


def _entry(kind: EntryKind, host: str, journal: ShippedJournal) -> Entry:
    last = 0 if kind is EntryKind.JOURNAL_OPENED else journal.sequence
    return Entry(kind, content={"journal": str(journal.id), "host": host, "last_sequence": last})


def _texts(records: Sequence[JournaledRecord]) -> list[str]:
    return [record.body.decode() for record in records]
