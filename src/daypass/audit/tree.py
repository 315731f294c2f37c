"""The Merkle tree of RFC 6962 (section 2.1): hashes, proofs and their verification.

Subtrees are named by level and index: `(level, index)` spans the leaves from `index · 2^level` up
to `(index + 1) · 2^level`. Whatever makes proofs is told how to get those hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
_sha256 = hashlib.sha256

Node: TypeAlias = Callable[[int, int], bytes]
"""Return the hash of a whole subtree, by level and index."""


def leaf_hash(data: bytes) -> bytes:
    """Hash a leaf."""
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into the one above them."""
    return _sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root over the hashes of neighbouring subtrees of one size; there is at least one.

    What is left over on the right rises as it is: the same as RFC 6962's split at a power of two.
    """
    while len(hashes) > 1:
        above = [
            _sha256(b"\x01" + hashes[at] + hashes[at + 1]).digest()
            for at in range(0, len(hashes) - 1, 2)
        ]
        if len(hashes) % 2:
            above.append(hashes[-1])
        hashes = above
    return hashes[0]


def whole_subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """Cut leaves `start` to `end` into whole subtrees, the largest and leftmost first.

    `start` has to be where RFC 6962 would cut: a multiple of the largest of them.
    """
    found = []
    for level in reversed(range((end - start).bit_length())):
        if (end - start) >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def range_hash(start: int, end: int, node: Node) -> bytes:
    """Return MTH(D[start:end]) of RFC 6962."""
    if start == end:
        return EMPTY_ROOT
    hashes = [node(level, index) for level, index in whole_subtrees(start, end)]
    root = hashes.pop()
    while hashes:
        root = node_hash(hashes.pop(), root)
    return root


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 6962: from the leaf's sibling up to below the root."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_hash(middle, end, node))
            end = middle
        else:
            path.append(range_hash(start, middle, node))
            start = middle
    path.reverse()
    return path


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """Return PROOF(old, D[new]) of RFC 6962; empty for an empty old tree, and for the same one."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves has grown out of none of {old}")
    if old in (0, new):
        return []
    path = []
    start, end, is_old = 0, new, True
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(range_hash(middle, end, node))
            end = middle
        else:
            path.append(range_hash(start, middle, node))
            start, is_old = middle, False
    if not is_old:
        path.append(range_hash(start, end, node))
    path.reverse()
    return path


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether a proof shows that the tree of that root has that leaf hash at that index.

    The algorithm is that of RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Say whether a proof shows that the new tree only added leaves to the old one.

    The algorithm is that of RFC 9162, section 2.1.4.2. Every tree has grown out of the empty one.
    """
    if not 0 <= old <= new:
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT and (new > 0 or new_root == EMPTY_ROOT)
    if old == new:
        return not proof and old_root == new_root
    hashes = list(proof)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    of_old = of_new = hashes[0]
    for each in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            of_old, of_new = node_hash(each, of_old), node_hash(each, of_new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            of_new = node_hash(of_new, each)
        at, last = at >> 1, last >> 1
    return last == 0 and of_old == old_root and of_new == new_root


def _split(size: int) -> int:
    """Return the largest power of two smaller than a size above 1."""
    return 1 << (size - 1).bit_length() - 1
