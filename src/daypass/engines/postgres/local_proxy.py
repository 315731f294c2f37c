"""A local port for tools that cannot keep a secret: it signs in to the gateway in their place.

Nobody but the user who runs it gets in: the kernel says whose a local connection is (Linux), and
where it does not, a user name that was made for this one run has to be given.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from daypass.domain.duration import parse_duration
from daypass.domain.errors import Error, Invalid, Unavailable
from daypass.domain.secret import Secret
from daypass.engines.postgres.wire.authentication import (
    AUTHENTICATION_OK,
    BackendKeyData,
    NegotiateProtocolVersion,
)
from daypass.engines.postgres.wire.identity import hello_of
from daypass.engines.postgres.wire.reports import fatal_report
from daypass.engines.postgres.wire.server_messages import IDLE, ParameterStatus, ReadyForQuery
from daypass.engines.postgres.wire.sign_in import Failed, SignedIn, SignIn, SignInEvent
from daypass.engines.postgres.wire.startup import (
    CancelRequest,
    GssRequest,
    SslRequest,
    Startup,
    packet_length,
    read_startup_packet,
)
from daypass.engines.postgres.wire.violation import ProtocolViolation
from daypass.engines.relay_contract import StartTls

_TCP_TABLE: Final = Path("/proc/net/tcp")
_TCP6_TABLE: Final = Path("/proc/net/tcp6")
_ESTABLISHED: Final = "01"
_MAPPED: Final = "0000000000000000FFFF0000"
"""What stands before an IPv4 address that a socket of IPv6 connects to, as those of JDBC do."""
_STARTUP_S: Final = 15.0
_HIGH_WATER: Final = 256 * 2**10


@dataclass(frozen=True, slots=True)
class GatewayWay:
    """The gateway and whose name is used there; `asked` are options such as `grant`."""

    host: str
    port: int
    user: str
    database: str
    certificate: str
    encrypted: bool
    asked: tuple[tuple[str, str], ...] = ()
    wait_s: float = 60.0


class LocalProxy:
    """Takes connections of this user on the loopback address and leads them to one database.

    `local_user` is the name that has to be given, empty where the kernel tells whose they are.
    """

    def __init__(self, way: GatewayWay, token: Callable[[], Secret], local_user: str) -> None:
        self._way = way
        self._token = token
        self._local_user = local_user
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, port: int, ready: Callable[[int], None]) -> None:
        """Serve until cancelled; `ready` is told the port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Pipe(self._arrived), "127.0.0.1", port)
        try:
            ready(server.sockets[0].getsockname()[1])
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()

    def _arrived(self, pipe: _Pipe) -> None:
        task = asyncio.get_running_loop().create_task(self._serve_one(pipe), name="local-client")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_one(self, pipe: _Pipe) -> None:
        try:
            if not self._local_user and not _is_ours(pipe.peer, pipe.own):
                raise Unavailable("this local port serves one user, and you are another")
            async with asyncio.timeout(_STARTUP_S):
                packet = await _startup(pipe)
            if isinstance(packet, CancelRequest):
                await self._cancel(packet)
                pipe.close()
                return
            hello = hello_of(packet)
            if self._local_user and not hmac.compare_digest(
                hello.user.encode(), self._local_user.encode()
            ):
                raise Unavailable("give the user name that daypass proxy printed")
            if hello.database not in (self._way.database, self._way.database.split("/")[-1]):
                raise Invalid(
                    f"this port leads to {self._way.database} and no other database",
                    next_step=f"daypass proxy {hello.database} opens one that leads there"
                    if "/" in hello.database
                    else f"connect with dbname={self._way.database}",
                    code="other_database",
                )
            # What the client says of its own counts: it is the same person.
            asked = {**dict(self._way.asked), **hello.asked}
            signing_in = SignIn(
                user=self._way.user,
                database=self._way.database,
                password=self._token(),
                application=hello.application,
                settings=(
                    *((f"daypass.{name}", value) for name, value in asked.items()),
                    *hello.settings,
                ),
                tls="required" if self._way.encrypted else "none",
                nonce=secrets.token_urlsafe(24),
            )
            greeting = []
            if packet.minor or packet.protocol_options:
                greeting.append(NegotiateProtocolVersion(0, packet.protocol_options).build())
            greeting.append(AUTHENTICATION_OK)

            def tell(notices: bytes) -> None:
                # Clients take notices only once they know that they are let in.
                pipe.write(b"".join(greeting) + notices)
                greeting.clear()

            async with asyncio.timeout(self._way.wait_s + _waits_s(hello.asked)):
                upstream, signed_in = await self._signed_in(signing_in, tell)
            said = [*greeting]
            said += [ParameterStatus(k, v).build() for k, v in signed_in.parameters.items()]
            said.append(BackendKeyData(signed_in.backend_id, signed_in.secret[:4]).build())
            said.append(ReadyForQuery(IDLE).build())
            pipe.write(b"".join(said) + signed_in.reserved)
            pipe.join(upstream)
        except Error as error:
            pipe.write(fatal_report(error).build())
            pipe.close()
        except (OSError, TimeoutError):
            away = Unavailable("the gateway cannot be reached", next_step="see daypass whoami")
            pipe.write(fatal_report(away).build())
            pipe.close()

    async def _connected(self) -> _Pipe:
        pipe = _Pipe(lambda _: None)
        await asyncio.get_running_loop().create_connection(
            lambda: pipe, self._way.host, self._way.port
        )
        return pipe

    async def _signed_in(
        self, signing_in: SignIn, tell: Callable[[bytes], None]
    ) -> tuple[_Pipe, SignedIn]:
        pipe = await self._connected()
        try:
            while True:
                pipe.write(signing_in.outgoing())
                data = await pipe.read()
                events: tuple[SignInEvent, ...]
                events = signing_in.receive(data) if data else signing_in.closed()
                notices = signing_in.notices()
                if notices:
                    tell(notices)
                for event in events:
                    match event:
                        case StartTls():
                            certificate = await pipe.start_tls(self._context(), self._way.host)
                            signing_in.tls_started(certificate)
                        case SignedIn():
                            return pipe, event
                        case Failed(error):
                            raise error
        except BaseException:
            pipe.close()
            raise

    async def _cancel(self, packet: CancelRequest) -> None:
        pipe = await self._connected()
        with contextlib.suppress(OSError):
            if self._way.encrypted:
                pipe.write(SslRequest().build())
                if await pipe.read() != b"S":
                    return
                await pipe.start_tls(self._context(), self._way.host)
            pipe.write(packet.build())
            await pipe.read()
        pipe.close()

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self._way.certificate or None)
        context.set_alpn_protocols(["postgresql"])
        return context


