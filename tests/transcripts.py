"""Conversations with real clients and servers, as they were captured, and all ways to cut them.

A line is a kind and a Python literal: `C` what the client sent and `S` what the server sent, `T` a
certificate with which TLS began, `E` an event in words.
"""

import itertools
import random
import time
from ast import literal_eval
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "unit" / "engines" / "postgres" / "wire" / "transcripts"


@dataclass(frozen=True)
class Transcript:
    """One conversation: what it is, and its lines in order."""

    title: str
    lines: tuple[tuple[str, bytes | str], ...]

    def bytes_of(self, kind: str) -> bytes:
        """Return all that one side sent."""
        return b"".join(what for each, what in self.lines if each == kind and type(what) is bytes)


def read(name: str) -> Transcript:
    """Read one by its name."""
    title, *lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    parsed = []
    for line in lines:
        kind, _, what = line.partition(" ")
        parsed.append((kind, what if kind == "E" else literal_eval(what)))
    return Transcript(title.removeprefix("# "), tuple(parsed))


def names(prefix: str) -> list[str]:
    """List the transcripts whose names begin so."""
    return sorted(each.stem for each in FOLDER.glob(f"{prefix}*.txt"))


def cuts(data: bytes) -> Iterator[tuple[bytes, ...]]:
    """Cut bytes in two at every place, and into single bytes."""
    for at in range(1, len(data)):
        yield data[:at], data[at:]
    yield tuple(data[at : at + 1] for at in range(len(data)))


def messages(data: bytes) -> list[bytes]:
    """Split well-formed messages the plain way."""
    found = []
    at = 0
    while at < len(data):
        after = at + 1 + int.from_bytes(data[at + 1 : at + 5])
        found.append(data[at:after])
        at = after
    return found


def mutations(of: list[str], seconds: float) -> Iterator[tuple[random.Random, bytes]]:
    """Yield what was captured with bytes changed, lost, doubled or moved, for some time.

    The chance that comes along made it and is seeded: a failure names the seed by `repr`.
    """
    sources = [read(name).bytes_of(side) for name in of for side in "CS"]
    until = time.monotonic() + seconds
    for seed in itertools.count():
        if time.monotonic() > until:
            return
        chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        data = bytearray(chance.choice(sources))
        start = chance.randrange(len(data))
        data = data[start : start + chance.randrange(2000)] if chance.random() < 0.3 else data
        for _ in range(chance.randrange(1, 8)):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    del data[at : at + chance.randrange(20)]
                case 2:
                    data[at:at] = data[at : at + chance.randrange(40)]
                case _:
                    data[at:at] = chance.randbytes(chance.randrange(12))
        yield chance, bytes(data)
