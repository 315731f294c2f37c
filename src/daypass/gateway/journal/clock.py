"""The store's clock as this process knows it, without asking each time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StoreClock:
    """Tell the store's time, in microseconds since 1970, from this machine's monotonic clock.

    Until it has been set it tells this machine's own time. A wall clock that is moved here moves
    nothing: only `set` does.
    """

    def __init__(self) -> None:
        self._base_us = time.time_ns() // 1000 - time.monotonic_ns() // 1000
        self._second = -1
        self._second_text = b""

    def set(self, store_time: datetime, asked_ns: int, answered_ns: int) -> None:
        """Take over the store's time, read between two readings of `time.monotonic_ns`."""
        read_us = (store_time - _EPOCH) // timedelta(microseconds=1)
        self._base_us = read_us - (asked_ns + answered_ns) // 2000

    def now_us(self) -> int:
        """Return the store's time now."""
        return self._base_us + time.monotonic_ns() // 1000

    def now_text(self) -> bytes:
        """Write the store's time now, as `text` does."""
        second, rest = divmod(self._base_us + time.monotonic_ns() // 1000, _SECOND_US)
        if second == self._second:
            return b"%b.%06dZ" % (self._second_text, rest)
        return self.text(second * _SECOND_US + rest)

    def text(self, at_us: int) -> bytes:
        """Write a moment as `audit.entry.utc_text` does, encoded."""
        second, rest = divmod(at_us, _SECOND_US)
        if second != self._second:
            written = moment(second * _SECOND_US).strftime("%Y-%m-%dT%H:%M:%S")
            self._second_text = written.encode()
            self._second = second
        return b"%b.%06dZ" % (self._second_text, rest)


def moment(at_us: int) -> datetime:
    """Return a time in microseconds since 1970 as a datetime, exactly."""
    return _EPOCH + timedelta(microseconds=at_us)
