"""Tiles are C2SP's: paths, parts and proofs are read by an implementation written elsewhere."""

import aics_tlog
import pytest
from aics_tlog import MemoryTileReader, MerkleTree
from aics_tlog.tiles import materialise_tiles

from daypass.audit.tiles import (
    Edge,
    TileError,
    bundle_path,
    read_bundle,
    read_hashes,
    tile_path,
    width_of,
    write_bundle,
)
from daypass.audit.tree import EMPTY_ROOT, leaf_hash

SIZES = (1, 2, 255, 256, 257, 511, 512, 700)


def grown(leaves: list[bytes], sizes: tuple[int, ...]) -> dict[str, bytes]:
    """Return every part of a log that was published at those sizes."""
    parts: dict[str, bytes] = {}
    edge = Edge()
    for leaf in leaves:
        for path, data in edge.add(leaf, leaf_hash(leaf)):
            assert path not in parts
            parts[path] = data
        if edge.size in sizes:
            parts |= dict(edge.partials())
    return parts


def leaves_of(count: int) -> list[bytes]:
    return [b'{"entry":%d}' % number for number in range(count)]


def test_paths_are_those_of_the_specification() -> None:
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(3, 273, 112) == "tile/3/273.p/112"
    assert bundle_path(1000, 1) == "tile/entries/x001/000.p/1"
    for index in (0, 999, 1000, 999_999, 1_000_000, 2**40):
        assert tile_path(2, index) == aics_tlog.tiles.tile_path(2, index)
        assert bundle_path(index, 7) == aics_tlog.tiles.entry_bundle_path(index, 7)


def test_widths_are_those_of_the_specifications_example() -> None:
    # “a tree of size 70,000 will be represented by 273 full level 0 tiles, one partial …”
    assert [width_of(70_000, 0, index) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [width_of(70_000, 1, index) for index in (0, 1, 2)] == [256, 17, 0]
    assert [width_of(70_000, 2, index) for index in (0, 1)] == [1, 0]
    assert (width_of(256, 0, 0), width_of(256, 1, 0)) == (256, 1)


@pytest.mark.parametrize("size", SIZES)
def test_every_part_is_the_one_others_make(size: int) -> None:
    assert grown(leaves_of(size), (size,)) == materialise_tiles(leaves_of(size))


def test_others_read_what_grew_step_by_step() -> None:
    leaves = leaves_of(SIZES[-1])
    reader = MemoryTileReader(grown(leaves, SIZES))
    theirs = MerkleTree(leaves)
    for size in SIZES:
        assert aics_tlog.tree_root_from_tiles(reader, size) == theirs.root(size)
        report = aics_tlog.audit_tiles(reader, size, theirs.root(size))
        assert not getattr(report, "errors", ())


def test_the_root_and_the_edge_at_each_size() -> None:
    leaves = leaves_of(700)
    theirs = MerkleTree(leaves)
    edge = Edge()
    assert edge.root() == EMPTY_ROOT
    parts: dict[str, bytes] = {}
    for size, leaf in enumerate(leaves, 1):
        parts |= dict(edge.add(leaf, leaf_hash(leaf)))
        if size % 37 == 0 or size in SIZES:
            assert edge.root() == theirs.root(size)
            parts |= dict(edge.partials())
            again = Edge.read(size, parts.__getitem__)
            assert again.root() == edge.root()
            assert list(again.partials()) == list(edge.partials())


def test_a_larger_tree_has_a_tile_above() -> None:
    leaves = leaves_of(66_000)
    edge = Edge()
    parts: dict[str, bytes] = {}
    for leaf in leaves:
        parts |= dict(edge.add(leaf, leaf_hash(leaf)))
    parts |= dict(edge.partials())
    assert len(parts["tile/2/000.p/1"]) == 32
    assert edge.root() == MerkleTree(leaves).root()
    assert Edge.read(66_000, parts.__getitem__).root() == edge.root()


def test_bundles_and_tiles_that_are_cut_off_are_named() -> None:
    data = write_bundle([b"one", b"", b"three"])
    assert read_bundle("x", data) == [b"one", b"", b"three"]
    assert aics_tlog.tiles.parse_entry_bundle(data) == [b"one", b"", b"three"]
    for cut in (1, 4, 6, len(data) - 1):
        with pytest.raises(TileError, match=r"tile/entries/000: ends in the middle of entry \d"):
            read_bundle(bundle_path(0), data[:cut])
    with pytest.raises(TileError, match="has 33 bytes instead of 64"):
        read_hashes("tile/0/000.p/2", bytes(33), 2)
