"""Slow further tries to sign in after failures, without letting one lock out another.

Access tokens cannot be guessed: this keeps noise off the store and the audit log. Failures are kept
in memory, per process and bounded in number: of a person and address together, which slows soonest,
and of an address for anybody. Neither slows whom an address has let in lately: behind one balancer
anybody could keep out anybody else by failing in their name.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

_MOST_KEPT: Final = 20_000
_FORGOTTEN_S: Final = 900.0
_LONGEST_S: Final = 60.0
_FREE_PAIR: Final = 5
_FREE_ADDRESS: Final = 100
_LONGEST_NAME: Final = 320


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class Throttle:
    """Failed tries and who got in; `now` is seconds of a clock that does not jump."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._let_in: OrderedDict[tuple[str, str], float] = OrderedDict()

    def wait_s(self, user: str, address: str, now: float) -> float:
        """Return for how long a try has to wait; 0 lets it through."""
        user, place = _name(user), network_of(address)
        if self._let_in.get((user, place), -_FORGOTTEN_S) + _FORGOTTEN_S > now:
            return 0.0
        pair = self._left((user, place), _FREE_PAIR, now)
        return max(pair, self._left(("", place), _FREE_ADDRESS, now))

    def failed(self, user: str, address: str, now: float) -> int:
        """Count a failure and return how many there were from there as that user."""
        place = network_of(address)
        self._count(("", place), now)
        return self._count((_name(user), place), now)

    def succeeded(self, user: str, address: str, now: float) -> None:
        """Forget a user's failures from an address."""
        key = (_name(user), network_of(address))
        self._failures.pop(key, None)
        self._let_in.pop(key, None)
        self._let_in[key] = now
        while len(self._let_in) > _MOST_KEPT:
            self._let_in.popitem(last=False)

    def _left(self, key: tuple[str, str], free: int, now: float) -> float:
        found = self._failures.get(key)
        if found is None or found.count < free or now - found.last > _FORGOTTEN_S:
            return 0.0
        pause: float = min(2.0 ** min(found.count - free, 10), _LONGEST_S)
        return max(0.0, found.last + pause - now)

    def _count(self, key: tuple[str, str], now: float) -> int:
        found = self._failures.pop(key, None)
        if found is None or now - found.last > _FORGOTTEN_S:
            found = _Failures(0, now)
        found.count += 1
        found.last = now
        self._failures[key] = found
        while len(self._failures) > _MOST_KEPT:
            self._failures.popitem(last=False)
        return found.count


class Pace:
    """How fast people may do something: `per_second` on average, `burst` at once.

    What goes beyond is done all the same, and has to be waited for afterwards: nothing is refused,
    and over time nobody has more. It is kept in memory, per process and bounded in number.
    """

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left: OrderedDict[int, tuple[float, float]] = OrderedDict()

    def spend(self, principal_id: int, now: float) -> float:
        """Note that somebody did it, and return for how many seconds they have to wait."""
        if self._per_second <= 0:
            return 0.0
        left, last = self._left.pop(principal_id, (self._burst, now))
        left = min(self._burst, left + (now - last) * self._per_second) - 1
        self._left[principal_id] = left, now
        if len(self._left) > _MOST_KEPT:
            self._left.popitem(last=False)
        return max(0.0, -left / self._per_second)

    def wait_s(self, principal_id: int, now: float) -> float:
        """Return for how many seconds somebody would have to wait, without doing it."""
        if self._per_second <= 0 or principal_id not in self._left:
            return 0.0
        left, last = self._left[principal_id]
        left = min(self._burst, left + (now - last) * self._per_second) - 1
        return max(0.0, -left / self._per_second)


def _name(user: str) -> str:
    """Return what one person's name has in common however it is written, and never much of it."""
    return user.strip().lower()[:_LONGEST_NAME]


def network_of(address: str) -> str:
    """Return what one caller can easily change its address within."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False))
