"""Tiles of a log: C2SP `tlog-tiles`. Where each part is, what it holds, and how a log grows.

A log is a set of files: `checkpoint`, tiles of 256 hashes at each eighth level of the tree, and
bundles of 256 entries. Full ones never change; the rightmost of each level are partial, and the
file for each width never changes either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from struct import Struct

from daypass.audit.tree import EMPTY_ROOT, HASH_BYTES, fold, node_hash

TILE_WIDTH = 256
TILE_HEIGHT = 8
MAX_LEAF = 2**16 - 1
CHECKPOINT_PATH = "checkpoint"
_LENGTH = Struct(">H")


class TileError(ValueError):
    """A part of a log is not as the format wants it; `path` says which."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path
        self.what = what


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Return where a tile of hashes is; its level is that of the tile, not of the tree."""
    return f"tile/{level}/{_index_path(index)}{_partial(width)}"


def bundle_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return where a bundle of entries is."""
    return f"tile/entries/{_index_path(index)}{_partial(width)}"


def _index_path(index: int) -> str:
    parts = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03}")
    return "/".join(parts)


def _partial(width: int) -> str:
    return "" if width == TILE_WIDTH else f".p/{width}"


def width_of(size: int, level: int, index: int) -> int:
    """Return how many hashes a tile has in a tree of that size; 0 when there is no such tile."""
    return max(0, min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - index * TILE_WIDTH))


def write_bundle(leaves: Sequence[bytes]) -> bytes:
    """Return a bundle of leaves, each of at most `MAX_LEAF` bytes."""
    return b"".join([_LENGTH.pack(len(leaf)) + leaf for leaf in leaves])


def read_bundle(path: str, data: bytes) -> list[bytes]:
    """Return the leaves of a bundle. Raises `TileError` where it is cut off."""
    leaves: list[bytes] = []
    at, end = 0, len(data)
    unpack = _LENGTH.unpack_from
    while at < end:
        start = at + 2
        if start > end:
            raise TileError(path, f"ends in the middle of entry {len(leaves)}")
        at = start + unpack(data, at)[0]
        if at > end:
            raise TileError(path, f"ends in the middle of entry {len(leaves)}")
        leaves.append(data[start:at])
    return leaves


def read_hashes(path: str, data: bytes, width: int) -> list[bytes]:
    """Return the hashes of a tile. Raises `TileError` when there are not `width` of them."""
    if len(data) != width * HASH_BYTES:
        raise TileError(path, f"has {len(data)} bytes instead of {width * HASH_BYTES}")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


class Edge:
    """The right edge of a growing log: all that is needed to add to it, and to tell its root."""

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[list[bytes]] = []
        self._leaves: list[bytes] = []

    def add(self, leaf: bytes, hashed: bytes) -> list[tuple[str, bytes]]:
        """Add a leaf and its hash; return the parts that are full now, with their paths."""
        self._leaves.append(leaf)
        self.size += 1
        if not self._levels:
            self._levels.append([])
        self._levels[0].append(hashed)
        if self.size % TILE_WIDTH:
            return []
        done = [(bundle_path(self.size // TILE_WIDTH - 1), write_bundle(self._leaves))]
        self._leaves = []
        level, count = 0, self.size
        while count % TILE_WIDTH == 0:
            hashes = self._levels[level]
            count //= TILE_WIDTH
            done.append((tile_path(level, count - 1), b"".join(hashes)))
            self._levels[level] = []
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(fold(hashes))
        return done

    def partials(self) -> Iterator[tuple[str, bytes]]:
        """Return the parts that are not full, with their paths."""
        if self._leaves:
            width = len(self._leaves)
            yield bundle_path(self.size // TILE_WIDTH, width), write_bundle(self._leaves)
        for level, hashes in enumerate(self._levels):
            if hashes:
                index = self.size >> TILE_HEIGHT * (level + 1)
                yield tile_path(level, index, len(hashes)), b"".join(hashes)

    def root(self) -> bytes:
        """Return the tree's root."""
        root = b""
        for hashes in self._levels:
            # A level's hashes are larger subtrees than all to the right of them, and so, largest
            # first, are the whole subtrees among them.
            end = len(hashes)
            while end:
                start = end & (end - 1)
                left = fold(hashes[start:end])
                root = node_hash(left, root) if root else left
                end = start
        return root or EMPTY_ROOT

    @classmethod
    def read(cls, size: int, fetch: Callable[[str], bytes]) -> Edge:
        """Read the edge of a log of that size; whoever calls checks its root.

        `fetch` returns a part by its path. Raises `TileError` for a part that is not whole.
        """
        edge = cls()
        edge.size = size
        width = size % TILE_WIDTH
        if width:
            path = bundle_path(size // TILE_WIDTH, width)
            edge._leaves = read_bundle(path, fetch(path))
            if len(edge._leaves) != width:
                raise TileError(path, f"has {len(edge._leaves)} entries instead of {width}")
        count = size
        while count:
            hashes: list[bytes] = []
            if width := count % TILE_WIDTH:
                path = tile_path(len(edge._levels), count // TILE_WIDTH, width)
                hashes = read_hashes(path, fetch(path), width)
            edge._levels.append(hashes)
            count //= TILE_WIDTH
        return edge
