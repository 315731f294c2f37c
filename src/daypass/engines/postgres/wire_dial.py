"""Sign in to a target as an account over a connection of asyncio's, for a relay to take over."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from daypass.domain.errors import Unavailable
from daypass.domain.secret import Secret
from daypass.engines.contract import SessionSpec, TargetAddress
from daypass.engines.postgres.admin import CONNECT_TIMEOUT_S
from daypass.engines.postgres.dial import session_settings
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.session_guards import variable_guard
from daypass.engines.postgres.wire.sign_in import Failed, SignedIn, SignIn, SignInEvent
from daypass.engines.postgres.wire.startup import SslRequest
from daypass.engines.postgres.wire_tls import check_options, server_name, target_tls
from daypass.engines.relay_contract import StartTls

_CANCEL_TIMEOUT_S: Final = 5.0
_APPLICATION_BYTES: Final = 63


class _End(asyncio.Protocol):
    """A target's end until a relay takes over: what comes is read by the sign-in, then kept."""

    def __init__(self, signing_in: SignIn) -> None:
        self.signing_in = signing_in
        self.late = bytearray()
        self.transport: asyncio.Transport | None = None
        self._next: asyncio.Future[SignInEvent] | None = None
        self._events: list[SignInEvent] = []
        self._ready = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # No class of its own tells a loop's stream.
        self.transport = cast("asyncio.Transport", transport)
        self.say()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._ready:
            self.late += data
            return
        for event in self.signing_in.receive(data):
            if isinstance(event, SignedIn) and self.transport is not None:
                # Whatever comes next is for the relay.
                self._ready = True
                self.transport.pause_reading()
            self._tell(event)
        self.say()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's own
        """Note that it is over."""
        for event in self.signing_in.closed():
            self._tell(event)

    def say(self) -> None:
        """Send what is outgoing."""
        data = self.signing_in.outgoing()
        if data and self.transport is not None:
            self.transport.write(data)

    async def event(self) -> SignInEvent:
        """Return the next event."""
        if not self._events:
            self._next = asyncio.get_running_loop().create_future()
            await self._next
        return self._events.pop(0)

    def _tell(self, event: SignInEvent) -> None:
        self._events.append(event)
        if self._next is not None and not self._next.done():
            self._next.set_result(event)


class PostgresLine:
    """See `Line` of the relay's contract."""

    def __init__(
        self,
        account: str,
        end: _End,
        transport: asyncio.Transport,
        signed_in: SignedIn,
        address: TargetAddress,
        context: ssl.SSLContext | None,
    ) -> None:
        self._account = account
        self._end = end
        self._transport = transport
        self._signed_in = signed_in
        self._address = address
        self._context = context
        self._peer = transport.get_extra_info("peername")

    @property
    def transport(self) -> asyncio.Transport:
        """Return the connection, TLS and all."""
        return self._transport

    @property
    def account(self) -> str:
        """Return the account's name on the target."""
        return self._account

    @property
    def backend_id(self) -> int:
        """Return the server's own number of the connection."""
        return self._signed_in.backend_id

    @property
    def parameters(self) -> Mapping[str, str]:
        """Return what the server said of its settings."""
        return self._signed_in.parameters

    @property
    def reserved(self) -> bytes:
        """Return what came after the server was ready."""
        return self._signed_in.reserved + bytes(self._end.late)

    async def cancel(self) -> None:
        """Have the server cancel what runs, over a connection of its own to the same machine.

        Best effort: it takes a few seconds at most, and the server never says whether it did.
        """
        with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
            async with asyncio.timeout(_CANCEL_TIMEOUT_S):
                await self._cancel()

    async def _cancel(self) -> None:
        done = _Once(self._context is not None)
        transport = await _connected(self._address, lambda: done, self._peer)
        try:
            if self._context is not None:
                transport.write(SslRequest().build())
                if await done.answer() != b"S":
                    return
                transport = await _over_tls(transport, done, self._context, self._address)
            transport.write(self._signed_in.cancel_request())
            await done.closed.wait()
        finally:
            transport.close()

    async def aclose(self) -> None:
        """Close the connection, when no relay has it yet."""
        self._transport.abort()


