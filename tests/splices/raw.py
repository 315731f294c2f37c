"""Two ways to the same database that speak bytes: through a gateway, and as a session's role."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, cast

from daypass.engines.postgres.wire.body import message
from daypass.engines.postgres.wire.client_messages import Query
from daypass.engines.postgres.wire.server_messages import Report
from daypass.engines.relay_contract import Line

READY: Final = b"Z"
_PLACES: Final = frozenset("PpWFLR")
"""Fields of an error that say where it was: in the text, or in the server's own source."""


@dataclass(frozen=True)
class Answer:
    """What came back, message by message; an error without where it was."""

    messages: tuple[bytes, ...]

    @property
    def sqlstate(self) -> str:
        """Return the first error's SQLSTATE, empty for none."""
        for each in self.messages:
            if each[:1] == b"E":
                return Report.read(each).sqlstate
        return ""

    @property
    def text(self) -> str:
        """Return the first error's text."""
        for each in self.messages:
            if each[:1] == b"E":
                return dict(Report.read(each).fields)["M"].decode()
        return ""


class Wire(asyncio.Protocol):
    """Asks with Query and gathers what comes until the server is ready."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._gathered: list[bytes] = []
        self._waiting: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def over(cls, line: Line) -> Wire:
        """Take a line over."""
        found = cls()
        found._transport = line.transport
        line.transport.set_protocol(found)
        line.transport.resume_reading()
        return found

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # Not every loop's transports are instances of it.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Cut what comes into messages."""
        self._unread += data
        at = 0
        ready = False
        while len(self._unread) - at >= 5:
            end = at + 1 + int.from_bytes(self._unread[at + 1 : at + 5], "big")
            if end > len(self._unread):
                break
            self._gathered.append(bytes(self._unread[at:end]))
            ready = self._gathered[-1][:1] == READY
            at = end
        del self._unread[:at]
        if ready and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionError(repr(self._gathered[-3:])))

    async def ask(self, text: str | bytes) -> Answer:
        """Send a Query and return what it is answered."""
        assert self._transport is not None
        self._gathered = []
        self._waiting = asyncio.get_running_loop().create_future()
        sent = Query(text).build() if isinstance(text, str) else message(b"Q", text, b"\0")
        self._transport.write(sent)
        await asyncio.wait_for(self._waiting, 60)
        return Answer(tuple(_comparable(each) for each in self._gathered))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


def _comparable(one: bytes) -> bytes:
    if one[:1] not in (b"E", b"N"):
        return one
    report = Report.read(one)
    kept = tuple((letter, value) for letter, value in report.fields if letter not in _PLACES)
    return one[:1] + repr(kept).encode() if one[:1] == b"N" else Report("E", kept).build()
