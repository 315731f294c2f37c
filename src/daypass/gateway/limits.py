"""Limits: on connections before anybody is known and after, and those of a session's grant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from daypass.domain.limits import SessionLimits
from daypass.engines.contract import Plan
from daypass.engines.relay_contract import OtherGrant, RelayLimits
from daypass.gateway.throttle import network_of

# Before a client is let in. Its bytes are bounded by the greeting and by what TLS keeps of it.
HANDSHAKE_S: Final = 15.0
DIAL_S: Final = 60.0
HANDSHAKE_BYTES: Final = 64 * 2**10


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one process takes at a time: connections, and those of them not let in yet.

    A place is an IPv4 address or an IPv6 network of 64 bits.
    """

    connections: int = 5000
    per_place: int = 1000
    handshakes: int = 400
    handshakes_per_place: int = 200


def relay_limits(
    given: SessionLimits,
    place: str,
    grant_id: int,
    others: Iterable[tuple[int, datetime, Plan]] = (),
) -> RelayLimits:
    """Return what a relay keeps of a session's limits, on a database that is asked for as this."""
    return RelayLimits(
        statement_timeout_s=given.statement_timeout_s,
        rows=given.rows,
        size_bytes=given.size_bytes,
        parameters=given.parameters,
        exact=given.statements,
        place=place,
        grant_id=grant_id,
        others=tuple(OtherGrant(*each) for each in others),
    )


class Places:
    """Counts connections by where they come from."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._greeting: Counter[str] = Counter()
        self.open_count = 0
        self.greeting_count = 0

    def crowd(self, address: str) -> str | None:
        """Return the place one of whose handshakes has to give way to a new one from an address.

        None while there is room. Connections that say nothing would else keep everybody out.
        """
        place = network_of(address)
        if self._greeting[place] >= self._limits.handshakes_per_place:
            return place
        if self.greeting_count >= self._limits.handshakes:
            return max(self._greeting, key=self._greeting.__getitem__, default=None)
        return None

    def take(self, address: str) -> str | None:
        """Take a place for a new connection, and one for its handshake; say why not, if not."""
        limits, place = self._limits, network_of(address)
        if self.open_count >= limits.connections:
            return "too many connections"
        if self._open[place] >= limits.per_place:
            return "too many connections from this address"
        if self.greeting_count >= limits.handshakes:
            return "too many connections that have not signed in"
        if self._greeting[place] >= limits.handshakes_per_place:
            return "too many connections from this address that have not signed in"
        self._open[place] += 1
        self._greeting[place] += 1
        self.open_count += 1
        self.greeting_count += 1
        return None

    def greeted(self, address: str) -> None:
        """Give a handshake's place back: the client is known, or gone."""
        self.greeting_count -= 1
        _less(self._greeting, network_of(address))

    def left(self, address: str) -> None:
        """Give a connection's place back."""
        self.open_count -= 1
        _less(self._open, network_of(address))


def _less(counter: Counter[str], place: str) -> None:
    counter[place] -= 1
    if counter[place] <= 0:
        # Places are as many as there are addresses: none is kept for nothing.
        del counter[place]
