"""The tree is RFC 6962's: published vectors, and every proof of every small tree."""

import hashlib
from collections.abc import Callable

import pytest
from aics_tlog import MerkleTree
from hypothesis import given
from hypothesis import strategies as st

from daypass.audit.tree import (
    EMPTY_ROOT,
    consistency_proof,
    fold,
    includes,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    node_hash,
    range_hash,
)

# Of the reference implementation of RFC 6962 (google/certificate-transparency, Apache-2.0).
LEAVES = [
    bytes.fromhex(each)
    for each in (
        *("", "00", "10", "2021", "3031", "40414243"),
        *("5051525354555657", "606162636465666768696a6b6c6d6e6f"),
    )
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
INCLUSIONS = {
    (0, 1): (),
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
CONSISTENCIES = {
    (1, 1): (),
    (1, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}


def nodes_of(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    def node(level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hash(leaves[index])
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node


NODE = nodes_of(LEAVES)


def test_roots() -> None:
    assert bytes.fromhex(ROOTS[0]) == EMPTY_ROOT
    for size, root in enumerate(ROOTS):
        assert range_hash(0, size, NODE).hex() == root
        if size:
            assert fold([leaf_hash(each) for each in LEAVES[:size]]).hex() == root


@pytest.mark.parametrize(("of", "wanted"), INCLUSIONS.items())
def test_proofs_of_inclusion(of: tuple[int, int], wanted: tuple[str, ...]) -> None:
    index, size = of
    proof = inclusion_proof(index, size, NODE)
    assert tuple(each.hex() for each in proof) == wanted
    assert includes(leaf_hash(LEAVES[index]), index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("of", "wanted"), CONSISTENCIES.items())
def test_proofs_of_consistency(of: tuple[int, int], wanted: tuple[str, ...]) -> None:
    old, new = of
    proof = consistency_proof(old, new, NODE)
    assert tuple(each.hex() for each in proof) == wanted
    roots = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new])
    assert is_consistent(old, new, *roots, proof)


SMALL = 24
MANY = [b"%d" % number for number in range(SMALL)]


def test_every_proof_of_every_small_tree_is_that_of_others_and_no_changed_one_holds() -> None:
    theirs = MerkleTree(MANY)
    node = nodes_of(MANY)
    for size in range(1, SMALL + 1):
        root = range_hash(0, size, node)
        assert root == theirs.root(size)
        for index in range(size):
            leaf = leaf_hash(MANY[index])
            proof = inclusion_proof(index, size, node)
            assert proof == theirs.inclusion_proof(index, size)
            assert includes(leaf, index, size, proof, root)
            assert not includes(leaf, index, size, [*proof, root], root)
            assert not includes(leaf, (index + 1) % SMALL, size, proof, root)
            if proof:
                assert not includes(leaf, index, size, proof[:-1], root)
                assert not includes(leaf, index, size, [_flipped(proof[0]), *proof[1:]], root)
            if index:
                before = range_hash(0, index, node)
                grown = consistency_proof(index, size, node)
                assert grown == theirs.consistency_proof(index, size)
                assert is_consistent(index, size, before, root, grown)
                assert not is_consistent(index, size, before, root, [*grown, root])
                assert not is_consistent(index, size, before, root, grown[:-1])
                assert not is_consistent(index, size, _flipped(before), root, grown)
                assert not is_consistent(index, size, before, _flipped(root), grown)


def test_every_tree_grew_out_of_the_empty_one_and_none_shrinks() -> None:
    root = range_hash(0, 8, NODE)
    assert consistency_proof(0, 8, NODE) == []
    assert is_consistent(0, 8, EMPTY_ROOT, root, [])
    assert not is_consistent(0, 8, root, root, [])
    assert not is_consistent(8, 7, root, root, [])
    assert not is_consistent(8, 8, root, _flipped(root), [])
    assert not includes(leaf_hash(b""), 0, 0, [], EMPTY_ROOT)
    with pytest.raises(ValueError, match="no leaf 8"):
        inclusion_proof(8, 8, NODE)


@given(st.lists(st.binary(max_size=32), max_size=9), st.integers(1, 64), st.integers(0, 64))
def test_no_made_up_proof_holds(proof: list[bytes], size: int, index: int) -> None:
    root = hashlib.sha256(b"some root").digest()
    assert not includes(leaf_hash(b"x"), index, size, proof, root)
    assert not is_consistent(size, size + index + 1, leaf_hash(b"x"), root, proof)


def _flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]
