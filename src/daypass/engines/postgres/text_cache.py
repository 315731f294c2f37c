"""What was found out about texts, kept by text and bounded by bytes."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

_ENTRY_BYTES: Final = 2_048
"""What an entry weighs besides its text: facts about a small statement, measured roughly."""


class TextCache(Generic[Value]):
    """The values of the texts used last; the least recently used go first.

    Safe to share between threads; two that miss at once both compute.
    """

    __slots__ = ("_entries", "_lock", "_max_bytes", "_size_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._entries: OrderedDict[str, Value] = OrderedDict()
        self._lock = Lock()
        self._max_bytes = max_bytes
        self._size_bytes = 0

    def __reduce__(self) -> tuple[type[TextCache[Value]], tuple[int]]:
        """Go into another process empty."""
        return type(self), (self._max_bytes,)

    def get(self, text: str) -> Value | None:
        """Return the value of a text, if it is still here."""
        with self._lock:
            value = self._entries.get(text)
            if value is not None:
                self._entries.move_to_end(text)
            return value

    def put(self, text: str, value: Value) -> None:
        """Keep a value; a text that would fill a tenth of the cache is not kept."""
        weight = _weight(text)
        if weight * 10 > self._max_bytes:
            return
        with self._lock:
            if text not in self._entries:
                self._size_bytes += weight
            self._entries[text] = value
            self._entries.move_to_end(text)
            while self._size_bytes > self._max_bytes:
                oldest, _ = self._entries.popitem(last=False)
                self._size_bytes -= _weight(oldest)

    @property
    def size_bytes(self) -> int:
        """Return about how much memory the entries take."""
        return self._size_bytes

    def __len__(self) -> int:
        return len(self._entries)


def _weight(text: str) -> int:
    # The text is kept as the key and again as the statements it was cut into, in up to four bytes
    # a character.
    return _ENTRY_BYTES + 2 * len(text) * (1 if text.isascii() else 4)
