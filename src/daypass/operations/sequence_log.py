"""Give entries their place in the Merkle tree, sign what it is then, publish it.

One process at a time does, under a named lock; any number append entries meanwhile. Each step is
repeated by whoever comes after a crash: places are one transaction, parts are written once and are
the same each time, a checkpoint is in the store before anybody sees it.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daypass.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from daypass.audit.leaf import (
    SUBJECT_KEY_BYTES,
    Keys,
    Leaf,
    detached_path,
    make_leaf,
    read_entry,
    subjects_of,
)
from daypass.audit.note import NoteError, SignerKey, parse_note
from daypass.audit.tiles import CHECKPOINT_PATH, Edge
from daypass.audit.tree import leaf_hash
from daypass.audit.verify import LogBroken, read_edge
from daypass.domain.errors import Conflict
from daypass.domain.secret import Secret
from daypass.operations.context import Context
from daypass.operations.log_parts import LogParts
from daypass.store import log
from daypass.store.database import Tx

LOCK = ("log", "sequencer")
_BATCH = 500
_MOST_KEYS = 20_000
_PURPOSE = "key of a subject"


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What a round did: entries that were given a place, and the size that is published."""

    count: int
    size: int


class Sequencer:
    """Rounds of one process; `keys` sign, the first is the log's, others are those it had."""

    def __init__(self, ctx: Context, parts: LogParts, keys: Sequence[SignerKey]) -> None:
        self._ctx = ctx
        self._parts = parts
        self._keys = tuple(keys)
        self._origin = keys[0].name
        self._edge: Edge | None = None
        self._full: list[str] = []
        self._known: dict[str, bytes] = {}

    async def run_round(self) -> Sequenced | None:
        """Sequence and publish all that waits; None when another process is at it.

        Raises `Conflict` (`log_forked`) when store and parts are not of one history: then nothing
        is signed until somebody has looked.
        """
        ctx = self._ctx
        async with ctx.store.connection() as connection:
            if self._edge is not None and not await log.anything_waits(connection):
                return Sequenced(0, self._edge.size)
        async with ctx.store.try_locks([LOCK]) as (held,):
            if not held:
                self._edge = None
                return None
            try:
                return await self._round()
            except BaseException:
                # What is in memory may be ahead of what is written: read it anew.
                self._edge = None
                self._known.clear()
                raise

    async def _round(self) -> Sequenced:
        async with self._ctx.store.connection() as connection:
            size = await log.log_size(connection)
        if self._edge is None or self._edge.size != size:
            self._edge = await self._caught_up(size)
        count = 0
        while placed := await self._place(self._edge.size):
            await asyncio.to_thread(self._add, self._edge, placed)
            count += len(placed)
            if len(placed) < _BATCH:
                break
        await self._publish(self._edge)
        return Sequenced(count, self._edge.size)

    async def _place(self, first: int) -> list[tuple[Leaf, bytes]]:
        async with self._ctx.store.transaction() as tx:
            waiting = await log.take_waiting(tx, _BATCH)
            if not waiting:
                return []
            texts = [(each.id, each.canonical) for each in waiting]
            leaves = await self._leaves(tx, texts, new_keys=True)
            hashes = [hashed for _, hashed in leaves]
            await log.insert_places(tx, first, [each.id for each in waiting], hashes)
        return leaves

    async def _leaves(
        self, tx: Tx, texts: Sequence[tuple[int, str]], *, new_keys: bool
    ) -> list[tuple[Leaf, bytes]]:
        documents = await asyncio.to_thread(lambda: [read_entry(text) for _, text in texts])
        of_each = [subjects_of(document) for document in documents]
        subjects = {each.person for each in of_each} | {each.content for each in of_each}
        keys = await self._subject_keys(tx, sorted(each for each in subjects if each), new_keys)

        def make() -> list[tuple[Leaf, bytes]]:
            made = []
            for (number, text), document, of_one in zip(texts, documents, of_each, strict=True):
                leaf = make_leaf(number, text.encode(), document, keys, of_one)
                made.append((leaf, leaf_hash(leaf.data)))
            return made

        return await asyncio.to_thread(make)

    async def _subject_keys(self, tx: Tx, subjects: Sequence[str], new_keys: bool) -> Keys:
        if len(self._known) > _MOST_KEYS:
            self._known.clear()
        missing = [each for each in subjects if each not in self._known]
        if missing:
            found = await log.find_subject_keys(tx, missing)
            fresh = [each for each in missing if each not in found]
            if fresh and new_keys:
                await log.insert_subject_keys(tx, [(each, self._new_key()) for each in fresh])
                found |= await log.find_subject_keys(tx, fresh)
            self._known |= open_subject_keys(self._ctx, found)
            if gone := [each for each in missing if each not in self._known]:
                raise _forked(f"the key of {gone[0]} is missing, without which no leaf is made")
        return {each: self._known[each] for each in subjects}

    def _new_key(self) -> str:
        text = base64.b64encode(secrets.token_bytes(SUBJECT_KEY_BYTES)).decode()
        return self._ctx.secrets.seal(Secret(text), _PURPOSE)

    def _add(self, edge: Edge, leaves: Sequence[tuple[Leaf, bytes]]) -> None:
        parts: dict[str, bytes] = {}
        for leaf, hashed in leaves:
            for text in leaf.detached:
                parts[detached_path(text)] = text
            for path, data in edge.add(leaf.data, hashed):
                parts[path] = data
                self._full.append(path)
        self._parts.write_parts(parts)

    async def _publish(self, edge: Edge) -> None:
        async with self._ctx.store.transaction() as tx:
            signed = await log.find_checkpoint(tx, edge.size)
            last = await log.last_checkpoint(tx)
        root = await asyncio.to_thread(edge.root)
        if (signed and signed.root != root) or (last and last.size > edge.size):
            raise _forked(f"the store has signed another log of {(signed or last or edge).size}")
        note = signed.note if signed else ""
        if not signed:
            checkpoint = Checkpoint(self._origin, edge.size, root)
            note = str(sign_checkpoint(checkpoint, self._keys))
        await asyncio.to_thread(self._parts.write_parts, dict(edge.partials()))
        if not signed:
            # Before anybody sees it: what was signed once is never signed otherwise.
            async with self._ctx.store.transaction() as tx:
                await log.insert_checkpoint(tx, edge.size, root, note)
        await asyncio.to_thread(self._parts.write_checkpoint, note.encode())
        full, self._full = self._full, []
        for path in full:
            await asyncio.to_thread(self._parts.drop_partials, path)

    async def _caught_up(self, size: int) -> Edge:
        """Return the log's edge at the store's size, its parts written up to there."""
        edge = await self._published()
        self._full = []
        while edge.size < size:
            async with self._ctx.store.connection() as connection:
                placed = await log.list_placed(connection, edge.size, _BATCH)
                if not placed or (lost := [each for each in placed if not each.canonical]):
                    number = lost[0].index if placed else edge.size
                    raise _forked(f"the store has no entry any more for leaf {number}")
                texts = [(each.id, each.canonical) for each in placed]
                leaves = await self._leaves(connection, texts, new_keys=False)
            for number, (each, (_, hashed)) in enumerate(zip(placed, leaves, strict=True)):
                if each.index != edge.size + number or each.hash != hashed:
                    raise _forked(
                        f"entry {each.id}, leaf {each.index}, is not the one that was sequenced"
                    )
            await asyncio.to_thread(self._add, edge, leaves)
        return edge

    async def _published(self) -> Edge:
        data = await asyncio.to_thread(self._parts.read, CHECKPOINT_PATH)
        async with self._ctx.store.connection() as connection:
            if data is None:
                return Edge()
            try:
                verifiers = [key.verifier for key in self._keys]
                found = open_checkpoint(parse_note(data), verifiers, self._origin)
            except NoteError as error:
                raise _forked(
                    f"the checkpoint that was published is not this log's: {error}"
                ) from error
            known = await log.find_checkpoint(connection, found.size)
        if known is None or known.root != found.root:
            raise _forked(
                f"a log of {found.size} entries was published that the store knows nothing of: the"
                " store was put back to an older state, or another one was put in its place"
            )
        try:
            return await asyncio.to_thread(read_edge, self._parts.read, found)
        except LogBroken as error:
            raise _forked(f"the tiles that were published were changed: {error}") from error


def open_subject_keys(ctx: Context, sealed: Mapping[str, str | None]) -> dict[str, bytes]:
    """Return the keys of subjects as they are used; those that were erased are left out."""
    return {
        subject: base64.b64decode(ctx.secrets.resolve(each, _PURPOSE).reveal())
        for subject, each in sealed.items()
        if each is not None
    }


def _forked(what: str) -> Conflict:
    return Conflict(
        f"the audit log is not continued: {what}",
        next_step="docs/operations.md, “The audit log”: nothing was signed or written over",
        code="log_forked",
    )
