"""Check the store's rows against the published log: each makes its leaf again, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from daypass.audit.checkpoint import parse_checkpoint
from daypass.audit.leaf import Keys, LeafError, make_leaf, read_entry, subjects_of
from daypass.audit.note import NoteError, parse_note
from daypass.audit.tiles import CHECKPOINT_PATH, TILE_WIDTH, read_hashes, tile_path, width_of
from daypass.audit.tree import leaf_hash
from daypass.domain.errors import Unavailable
from daypass.domain.principal import Actor
from daypass.operations.context import Context
from daypass.operations.log_parts import PublishedLog
from daypass.operations.read_log import show_log
from daypass.operations.sequence_log import open_subject_keys
from daypass.store import log
from daypass.store.log import Placed

_BATCH = 2_000
_NO_ROW = "is published, and the store has no row for it"


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that is not as it was published; `entry` and `index` where they are known."""

    entry: int | None
    index: int | None
    what: str


@dataclass(frozen=True, slots=True)
class RowsChecked:
    """A part of the rows, checked; `next` is where to go on, None at the end."""

    checked: int
    next: int | None
    problems: tuple[RowProblem, ...]


async def check_rows(ctx: Context, actor: Actor, first: int) -> RowsChecked:
    """Check rows from one leaf on, some thousand at a time; for admins and auditors."""
    published = show_log(ctx, actor)
    size = await asyncio.to_thread(_published_size, published)
    async with ctx.store.snapshot() as tx:
        placed = [e for e in await log.list_placed(tx, first, _BATCH) if e.index < size]
        differing = await log.list_differing(tx, [each.id for each in placed])
        loose = await log.count_loose(tx) if first + len(placed) >= size else 0
        documents = {}
        for each in placed:
            try:
                documents[each.id] = read_entry(each.canonical)
            except LeafError:
                continue
        subjects = {
            subject
            for document in documents.values()
            for of_one in (subjects_of(document),)
            for subject in (of_one.person, of_one.content)
            if subject is not None
        }
        keys = open_subject_keys(ctx, await log.find_subject_keys(tx, sorted(subjects)))
    problems = await asyncio.to_thread(_check, published, size, first, placed, keys)
    for entry_id in differing:
        (index,) = (each.index for each in placed if each.id == entry_id)
        problems.append(
            RowProblem(entry_id, index, "its columns do not say what its canonical text says")
        )
    done = first + len(placed)
    if len(placed) < _BATCH:
        if done < size:
            problems.append(RowProblem(None, done, _NO_ROW))
        if loose:
            problems.append(
                RowProblem(None, None, f"{loose} rows have no place and do not wait for one")
            )
    problems.sort(key=lambda each: (each.index is None, each.index or 0))
    return RowsChecked(len(placed), done if len(placed) == _BATCH else None, tuple(problems))


def _published_size(published: PublishedLog) -> int:
    data = published.parts.read(CHECKPOINT_PATH)
    try:
        return 0 if data is None else parse_checkpoint(parse_note(data).text).size
    except NoteError as error:
        raise Unavailable(
            f"the published checkpoint is none: {error}",
            next_step="daypass audit verify",
            code="log_broken",
        ) from error


def _check(
    published: PublishedLog, size: int, first: int, placed: Sequence[Placed], keys: Keys
) -> list[RowProblem]:
    problems = []
    tiles: dict[int, list[bytes]] = {}
    wanted = first
    for each in placed:
        if each.index != wanted:
            problems.append(RowProblem(None, wanted, _NO_ROW))
            wanted = each.index
        wanted += 1
        tile = each.index // TILE_WIDTH
        if tile not in tiles:
            tiles[tile] = _tile(published, tile, size)
        hashes = tiles[tile]
        at = each.index % TILE_WIDTH
        what = None
        if at >= len(hashes):
            what = "its tile is missing or cut off: daypass audit verify"
        elif each.hash != hashes[at]:
            what = "its place has another hash than its tile"
        elif _made_again(each, keys) != hashes[at]:
            what = "its row is not the one that was published"
        if what is not None:
            problems.append(RowProblem(each.id, each.index, what))
    return problems


def _made_again(placed: Placed, keys: Keys) -> bytes | None:
    """Return the hash of a row's leaf; None where none can be made of it any more."""
    try:
        document = read_entry(placed.canonical)
        return leaf_hash(make_leaf(placed.id, placed.canonical.encode(), document, keys).data)
    except (LeafError, KeyError):
        return None


def _tile(published: PublishedLog, tile: int, size: int) -> list[bytes]:
    width = width_of(size, 0, tile)
    data = published.parts.read(tile_path(0, tile, width)) or published.parts.read(
        tile_path(0, tile)
    )
    if data is None or len(data) % 32:
        return []
    return read_hashes("", data, len(data) // 32)[:width]
