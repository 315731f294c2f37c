"""Signing in to a target as a session's account, without I/O.

Whoever drives it connects, sends what is outgoing, starts TLS when told to, and hands in bytes
until it is `SignedIn` or `Failed`. Only SCRAM is spoken: it never gives the password away, and the
server proves that it knows it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from daypass.domain.errors import Unavailable
from daypass.domain.secret import Secret
from daypass.engines.postgres.wire.authentication import (
    AuthenticationOk,
    AuthenticationOther,
    AuthenticationSasl,
    AuthenticationSaslContinue,
    AuthenticationSaslFinal,
    BackendKeyData,
    NegotiateProtocolVersion,
    read_authentication,
)
from daypass.engines.postgres.wire.client_messages import SaslInitialResponse, SaslResponse
from daypass.engines.postgres.wire.framing import HEADER_BYTES, kind_name
from daypass.engines.postgres.wire.scram import ScramClient, certificate_hash
from daypass.engines.postgres.wire.server_messages import (
    IDLE,
    ParameterStatus,
    ReadyForQuery,
    Report,
)
from daypass.engines.postgres.wire.startup import (
    NEWEST_MINOR,
    STARTUP_BYTES,
    CancelRequest,
    SslRequest,
    Startup,
    join_options,
)
from daypass.engines.postgres.wire.violation import ProtocolViolation
from daypass.engines.relay_contract import StartTls

MESSAGE_BYTES = 65_536
GREETING_BYTES = 2**20
"""What a server may say in all until it is ready."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The session is ready: what the server said on the way, and what came behind it."""

    backend_id: int
    secret: bytes = field(repr=False)
    parameters: Mapping[str, str]
    reserved: bytes

    def cancel_request(self) -> bytes:
        """Return what to send over a connection of its own to cancel what runs here.

        Over TLS where the session is: in front of it goes the same `SslRequest`.
        """
        return CancelRequest(self.backend_id, self.secret).build()


@dataclass(frozen=True, slots=True)
class Failed:
    """The session is not let in; `sqlstate` is the server's, empty where the protocol failed."""

    error: Unavailable
    sqlstate: str = ""


SignInEvent = StartTls | SignedIn | Failed


class _State(Enum):
    TLS_ASKED = auto()
    STARTING_TLS = auto()
    STARTUP = auto()
    CHALLENGED = auto()
    PROVEN = auto()
    VERIFIED = auto()
    ACCEPTED = auto()
    OVER = auto()


