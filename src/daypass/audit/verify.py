"""Verify a whole log, trusting nobody: written to be read in ten minutes.

A log is a set of files. `checkpoint` says, signed, how many entries there are and the root of the
Merkle tree over them. `tile/entries/…` are the entries, 256 to a file. `tile/0/…` are their hashes,
`tile/1/…` the hashes over 256 of those, and so on. Here everything is read once, from the first
entry on:

1. The checkpoint is signed by a key of the log that the reader brought along.
2. Each entry hashes to what its tile says; each tile of hashes to what the one above says; and the
   topmost to the root in the checkpoint. Whatever was changed, dropped, added, swapped or cut off
   differs somewhere in this, and the first place where it does is named.
3. Each entry is one, in canonical form, and its number in the store was not there before.
4. Records of a gateway's journal are all there, once each and in order.

That the log was not exchanged as a whole, by somebody with its key, shows against an older
checkpoint (`consistent_with`) and those that a witness cosigned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from daypass.audit.checkpoint import Checkpoint, open_checkpoint
from daypass.audit.entry import Json
from daypass.audit.leaf import LeafError, detached_path, detached_paths, read_leaf
from daypass.audit.note import NoteError, VerifierKey, parse_note
from daypass.audit.tiles import (
    CHECKPOINT_PATH,
    TILE_HEIGHT,
    TILE_WIDTH,
    Edge,
    TileError,
    bundle_path,
    read_bundle,
    read_hashes,
    tile_path,
    width_of,
)
from daypass.audit.tree import consistency_proof, fold, is_consistent, leaf_hash, node_hash

Fetch = Callable[[str], bytes | None]
"""Return a part of a log by its path; None when it is not there."""


class LogBroken(Exception):
    """A log is not what it has to be; `index` is the first entry concerned, if it is known."""

    def __init__(self, what: str, *, index: int | None = None, path: str = "") -> None:
        place = "" if index is None else f"entry {index}: "
        super().__init__(f"{place}{what}{f' ({path})' if path else ''}")
        self.what = what
        self.index = index
        self.path = path


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that is whole."""

    checkpoint: Checkpoint
    journals: Mapping[str, int] = field(default_factory=dict)
    """The last record of each journal of a gateway that is in the log."""


def read_checkpoint(fetch: Fetch, keys: Sequence[VerifierKey], origin: str) -> Checkpoint:
    """Return what a log says of itself. Raises `LogBroken` unless one of the keys signed it."""
    data = fetch(CHECKPOINT_PATH)
    if data is None:
        raise LogBroken("there is no checkpoint", path=CHECKPOINT_PATH)
    try:
        return open_checkpoint(parse_note(data), keys, origin)
    except NoteError as error:
        raise LogBroken(str(error), path=CHECKPOINT_PATH) from error


