"""A client that speaks the protocol message by message, and so can be stopped at any of them."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from dataclasses import dataclass
from typing import Final

from daypass.domain.secret import Secret
from daypass.engines.postgres.wire.sign_in import Failed, SignedIn, SignIn
from daypass.engines.relay_contract import StartTls

_CHUNK: Final = 65_536


class Refused(Exception):
    """The gateway did not let the client in, or the connection broke."""


@dataclass(frozen=True)
class Login:
    """What a client signs in with."""

    port: int
    user: str
    token: str
    grant_id: int
    tag: str
    tls: bool = False


def message(kind: str, body: bytes) -> bytes:
    """Build one message."""
    return kind.encode() + (len(body) + 4).to_bytes(4, "big") + body


def query(text: str) -> bytes:
    """Build a simple query."""
    return message("Q", text.encode() + b"\0")


def parse(name: str, text: str) -> bytes:
    """Build a Parse."""
    return message("P", name.encode() + b"\0" + text.encode() + b"\0\0\0")


def bind(portal: str, name: str) -> bytes:
    """Build a Bind without values."""
    return message("B", portal.encode() + b"\0" + name.encode() + b"\0\0\0\0\0\0\0")


def describe(what: str, name: str) -> bytes:
    """Build a Describe of a statement or a portal."""
    return message("D", what.encode() + name.encode() + b"\0")


def execute(portal: str, rows: int = 0) -> bytes:
    """Build an Execute."""
    return message("E", portal.encode() + b"\0" + rows.to_bytes(4, "big"))


SYNC: Final = message("S", b"")
FLUSH: Final = message("H", b"")
TERMINATE: Final = message("X", b"")


class Speaker:
    """One client's connection."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.signed_in: SignedIn | None = None
        self.heard: list[bytes] = []
        """Kinds of messages, since it signed in."""
        self.errors: list[str] = []
        """SQLSTATEs of errors."""
        self._data = bytearray()
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def connect(self) -> None:
        """Sign in. Raises `Refused` when that fails."""
        login = self.login
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", login.port)
        signing_in = SignIn(
            user=login.user,
            database="prod/shop",
            password=Secret(login.token),
            application=login.tag,
            settings=(("daypass.grant", str(login.grant_id)),),
            tls="required" if login.tls else "none",
            nonce=secrets.token_urlsafe(18),
        )
        while True:
            self._writer.write(signing_in.outgoing())
            data = await self._reader.read(_CHUNK)
            for event in signing_in.receive(data) if data else signing_in.closed():
                match event:
                    case StartTls():
                        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                        context.check_hostname = False
                        context.verify_mode = ssl.CERT_NONE
                        await self._writer.start_tls(context)
                        found = self._writer.get_extra_info("ssl_object")
                        signing_in.tls_started(found.getpeercert(True))
                    case SignedIn():
                        self.signed_in = event
                        self._data += event.reserved
                        return
                    case Failed(error, state):
                        raise Refused(f"{state} {error.message}")

    async def say(self, *parts: bytes) -> None:
        """Send."""
        self._writer.write(b"".join(parts))
        await self._writer.drain()

    async def hear(self, kind: str) -> None:
        """Read on until a message of that kind was read."""
        while True:
            while len(self._data) >= 5:
                size = 1 + int.from_bytes(self._data[1:5], "big")
                if len(self._data) < size:
                    break
                raw = bytes(self._data[:size])
                del self._data[:size]
                self.heard.append(raw[:1])
                if raw[:1] == b"E":
                    fields = raw[5:].split(b"\0")
                    self.errors += [each[1:].decode() for each in fields if each[:1] == b"C"]
                if raw[:1] == kind.encode():
                    return
                if raw[:1] == b"E" and kind not in ("E", "Z"):
                    raise Refused(f"an error came: {self.errors[-1]}")
            data = await self._reader.read(_CHUNK)
            if not data:
                raise Refused("the gateway closed the connection")
            self._data += data

    async def cancel(self) -> None:
        """Ask for what runs to be cancelled, over a connection of its own; wait until it is."""
        assert self.signed_in is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.login.port)
        try:
            writer.write(self.signed_in.cancel_request())
            await reader.read(1)
        finally:
            writer.close()

    async def leave(self) -> None:
        """Say goodbye and read until the end."""
        await self.say(TERMINATE)
        while await self._reader.read(_CHUNK):
            pass

    def drop(self) -> None:
        """Close."""
        if hasattr(self, "_writer"):
            self._writer.transport.abort()