class _Pipe(asyncio.Protocol):
    """One end: read from until it is joined with another, to which everything then goes."""

    def __init__(self, arrived: Callable[[_Pipe], None]) -> None:
        self._arrived = arrived
        self._received = bytearray()
        self._more = asyncio.Event()
        self._ended = False
        self._other: _Pipe | None = None
        self._transport: asyncio.Transport | None = None
        self.peer: tuple[str, int] = ("", 0)
        self.own: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # No class of its own tells a loop's stream.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        self.peer = transport.get_extra_info("peername")[:2]
        self.own = transport.get_extra_info("sockname")[:2]
        self._arrived(self)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, or keep them for `read`."""
        if self._other is not None:
            self._other.write(data)
            return
        self._received += data
        self._more.set()
        if len(self._received) > _HIGH_WATER and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's own
        """Let the other end go too."""
        self._ended = True
        self._more.set()
        if self._other is not None:
            self._other.close()

    def pause_writing(self) -> None:
        """Read the other end no more while this one is full."""
        if self._other is not None and self._other._transport is not None:
            self._other._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read it again."""
        if self._other is not None and self._other._transport is not None:
            self._other._transport.resume_reading()

    async def read(self) -> bytes:
        """Return what has come; nothing once it has ended."""
        while not self._received and not self._ended:
            self._more.clear()
            await self._more.wait()
        taken = bytes(self._received)
        self._received.clear()
        return taken

    def unread(self, data: bytes) -> None:
        """Put bytes back in front."""
        self._received[:0] = data

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is sent."""
        if self._transport is not None:
            self._transport.close()

    async def start_tls(self, context: ssl.SSLContext, name: str) -> bytes:
        """Go on over TLS and return the other side's certificate in DER."""
        if self._transport is None:
            raise ConnectionResetError
        loop = asyncio.get_running_loop()
        started = await loop.start_tls(self._transport, self, context, server_hostname=name)
        if started is None:
            raise ConnectionResetError
        self._transport = started
        certificate: bytes = started.get_extra_info("ssl_object").getpeercert(True)
        return certificate

    def join(self, other: _Pipe) -> None:
        """Pass on whatever comes from either to the other, from now on."""
        self._other, other._other = other, self
        for one, another in ((self, other), (other, self)):
            another.write(bytes(one._received))
            one._received.clear()
            if one._ended:
                another.close()
            elif one._transport is not None:
                one._transport.resume_reading()


async def _startup(pipe: _Pipe) -> Startup | CancelRequest:
    """Return the packet a local client begins with; what comes behind it stays."""
    received = b""
    while True:
        data = await pipe.read()
        if not data:
            raise ProtocolViolation("the client left")
        received += data
        length = packet_length(received)
        while length is not None and len(received) >= length:
            packet = read_startup_packet(received[:length])
            received = received[length:]
            match packet:
                case SslRequest() | GssRequest():
                    # It never leaves this machine.
                    pipe.write(b"N")
                    length = packet_length(received)
                case Startup() | CancelRequest():
                    pipe.unread(received)
                    return packet


def _waits_s(asked: Mapping[str, str]) -> float:
    """Return for how long a client wants to be held; the gateway says what is wrong with it."""
    try:
        return parse_duration(asked.get("wait", "0s")).total_seconds()
    except Invalid:
        return 0.0


def one_time_user() -> str:
    """Return the name to ask for where the kernel does not tell whose a connection is."""
    return "" if _TCP_TABLE.exists() else f"local_{secrets.token_urlsafe(18)}"


def _is_ours(peer: tuple[str, int], own: tuple[str, int]) -> bool:
    """Say whether a local connection is of this user, by the kernel's table of them."""

    def written(address: tuple[str, int]) -> str:
        octets = bytes(int(each) for each in address[0].split("."))
        return f"{int.from_bytes(octets, 'little'):08X}:{address[1]:04X}"

    for table, prefix in ((_TCP_TABLE, ""), (_TCP6_TABLE, _MAPPED)):
        if not table.exists():
            continue
        wanted = [prefix + written(peer), prefix + written(own)]
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[1:3] == wanted:
                # One that its owner has closed already is shown as root's.
                return fields[3] == _ESTABLISHED and int(fields[7]) == os.getuid()
    return False