def verify_log(
    fetch: Fetch,
    keys: Sequence[VerifierKey],
    origin: str,
    *,
    each: Callable[[int, bytes, Mapping[str, Json]], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verified:
    """Read and verify all of a log. Raises `LogBroken` at the first thing that is wrong.

    `each` is given every entry: index, leaf as bytes, leaf as read.
    """
    checkpoint = read_checkpoint(fetch, keys, origin)
    contents = _Contents(fetch)
    edge = _Levels(fetch, checkpoint.size)
    for index in range(-(-checkpoint.size // TILE_WIDTH)):
        width = width_of(checkpoint.size, 0, index)
        leaves, hashes = _bundle(fetch, index, width)
        for number, leaf in enumerate(leaves, index * TILE_WIDTH):
            shown = contents.check(number, leaf)
            if each is not None:
                each(number, leaf, shown)
        edge.add(0, hashes)
        if progress is not None:
            progress(index * TILE_WIDTH + width)
    if edge.root() != checkpoint.root:
        raise LogBroken(
            f"its {checkpoint.size} entries and tiles agree with each other, but not with the root"
            " that was signed: they were exchanged together",
            path=CHECKPOINT_PATH,
        )
    return Verified(checkpoint, contents.journals)


def consistent_with(fetch: Fetch, old: Checkpoint, new: Checkpoint) -> tuple[bytes, ...]:
    """Return the proof that a log only grew from one checkpoint to the other.

    Both have been opened with the log's keys. Raises `LogBroken` when it was rewritten.
    """
    if old.size > new.size:
        raise LogBroken(
            f"the log had {old.size} entries and has {new.size} now: an older copy was put back"
        )
    try:
        proof = consistency_proof(old.size, new.size, node_reader(fetch, new.size))
    except TileError as error:
        raise LogBroken(error.what, path=error.path) from error
    if not is_consistent(old.size, new.size, old.root, new.root, proof):
        raise LogBroken(
            f"the first {old.size} entries are not those that were there when the log had as many:"
            " its history was rewritten"
        )
    return tuple(proof)


def node_reader(fetch: Fetch, size: int) -> Callable[[int, int], bytes]:
    """Return how to get hashes of whole subtrees out of the tiles of a log of that size."""
    tiles: dict[tuple[int, int], list[bytes]] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, above = divmod(level, TILE_HEIGHT)
        first = index << above
        tile, start = divmod(first, TILE_WIDTH)
        if (tile_level, tile) not in tiles:
            tiles[tile_level, tile] = _tile(fetch, tile_level, tile, size)
        hashes = tiles[tile_level, tile]
        if start + (1 << above) > len(hashes):
            raise TileError(tile_path(tile_level, tile), "has too few hashes")
        return fold(hashes[start : start + (1 << above)])

    return node


def read_edge(fetch: Fetch, checkpoint: Checkpoint) -> Edge:
    """Return what is needed to add to a log. Raises `LogBroken` when it is not its edge."""

    def needed(path: str) -> bytes:
        data = fetch(path)
        if data is None:
            raise LogBroken("is missing", path=path)
        return data

    try:
        edge = Edge.read(checkpoint.size, needed)
    except TileError as error:
        raise LogBroken(error.what, path=error.path) from error
    if edge.root() != checkpoint.root:
        raise LogBroken("the tiles at the end do not have the root that was signed")
    return edge


def _bundle(fetch: Fetch, index: int, width: int) -> tuple[list[bytes], list[bytes]]:
    """Return the entries of a bundle and their hashes: those that the tile beside it has."""
    path, first = bundle_path(index, width), index * TILE_WIDTH
    data = fetch(path)
    if data is None and width < TILE_WIDTH:
        data = fetch(bundle_path(index))
    if data is None:
        raise LogBroken("its bundle is missing", index=first, path=path)
    cut = None
    try:
        leaves = read_bundle(path, data)
    except TileError as error:
        cut, leaves = error, []
    hashes = [leaf_hash(leaf) for leaf in leaves[:width]]
    tile = _tile_or_broken(fetch, 0, index, width, first)
    if hashes != tile:
        for number, (found, wanted) in enumerate(zip(hashes, tile, strict=False)):
            if found != wanted:
                raise LogBroken(
                    "its hash is not the one in its tile", index=first + number, path=path
                )
    if cut is not None:
        raise LogBroken(cut.what, index=first, path=path)
    if len(leaves) < width:
        raise LogBroken(
            f"is missing, the bundle has only {len(leaves)} entries",
            index=first + len(leaves),
            path=path,
        )
    if len(leaves) > width and len(data) and fetch(path) is not None:
        raise LogBroken("is more than there should be", index=first + width, path=path)
    return leaves[:width], hashes


def _tile_or_broken(fetch: Fetch, level: int, index: int, width: int, first: int) -> list[bytes]:
    try:
        return _tile(fetch, level, index, (index * TILE_WIDTH + width) << TILE_HEIGHT * level)
    except TileError as error:
        raise LogBroken(f"its tile {error.what}", index=first, path=error.path) from error


def _tile(fetch: Fetch, level: int, index: int, size: int) -> list[bytes]:
    """Return a tile of a log of that size; a partial one may have given way to the full one."""
    width = width_of(size, level, index)
    path = tile_path(level, index, width)
    data = fetch(path)
    if data is not None:
        return read_hashes(path, data, width)
    full = fetch(tile_path(level, index)) if width < TILE_WIDTH else None
    if full is None:
        raise TileError(path, "is missing")
    return read_hashes(tile_path(level, index), full, TILE_WIDTH)[:width]


class _Levels:
    """The tree above the entries, as they come: each level's hashes against its tiles."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._open: list[list[bytes]] = []
        self._done: list[int] = []

    def add(self, level: int, hashes: Sequence[bytes]) -> None:
        """Take the next hashes of a level, never more than complete a tile."""
        if level == len(self._open):
            self._open.append([])
            self._done.append(0)
        self._open[level].extend(hashes)
        if len(self._open[level]) == TILE_WIDTH:
            whole, self._open[level] = self._open[level], []
            self._compare(level, whole)
            self._done[level] += 1
            self.add(level + 1, [fold(whole)])

    def root(self) -> bytes:
        """Return the root over all that came, partial tiles compared too."""
        parts: list[bytes] = []
        for level, hashes in reversed(list(enumerate(self._open))):
            if hashes:
                self._compare(level, hashes)
            start = 0
            for bit in reversed(range(TILE_HEIGHT)):
                if len(hashes) >> bit & 1:
                    parts.append(fold(hashes[start : start + (1 << bit)]))
                    start += 1 << bit
        root = parts.pop() if parts else Edge().root()
        while parts:
            root = node_hash(parts.pop(), root)
        return root

    def _compare(self, level: int, hashes: Sequence[bytes]) -> None:
        if level == 0:
            return
        index = self._done[level]
        below = TILE_WIDTH**level
        first = index * TILE_WIDTH * below
        tile = _tile_or_broken(self._fetch, level, index, len(hashes), first)
        for number, (found, wanted) in enumerate(zip(hashes, tile, strict=True)):
            if found != wanted:
                at = first + number * below
                raise LogBroken(
                    f"it or one of those up to {at + below - 1} is not the one that was hashed:"
                    " entries and their tile agree, the tile above does not",
                    index=at,
                    path=tile_path(level, index, len(hashes)),
                )


class _Contents:
    """What entries say: numbers that are there once, and journals without gaps."""

    def __init__(self, fetch: Fetch) -> None:
        self.journals: dict[str, int] = {}
        self._fetch = fetch
        self._seen: dict[int, bytearray] = {}

    def check(self, index: int, data: bytes) -> Mapping[str, Json]:
        """Check one entry and return it."""
        try:
            leaf = read_leaf(data)
        except LeafError as error:
            raise LogBroken(str(error), index=index) from error
        number = leaf["entry"]
        if not isinstance(number, int) or number < 1:
            raise LogBroken("has no number", index=index)
        # Numbers are dense but for what was rolled back: a bit each, in pages of 4,096.
        page, at, bit = number >> 12, number >> 3 & 511, 1 << (number & 7)
        seen = self._seen.get(page)
        if seen is None:
            seen = self._seen[page] = bytearray(512)
        if seen[at] & bit:
            raise LogBroken(f"number {number} is in the log a second time", index=index)
        seen[at] |= bit
        content = leaf["content"]
        if isinstance(content, dict) and "sequence" in content and "journal" in content:
            self._record(index, str(content["journal"]), content["sequence"])
        if b'"text_hash"' in data:
            self._beside(index, detached_paths(leaf))
        return leaf

    def _record(self, index: int, journal: str, sequence: Json) -> None:
        last = self.journals.get(journal, 0)
        if sequence != last + 1:
            raise LogBroken(
                f"is record {sequence} of journal {journal}, and record {last + 1} was to come:"
                " something was left out, put in again, or moved",
                index=index,
            )
        self.journals[journal] = last + 1

    def _beside(self, index: int, paths: Iterable[str]) -> None:
        for path in paths:
            data = self._fetch(path)
            if data is None:
                raise LogBroken("its sealed text is missing", index=index, path=path)
            if detached_path(data) != path:
                raise LogBroken("its sealed text was changed", index=index, path=path)


def parts_of(size: int) -> Iterator[str]:
    """Yield the path of every part of a log of that size, but for texts beside it."""
    level, count = 0, size
    while count:
        for index in range(-(-count // TILE_WIDTH)):
            width = width_of(size, level, index)
            if level == 0:
                yield bundle_path(index, width)
            yield tile_path(level, index, width)
        count //= TILE_WIDTH
        level += 1
