"""Names of prepared statements, as the server will have them.

A client may send much before the first answer, and what is answered with an error changes nothing.
So each change is kept as pending on top of the one before it, until the server's answer makes it
real or void; and whoever needs to know a name that is not settled waits (`unsettled`).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from daypass.engines.postgres.relay_reading import Reading

NAME_BYTES = 63
"""The server looks no further at a name: two that differ behind this are one."""

MAX_TEXT_BYTES = 64 * 2**20
MAX_NAMES = 20_000
_ENTRY_BYTES = 512


class State(Enum):
    """Whether a change came about."""

    PENDING = auto()
    REAL = auto()
    VOID = auto()


PENDING: Final = State.PENDING
REAL: Final = State.REAL
VOID: Final = State.VOID


class Definition:
    """What a name stands for from here on; `reading` is None when it is given up.

    `epoch` counts the ends of pipelines before it.
    """

    __slots__ = ("epoch", "key", "previous", "reading", "state", "weight")

    def __init__(
        self, key: bytes, reading: Reading | None, epoch: int, previous: Definition | None
    ) -> None:
        self.key = key
        self.reading = reading
        self.epoch = epoch
        self.previous = previous
        self.state = PENDING
        self.weight = _ENTRY_BYTES + (len(reading.text) if reading is not None else 0)

    def unsettled(self, epoch: int) -> bool:
        """Say whether the server's answer to it is still to come, from before this pipeline."""
        return self.state is PENDING and self.epoch != epoch


class PreparedNames:
    """The names of one session."""

    __slots__ = ("_heads", "_weight")

    def __init__(self) -> None:
        self._heads: dict[bytes, Definition] = {}
        self._weight = 0

    @property
    def full(self) -> bool:
        """Say whether the session holds as many prepared statements as one may."""
        return self._weight > MAX_TEXT_BYTES or len(self._heads) > MAX_NAMES

    def find(self, key: bytes) -> Definition | None:
        """Return what a name stands for, as far as the client has come."""
        found = self._heads.get(key)
        while found is not None and found.state is VOID:
            found = found.previous
        return found

    def unsettled(self, key: bytes, epoch: int) -> bool:
        """Say whether a name depends on an answer to an earlier pipeline that is still to come."""
        found = self.find(key)
        return found is not None and found.unsettled(epoch)

    def define(self, key: bytes, reading: Reading | None, epoch: int) -> Definition:
        """Let a name stand for something else, unless the server says no."""
        made = Definition(key, reading, epoch, self.find(key))
        self._heads[key] = made
        self._weight += made.weight
        return made

    def settle(self, made: Definition) -> None:
        """Note that the server did it."""
        made.state = REAL
        below = made.previous
        while below is not None:
            self._weight -= below.weight
            below = below.previous
        made.previous = None
        if made.reading is None and self._heads.get(made.key) is made:
            del self._heads[made.key]
            self._weight -= made.weight

    def void(self, made: Definition) -> None:
        """Note that the server did not."""
        made.state = VOID
        if self._heads.get(made.key) is not made:
            return
        self._weight -= made.weight
        below = made.previous
        while below is not None and below.state is VOID:
            self._weight -= below.weight
            below = below.previous
        if below is None or (below.reading is None and below.state is REAL):
            del self._heads[made.key]
            self._weight -= below.weight if below is not None else 0
        else:
            self._heads[made.key] = below

    def __iter__(self) -> Iterator[bytes]:
        return iter(tuple(self._heads))

    def __len__(self) -> int:
        return len(self._heads)


def key_of(name: bytes) -> bytes:
    """Return what the server tells a name by."""
    return name if len(name) <= NAME_BYTES else name[:NAME_BYTES]
