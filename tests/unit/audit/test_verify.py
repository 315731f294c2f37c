"""Whatever is done to any entry or tile, verifying names it."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from daypass.audit.checkpoint import Checkpoint, sign_checkpoint
from daypass.audit.entry import Entry, EntryKind, canonical
from daypass.audit.leaf import detached_path, make_leaf, read_entry
from daypass.audit.note import SignerKey
from daypass.audit.tiles import Edge, bundle_path, read_bundle, tile_path, write_bundle
from daypass.audit.tree import leaf_hash
from daypass.audit.verify import (
    LogBroken,
    consistent_with,
    parts_of,
    read_checkpoint,
    read_edge,
    verify_log,
)
from daypass.domain.ids import PrincipalId, SessionId

AT = datetime(2026, 11, 21, 12, 0, 0, 5, tzinfo=UTC)
KEY = SignerKey("log.example/daypass", bytes(range(32)))
KEYS = [KEY.verifier]
SIZE = 300
LONG = 17
"""The entry with a text beside the log."""
Parts = dict[str, bytes]


def leaf_at(index: int) -> tuple[bytes, tuple[bytes, ...]]:
    """Return an entry: each third is a record of a gateway's journal."""
    content: dict[str, str | int] = {"text": "x" * (9000 if index == LONG else 9)}
    if index % 3 == 0:
        content |= {"journal": "j", "sequence": index // 3 + 1}
    entry = Entry(
        EntryKind.STATEMENT_STARTED,
        actor_id=PrincipalId(1),
        session_id=SessionId(3),
        content=content,
    )
    text = canonical(entry, AT)
    made = make_leaf(index + 1, text.encode(), read_entry(text), {"session:3": bytes(32)})
    return made.data, made.detached


LEAVES = [leaf_at(index) for index in range(SIZE)]


def log_of(leaves: list[bytes], key: SignerKey = KEY) -> Parts:
    """Return a log that holds those entries, signed."""
    parts: Parts = {}
    edge = Edge()
    for leaf in leaves:
        parts |= dict(edge.add(leaf, leaf_hash(leaf)))
    parts |= dict(edge.partials())
    parts["checkpoint"] = str(
        sign_checkpoint(Checkpoint(KEY.name, edge.size, edge.root()), [key])
    ).encode()
    (text,) = LEAVES[LONG][1]
    parts[detached_path(text)] = text
    return parts


GOOD = [leaf for leaf, _ in LEAVES]
LOG = log_of(GOOD)
_, LONG_TEXT = LONG, detached_path(LEAVES[LONG][1][0])


def broken(parts: Parts) -> LogBroken:
    with pytest.raises(LogBroken) as caught:
        verify_log(parts.get, KEYS, KEY.name)
    return caught.value


def test_a_whole_log() -> None:
    seen = []
    found = verify_log(LOG.get, KEYS, KEY.name, each=lambda index, *_: seen.append(index))
    assert found.checkpoint.size == SIZE
    assert found.journals == {"j": SIZE // 3}
    assert seen == list(range(SIZE))
    assert set(parts_of(SIZE)) | {"checkpoint", LONG_TEXT} == set(LOG)


def test_an_empty_log_and_one_of_a_single_entry() -> None:
    for size in (0, 1, 256):
        parts = log_of(GOOD[:size])
        assert verify_log(parts.get, KEYS, KEY.name).checkpoint.size == size


def rebundled(change: Callable[[list[bytes]], object]) -> Parts:
    """Return the log with entries changed in their bundles, the rest as it was."""
    leaves = list(GOOD)
    change(leaves)
    first, second = leaves[:256], leaves[256:]
    return LOG | {
        bundle_path(0): write_bundle(first),
        bundle_path(1, 44): write_bundle(second),
    }


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("index", range(0, SIZE, 13))
def test_each_entry_flipped_dropped_inserted_replayed_or_swapped(index: int) -> None:
    def flipped(leaves: list[bytes]) -> None:
        leaves[index] = flip(leaves[index], len(leaves[index]) // 2)

    def swapped(leaves: list[bytes]) -> None:
        other = (index + 1) % SIZE
        leaves[index], leaves[other] = leaves[other], leaves[index]

    changes: dict[str, Callable[[list[bytes]], object]] = {
        "flip": flipped,
        "drop": lambda leaves: leaves.pop(index),
        "insert": lambda leaves: leaves.insert(index, b'{"entry":1}'),
        "replay": lambda leaves: leaves.insert(index + 1, leaves[index]),
        "swap": swapped,
        "truncate": lambda leaves: leaves.__setitem__(slice(index, None), []),
    }
    for name, change in changes.items():
        error = broken(rebundled(change))
        named = {"replay": index + 1, "swap": min(index, (index + 1) % SIZE)}
        assert error.index == named.get(name, index), (name, str(error))


@pytest.mark.parametrize("path", sorted(LOG))
def test_each_part_flipped_dropped_cut_or_extended(path: str) -> None:
    data = LOG[path]
    for at in {0, 1, len(data) // 3, len(data) // 2, len(data) - 1}:
        error = broken(LOG | {path: flip(data, at)})
        assert error.path or error.index is not None
    without = {other: each for other, each in LOG.items() if other != path}
    assert broken(without).path == path
    for changed in (data[:-1], data[:-32], data + b"x", data + data, b""):
        if changed != data:
            broken(LOG | {path: changed})


@pytest.mark.parametrize("index", range(0, SIZE, 31))
def test_an_entry_changed_together_with_its_tile(index: int) -> None:
    leaves = list(GOOD)
    leaves[index] = leaf_at(index)[0].replace(b'"kind":"statement', b'"kind":"Statement')
    forged = log_of(leaves)
    # With the tile beside it, and with every tile above it: the signature stays.
    below = {path: each for path, each in forged.items() if path.startswith("tile/entries")}
    for level in (0, 1):
        below |= {p: each for p, each in forged.items() if p.startswith(f"tile/{level}/")}
        error = broken(LOG | below)
        assert error.index in (None, index // 256 * 256)
    assert "exchanged together" in str(broken(forged | {"checkpoint": LOG["checkpoint"]}))


def test_a_log_signed_by_somebody_else() -> None:
    other = SignerKey(KEY.name, bytes(32))
    assert "nobody who is trusted" in str(broken(log_of(GOOD, other)))


@pytest.mark.parametrize(
    ("change", "index", "says"),
    [
        (lambda leaves: leaves.append(leaves[4]), SIZE, "number 5 is in the log a second time"),
        (lambda leaves: leaves.pop(9), 11, "is record 5 of journal j, and record 4 was to come"),
        (lambda leaves: leaves.insert(2, b"{}"), 2, "is no leaf"),
        (lambda leaves: leaves.insert(2, b'{"leaf":1, "entry":900,"content":{}}'), 2, "canonical"),
    ],
)
def test_what_the_key_signed_all_the_same(
    change: Callable[[list[bytes]], object], index: int, says: str
) -> None:
    leaves = list(GOOD)
    change(leaves)
    error = broken(log_of(leaves))
    assert error.index == index
    assert says in str(error)


def test_history_rewritten_with_the_key_shows_against_an_older_checkpoint() -> None:
    old = read_checkpoint(log_of(GOOD[:200]).get, KEYS, KEY.name)
    new = read_checkpoint(LOG.get, KEYS, KEY.name)
    consistent_with(LOG.get, old, new)
    consistent_with(LOG.get, new, new)
    for index in (0, 100, 199):
        leaves = list(GOOD)
        leaves[index], leaves[index + 50] = leaves[index + 50], leaves[index]
        forged = log_of(leaves)
        with pytest.raises(LogBroken, match="history was rewritten"):
            consistent_with(forged.get, old, read_checkpoint(forged.get, KEYS, KEY.name))
    with pytest.raises(LogBroken, match="an older copy was put back"):
        consistent_with(
            log_of(GOOD[:100]).get, old, read_checkpoint(log_of(GOOD[:100]).get, KEYS, KEY.name)
        )


def test_partial_tiles_may_give_way_to_full_ones() -> None:
    whole = log_of(GOOD[:256])
    at_200 = log_of(GOOD[:200])
    grown = {**whole, "checkpoint": at_200["checkpoint"]}
    assert verify_log(grown.get, KEYS, KEY.name).checkpoint.size == 200


def test_an_edge_that_is_not_the_logs_is_refused() -> None:
    checkpoint = read_checkpoint(LOG.get, KEYS, KEY.name)
    assert read_edge(LOG.get, checkpoint).size == SIZE
    path = tile_path(0, 1, SIZE - 256)
    with pytest.raises(LogBroken, match="root that was signed"):
        read_edge((LOG | {path: flip(LOG[path], 3)}).get, checkpoint)
    with pytest.raises(LogBroken, match="is missing"):
        read_edge(lambda _: None, checkpoint)


def test_the_leaves_are_in_the_bundles_as_they_are() -> None:
    assert read_bundle("", LOG[bundle_path(0)]) == GOOD[:256]
    assert base64.b64encode(KEY.seed) not in b"".join(LOG.values())
