"""TLS toward clients, without I/O: bytes of the network in, bytes of the client out.

A client may begin with TLS or ask for it first; either way some bytes have been read before that is
known, which a transport of its own could not be given back.
"""

from __future__ import annotations

import contextlib
import ssl

_READ_BYTES = 65_536


class TlsFailed(Exception):
    """The client and we do not agree on TLS, or what came is no TLS; nothing goes on."""


class TlsLayer:
    """One connection's TLS, on the server's side. After any failure it is over."""

    __slots__ = ("_incoming", "_object", "_outgoing", "ended", "established")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.established = False
        self.ended = False
        """The client has said that it sends no more."""

    @property
    def alpn(self) -> str | None:
        """Return the protocol that was agreed on by ALPN, if any."""
        return self._object.selected_alpn_protocol()

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the network and return those of the client, if there are any yet.

        There may be something `outgoing` afterwards, also when it raises `TlsFailed`.
        """
        self._incoming.write(data)
        try:
            if not self.established:
                self._object.do_handshake()
                self.established = True
            return self._read()
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise TlsFailed(error.reason or "TLS failed") from error

    def _read(self) -> bytes:
        parts: list[bytes] = []
        while not self.ended and (self._incoming.pending or self._object.pending()):
            try:
                part = self._object.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                part = b""
            if not part:
                self.ended = True
                break
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def send(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take bytes for the client and return those for the network."""
        view = memoryview(data)
        while view:
            view = view[self._object.write(view) :]
        return self._outgoing.read()

    def outgoing(self) -> bytes:
        """Take what TLS itself has to send."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def close(self) -> bytes:
        """Say goodbye, and return what to send last."""
        # The other side's goodbye is not waited for, as most clients send none.
        with contextlib.suppress(ssl.SSLError, ValueError):
            self._object.unwrap()
        return self._outgoing.read()
