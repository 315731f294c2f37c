"""Read the published log: its parts, and the proof that an entry is in it."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from enum import StrEnum

from daypass.audit.checkpoint import Proof, parse_checkpoint
from daypass.audit.leaf import read_leaf, seal_keys
from daypass.audit.note import Note, parse_note
from daypass.audit.tiles import CHECKPOINT_PATH, TILE_WIDTH, bundle_path, read_bundle, width_of
from daypass.audit.tree import inclusion_proof
from daypass.audit.verify import node_reader
from daypass.domain.errors import Conflict, NotFound, Unavailable
from daypass.domain.ids import EntryId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.operations.context import Context, require_capability, require_role
from daypass.operations.log_parts import PublishedLog
from daypass.operations.sequence_log import open_subject_keys
from daypass.store import entries, log


class Stage(StrEnum):
    """How far an entry has come; in a gateway's journal it was before it had a number."""

    STORED = "stored"
    SEQUENCED = "sequenced"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class EntryProof:
    """Proof that an entry is in the log.

    `seal_keys` open what is sealed in this leaf and in no other; None where that was erased.
    """

    entry_id: EntryId
    index: int
    leaf: bytes
    proof: Proof
    seal_keys: tuple[bytes | None, ...]


async def read_log_part(ctx: Context, actor: Actor, path: str) -> bytes:
    """Return a part of the published log, for admins and auditors. Raises `NotFound`."""
    published = _published(ctx, actor)
    try:
        data = await asyncio.to_thread(published.parts.read, path)
    except ValueError:
        data = None
    if data is None:
        raise NotFound("the log has no such part", code="log_part_unknown")
    return data


def show_log(ctx: Context, actor: Actor) -> PublishedLog:
    """Return whose log it is and who signs it, for admins and auditors."""
    return _published(ctx, actor)


async def entry_stage(ctx: Context, actor: Actor, entry_id: EntryId) -> tuple[Stage, int | None]:
    """Return how far an entry has come and which leaf it is, for admins and auditors."""
    _published(ctx, actor)
    async with ctx.store.snapshot() as tx:
        if await entries.get_entry(tx, entry_id) is None:
            raise _unknown(entry_id)
        index = await log.find_place(tx, entry_id)
        last = await log.last_checkpoint(tx)
    if index is None:
        return Stage.STORED, None
    is_out = last is not None and last.size > index
    return (Stage.PUBLISHED if is_out else Stage.SEQUENCED), index


async def prove_entry(ctx: Context, actor: Actor, entry_id: EntryId) -> EntryProof:
    """Return the proof that an entry is in the log, for admins and auditors.

    Raises `Conflict` (`entry_unpublished`) when it is not out yet: it is within a second.
    """
    published = _published(ctx, actor)
    stage, index = await entry_stage(ctx, actor, entry_id)
    note = await asyncio.to_thread(_read_note, published)
    size = parse_checkpoint(note.text).size if note else 0
    if stage is not Stage.PUBLISHED or index is None or note is None or size <= index:
        raise Conflict(
            f"entry {entry_id} is {stage.value}, and not published yet",
            next_step="try again in a second",
            code="entry_unpublished",
        )
    leaf, path = await asyncio.to_thread(_read_proof, published, index, size)
    shown = read_leaf(leaf)
    sealed = shown["sealed"]
    subjects = [str(each["subject"]) for each in sealed] if isinstance(sealed, list) else []
    async with ctx.store.connection() as connection:
        keys = open_subject_keys(ctx, await log.find_subject_keys(connection, subjects))
    return EntryProof(
        entry_id, index, leaf, Proof(index, path, note), tuple(seal_keys(shown, keys))
    )


def encoded_keys(proof: EntryProof) -> list[str | None]:
    """Return the keys of an entry's seals as text."""
    return [None if each is None else base64.b64encode(each).decode() for each in proof.seal_keys]


def _read_note(published: PublishedLog) -> Note | None:
    data = published.parts.read(CHECKPOINT_PATH)
    return None if data is None else parse_note(data)


def _read_proof(published: PublishedLog, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
    bundle = index // TILE_WIDTH
    path = bundle_path(bundle, width_of(size, 0, bundle))
    data = published.parts.read(path) or published.parts.read(bundle_path(bundle))
    if data is None:
        raise Unavailable(
            f"{path} is missing in the log", next_step="daypass audit verify", code="log_broken"
        )
    leaf = read_bundle(path, data)[index % TILE_WIDTH]
    return leaf, tuple(inclusion_proof(index, size, node_reader(published.parts.read, size)))


def _published(ctx: Context, actor: Actor) -> PublishedLog:
    require_capability(actor, Capability.READ)
    require_role(actor, DaypassRole.ADMIN, DaypassRole.AUDITOR)
    if ctx.log is None:
        raise Unavailable("this process publishes no audit log", code="log_away")
    return ctx.log


def _unknown(entry_id: EntryId) -> NotFound:
    return NotFound(
        f"there is no entry {entry_id}", next_step="daypass audit list", code="entry_unknown"
    )