class _Once(asyncio.Protocol):
    """A connection to cancel by: at most one byte comes, then its end."""

    def __init__(self, waits: bool) -> None:
        self.closed = asyncio.Event()
        self._answered = asyncio.get_running_loop().create_future()
        if not waits:
            self._answered.set_result(b"")

    def data_received(self, data: bytes) -> None:
        """Take the answer to whether there is TLS; plain bytes behind it make it none."""
        if not self._answered.done():
            self._answered.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's own
        """Note that the server has done it."""
        self.closed.set()
        if not self._answered.done():
            self._answered.set_result(b"")

    async def answer(self) -> bytes:
        """Return the answer."""
        answer: bytes = await self._answered
        return answer


async def dial_line(
    address: TargetAddress,
    plan: PostgresPlan,
    spec: SessionSpec,
    settings: Sequence[tuple[str, str]],
    password: Secret,
) -> PostgresLine:
    """Sign in and leave the connection paused. Raises `Unavailable` when it is not let in.

    A client's settings give way to those of the session; what no session may set is left out.
    """
    check_options(address.options)
    tls, context = target_tls(address)
    wanted = {name: value for name, value in settings if not variable_guard(name, value)}
    wanted |= dict(session_settings(plan, spec))
    # The encoding goes in by itself, and a name too long would be cut with a notice.
    wanted.pop("client_encoding", None)
    signing_in = SignIn(
        user=spec.account,
        database=plan.database,
        password=password,
        application=_cut(spec.application),
        settings=tuple(wanted.items()),
        tls=tls,
        nonce=secrets.token_urlsafe(24),
    )
    end = _End(signing_in)
    transport: asyncio.Transport | None = None
    try:
        async with asyncio.timeout(_timeout_s(address)):
            transport = await _connected(address, lambda: end)
            event = await end.event()
            encrypted = isinstance(event, StartTls)
            if encrypted and context is not None:
                transport = await _over_tls(transport, end, context, address)
                end.transport = transport
                certificate = transport.get_extra_info("ssl_object").getpeercert(True)
                signing_in.tls_started(certificate)
                end.say()
                event = await end.event()
    except (OSError, TimeoutError) as error:
        if transport is not None:
            transport.abort()
        said = "in time" if isinstance(error, TimeoutError) else f"({error})"
        raise Unavailable(
            f"the target cannot be reached {said}", code="target_unreachable"
        ) from error
    except BaseException:
        if transport is not None:
            transport.abort()
        raise
    match event:
        case SignedIn():
            return PostgresLine(
                spec.account, end, transport, event, address, context if encrypted else None
            )
        case Failed(refused):
            transport.abort()
            raise refused
        case StartTls():
            transport.abort()
            raise RuntimeError("TLS was asked for twice")


async def _connected(
    address: TargetAddress, make: Callable[[], asyncio.Protocol], peer: object = None
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    if address.host.startswith("/"):
        local, _ = await loop.create_unix_connection(
            make, f"{address.host}/.s.PGSQL.{address.port}"
        )
        return local
    host, port = address.options.get("hostaddr") or address.host, address.port
    if isinstance(peer, tuple):
        # A name may stand for several machines: what runs, runs on that one.
        host, port = peer[0], peer[1]
    transport, _ = await loop.create_connection(make, host, port)
    _keep_alive(transport)
    return transport


async def _over_tls(
    transport: asyncio.Transport,
    end: asyncio.Protocol,
    context: ssl.SSLContext,
    address: TargetAddress,
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    started = await loop.start_tls(
        transport, end, context, server_hostname=server_name(address) or ""
    )
    if started is None:
        raise ConnectionResetError("the target closed the connection")
    return started


def _keep_alive(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)


def _timeout_s(address: TargetAddress) -> float:
    given = address.options.get("connect_timeout", "")
    return float(given) if given.isdecimal() and int(given) > 0 else float(CONNECT_TIMEOUT_S)


def _cut(application: str) -> str:
    return application.encode()[:_APPLICATION_BYTES].decode(errors="ignore")
