"""A client's connection: its bytes in clear, TLS or not, and back-pressure both ways."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, Protocol, cast

from daypass.gateway.tls import TlsFailed, TlsLayer

_HIGH_WATER: Final = 256 * 2**10


class Taker(Protocol):
    """Whoever deals with a client at the moment. Calls come from the loop, one at a time."""

    def receive(self, data: bytes) -> None:
        """Take bytes of the client."""

    def tls_started(self, alpn: str | None) -> None:
        """Go on over TLS."""

    def gone(self, reason: str) -> None:
        """Note that the client's connection is over; nothing comes after it."""

    def pause(self) -> None:
        """Bring nothing more for the client: it reads too slowly."""

    def resume(self) -> None:
        """Go on bringing."""


class ClientPort(asyncio.Protocol):
    """One client's connection. `limit_bytes` bounds what it may send before it is let in."""

    __slots__ = (
        "_closing", "_gone", "_out", "_taker", "_tls", "_transport", "limit_bytes",
    )  # fmt: skip

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes: int | None = limit_bytes
        self._transport: asyncio.Transport | None = None
        self._tls: TlsLayer | None = None
        self._taker: Taker | None = None
        self._out: list[bytes | memoryview] = []
        self._closing = False
        self._gone = False

    def hand_to(self, taker: Taker) -> None:
        """Have somebody else deal with the client from now on."""
        self._taker = taker

    @property
    def encrypted(self) -> bool:
        """Say whether TLS has started."""
        return self._tls is not None and self._tls.established

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        # No class of its own tells a loop's stream.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the network."""
        if self._closing or self._taker is None:
            return
        if self.limit_bytes is not None:
            self.limit_bytes -= len(data)
            if self.limit_bytes < 0:
                self.abort()
                return
        if self._tls is None:
            self._taker.receive(data)
        else:
            self._decrypt(self._tls, data)
        self.flush()

    def eof_received(self) -> None:
        """Note that the client sends no more: clients of databases then read no more either."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is over."""
        self._note_gone("the connection broke" if exc is not None else "the client left")

    def pause_writing(self) -> None:
        """Pass on that the client reads too slowly."""
        if self._taker is not None:
            self._taker.pause()

    def resume_writing(self) -> None:
        """Pass on that it reads again."""
        if self._taker is not None:
            self._taker.resume()

    # What takers call

    def start_tls(self, context: ssl.SSLContext, first: bytes) -> None:
        """Go on over TLS, of which the client may have sent something already."""
        self.flush()
        self._tls = TlsLayer(context)
        if first:
            self._decrypt(self._tls, first)

    def write(self, data: bytes | memoryview) -> None:
        """Keep bytes for the client, to be sent by `flush`."""
        if len(data):
            self._out.append(data)

    def flush(self) -> None:
        """Send what was kept, at once."""
        out = self._out
        if not out:
            return
        self._out = []
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        transport.write(data if self._tls is None else self._tls.send(data))

    def pause_reading(self) -> None:
        """Read no more of the client for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Close once everything is sent."""
        if self._closing:
            return
        self.flush()
        self._closing = True
        transport = self._transport
        if transport is not None and not transport.is_closing():
            if self._tls is not None and self._tls.established:
                transport.write(self._tls.close())
            transport.close()

    def abort(self) -> None:
        """Close now."""
        self._closing = True
        self._out.clear()
        if self._transport is not None:
            self._transport.abort()

    def _decrypt(self, tls: TlsLayer, data: bytes) -> None:
        before = tls.established
        try:
            clear = tls.receive(data)
        except TlsFailed:
            # Last comes TLS's own word on what was wrong.
            self._send_raw(tls.outgoing())
            self._closing = True
            if self._transport is not None:
                self._transport.close()
            return
        self._send_raw(tls.outgoing())
        if self._taker is not None and tls.established and not before:
            self._taker.tls_started(tls.alpn)
        if clear and self._taker is not None and not self._closing:
            self._taker.receive(clear)
        if tls.ended:
            self._note_gone("the client left")

    def _send_raw(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _note_gone(self, reason: str) -> None:
        if self._gone:
            return
        self._gone = self._closing = True
        if self._transport is not None:
            self._transport.close()
        if self._taker is not None:
            self._taker.gone(reason)