class SignIn:
    """One sign-in; after `SignedIn` or `Failed` it is over.

    `tls` is `required`, `offered` (used when the server has it) or `none`. `settings` go in as
    options, so that none can stand for the user. `nonce` is fresh, random and printable.
    """

    def __init__(
        self,
        *,
        user: str,
        database: str,
        password: Secret,
        application: str,
        settings: Sequence[tuple[str, str]],
        tls: str,
        nonce: str,
    ) -> None:
        if tls not in ("required", "offered", "none"):
            raise ValueError("tls is one of required, offered, none")
        self._startup = Startup(
            NEWEST_MINOR,
            (
                ("user", user),
                ("database", database),
                ("application_name", application),
                ("client_encoding", "UTF8"),
                ("options", join_options(tuple(settings))),
            ),
        ).build()
        if len(self._startup) > STARTUP_BYTES:
            raise Unavailable(
                "the settings of the session are longer than a server takes",
                code="session_settings_too_long",
            )
        self._password = password
        self._tls = tls
        self._nonce = nonce
        self._binding: bytes | None = None
        self._scram: ScramClient | None = None
        self._received = bytearray()
        self._received_bytes = 0
        self._outgoing = bytearray()
        self._parameters: dict[str, str] = {}
        self._key: BackendKeyData | None = None
        self._notices = bytearray()
        if tls == "none":
            self._begin()
        else:
            self._outgoing += SslRequest().build()
            self._state = _State.TLS_ASKED

    def outgoing(self) -> bytes:
        """Take the bytes to send to the server now, empty if none."""
        taken = bytes(self._outgoing)
        self._outgoing.clear()
        return taken

    def notices(self) -> bytes:
        """Take the notices of a server that has proven itself, empty if none came since."""
        taken = bytes(self._notices)
        self._notices.clear()
        return taken

    def tls_started(self, certificate: bytes) -> None:
        """Go on over TLS; `certificate` is the server's in DER, for the channel binding.

        Does nothing when it has failed meanwhile.
        """
        if self._state is _State.OVER:
            return
        if self._state is not _State.STARTING_TLS:
            raise RuntimeError(f"sign-in is {self._state.name}, not STARTING_TLS")
        self._binding = certificate_hash(certificate)
        self._begin()

    def receive(self, data: bytes) -> tuple[SignInEvent, ...]:
        """Take bytes of the server; never raises for what they are."""
        if self._state is _State.OVER or not data:
            return ()
        self._received += data
        self._received_bytes += len(data)
        try:
            event = self._take_all()
        except ProtocolViolation as violation:
            event = self._failed(violation.message)
        return () if event is None else (event,)

    def closed(self) -> tuple[SignInEvent, ...]:
        """Note that the server closed the connection."""
        if self._state is _State.OVER:
            return ()
        return (self._failed("the target closed the connection"),)

    def _begin(self) -> None:
        self._outgoing += self._startup
        self._state = _State.STARTUP

    def _take_all(self) -> SignInEvent | None:
        if self._state is _State.TLS_ASKED:
            return self._tls_answered()
        if self._state is _State.STARTING_TLS:
            # Plain bytes would be taken for protected ones (CVE-2021-23222).
            raise ProtocolViolation("the target sent plain bytes where TLS begins")
        while (raw := self._message()) is not None:
            event = self._take(raw)
            if event is not None:
                return event
        return None

    def _tls_answered(self) -> SignInEvent | None:
        answer = self._received[:1]
        if answer == b"E":
            # A server that is full may say so before it reads anything. Its words are not passed
            # on: anybody on the way could have put them there (CVE-2024-10977).
            return self._failed("the target refused before TLS could begin")
        if len(self._received) > 1:
            raise ProtocolViolation("the target sent plain bytes where TLS begins")
        self._received.clear()
        if answer == b"S":
            self._state = _State.STARTING_TLS
            return StartTls()
        if answer != b"N":
            raise ProtocolViolation("the target does not speak PostgreSQL's protocol")
        if self._tls == "required":
            return self._failed(
                "the target has no TLS, and the instance requires it", code="target_without_tls"
            )
        self._begin()
        return None

    def _message(self) -> bytes | None:
        """Take the next whole message, if it has come."""
        if len(self._received) < HEADER_BYTES:
            return None
        length = int.from_bytes(self._received[1:HEADER_BYTES])
        if not 4 <= length <= MESSAGE_BYTES:
            raise ProtocolViolation(
                f"the target sent a message of kind {kind_name(self._received[0])} with length"
                f" {length} while signing in"
            )
        if len(self._received) < 1 + length:
            return None
        raw = bytes(self._received[: 1 + length])
        del self._received[: 1 + length]
        if self._received_bytes - len(self._received) > GREETING_BYTES:
            raise ProtocolViolation("the target says too much before it is ready")
        return raw

    def _take(self, raw: bytes) -> SignInEvent | None:
        match raw[:1]:
            case b"E":
                return self._refused(Report.read(raw))
            case b"N":
                if self._state in (_State.VERIFIED, _State.ACCEPTED):
                    self._notices += raw
                return None
            case b"R":
                return self._authentication(raw)
            case b"v" if self._state is _State.STARTUP:
                # Servers before 18 speak 3.0; no option of the protocol was asked for.
                if NegotiateProtocolVersion.read(raw).minor > NEWEST_MINOR:
                    raise ProtocolViolation("the target speaks a protocol not asked for")
                return None
            case b"S" if self._state is _State.ACCEPTED:
                status = ParameterStatus.read(raw)
                self._parameters[status.name] = status.value
                return None
            case b"K" if self._state is _State.ACCEPTED:
                self._key = BackendKeyData.read(raw)
                return None
            case b"Z" if self._state is _State.ACCEPTED:
                return self._ready(ReadyForQuery.read(raw))
            case _:
                raise ProtocolViolation(
                    f"the target sent a message of kind {kind_name(raw[0])} while signing in"
                )

    def _authentication(self, raw: bytes) -> Failed | None:
        message = read_authentication(raw)
        match self._state, message:
            case _State.STARTUP, AuthenticationSasl(mechanisms):
                self._scram = ScramClient(
                    self._password, mechanisms, nonce=self._nonce, binding=self._binding
                )
                initial = SaslInitialResponse(self._scram.mechanism, self._scram.first())
                self._outgoing += initial.build()
                self._state = _State.CHALLENGED
            case _State.CHALLENGED, AuthenticationSaslContinue(data) if self._scram is not None:
                self._outgoing += SaslResponse(self._scram.final(data)).build()
                self._state = _State.PROVEN
            case _State.PROVEN, AuthenticationSaslFinal(data) if self._scram is not None:
                self._scram.verify(data)
                self._scram = None
                self._state = _State.VERIFIED
            case _State.VERIFIED, AuthenticationOk():
                self._state = _State.ACCEPTED
            case _State.STARTUP, AuthenticationOther():
                return self._failed(
                    f"the target asks for {message.name} instead of SCRAM-SHA-256",
                    next_step="let pg_hba.conf ask for scram-sha-256",
                    code="target_without_scram",
                )
            case _State.STARTUP, AuthenticationOk():
                return self._failed(
                    "the target lets its accounts in without any proof",
                    next_step="let pg_hba.conf ask for scram-sha-256 instead of trust",
                    code="target_without_scram",
                )
            case _:
                raise ProtocolViolation("the target's authentication is out of order")
        return None

    def _refused(self, report: Report) -> Failed:
        said = report.message.strip().splitlines()
        return self._failed(
            "the target did not let the session in" + (f": {said[0]}" if said else ""),
            sqlstate=report.sqlstate,
        )

    def _ready(self, ready: ReadyForQuery) -> SignedIn:
        if ready.status != IDLE:
            raise ProtocolViolation("the target is ready inside of a transaction")
        if self._key is None:
            raise ProtocolViolation("the target gave no key to cancel by")
        reserved = bytes(self._received)
        self._end()
        return SignedIn(self._key.backend_id, self._key.secret, self._parameters, reserved)

    def _failed(
        self,
        message: str,
        *,
        next_step: str = "",
        code: str = "session_refused",
        sqlstate: str = "",
    ) -> Failed:
        self._end()
        return Failed(Unavailable(message, next_step=next_step, code=code), sqlstate)

    def _end(self) -> None:
        self._state = _State.OVER
        self._received.clear()
        self._scram = None
