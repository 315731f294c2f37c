"""What is said with a client until it is let in; see `relay_contract.Greeting`.

    FIRST → (StartTls → FIRST over TLS) → Identified → challenge → CHOSEN → PROVING → Proven → admit

Every step takes one packet of bounded size and nothing behind it: a client that speaks before it is
asked is turned away, but for what it sends after its proof, which is kept for the relay. Plain
bytes behind a request for TLS would be taken for protected ones (CVE-2021-23214), so they end it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from daypass.domain.errors import Error
from daypass.engines.postgres.wire.authentication import (
    AUTHENTICATION_OK,
    AuthenticationSasl,
    AuthenticationSaslContinue,
    AuthenticationSaslFinal,
    BackendKeyData,
    NegotiateProtocolVersion,
)
from daypass.engines.postgres.wire.client_messages import SaslInitialResponse, SaslResponse
from daypass.engines.postgres.wire.framing import HEADER_BYTES
from daypass.engines.postgres.wire.identity import hello_of
from daypass.engines.postgres.wire.reports import INVALID_AUTHORIZATION, fatal_report, notice
from daypass.engines.postgres.wire.scram import ScramServer, certificate_hash, mechanisms
from daypass.engines.postgres.wire.server_messages import IDLE, ParameterStatus, ReadyForQuery
from daypass.engines.postgres.wire.startup import (
    LONG_KEYS_SINCE_MINOR,
    NEWEST_MINOR,
    TLS_RECORD,
    CancelRequest,
    GssRequest,
    SslRequest,
    Startup,
    packet_length,
    read_startup_packet,
)
from daypass.engines.postgres.wire.violation import TOO_LARGE, ProtocolViolation
from daypass.engines.relay_contract import (
    CancelAsked,
    Gone,
    GreetingEvent,
    Identified,
    Line,
    Proven,
    ScramVerifier,
    StartTls,
    Unproven,
)

SASL_BYTES = 4096
EARLY_BYTES = 16_384
"""What a client may send between its proof and being let in."""
TLS_MODES = ("required", "offered", "none")


class _State(Enum):
    FIRST = auto()
    STARTING_TLS = auto()
    IDENTIFIED = auto()
    CHOSEN = auto()
    PROVING = auto()
    PROVEN = auto()
    UNPROVEN = auto()
    OVER = auto()


class PostgresGreeting:
    """A client's greeting: without I/O, never raises for what a client sends.

    Once it is over, by `Gone` or `refuse`, every call does nothing; one made too early is a mistake
    of the caller's, and a `RuntimeError`.

    `tls` is one of `TLS_MODES`; `nonce` is fresh, random and printable, for the proof.
    """

    def __init__(self, *, tls: str, nonce: str) -> None:
        if tls not in TLS_MODES:
            raise ValueError(f"tls is one of {', '.join(TLS_MODES)}")
        self._tls = tls
        self._nonce = nonce
        self._state = _State.FIRST
        self._received = bytearray()
        self._outgoing = bytearray()
        self._over_tls = False
        self._certificate = b""
        self._tls_answered = False
        self._gss_answered = False
        self._minor = 0
        self._binding: bytes | None = None
        self._asked_for: tuple[bytes, int, tuple[ScramVerifier, ...]] = (b"", 0, ())
        self._scram: ScramServer | None = None
        self._final: bytes | None = None

    @property
    def held_bytes(self) -> int:
        """Return how many bytes of the client's it keeps: never more than `EARLY_BYTES`."""
        return len(self._received)

    def receive(self, data: bytes) -> tuple[GreetingEvent, ...]:
        """Take bytes of the client; never raises for what they are.

        After `StartTls` comes nothing before `tls_started`, after `Identified` nothing before
        `challenge`: bytes a client sent in between end it.
        """
        events: list[GreetingEvent] = []
        if self._state is _State.OVER or not data:
            return ()
        self._received += data
        try:
            while (event := self._step()) is not None:
                events.append(event)
        except ProtocolViolation as violation:
            self._say(fatal_report(violation).build())
            events.append(self._over(violation.message))
        if events and isinstance(events[-1], Gone):
            # What led there matters to nobody any more.
            return (events[-1],)
        return tuple(events)

    def outgoing(self) -> bytes:
        """Take the bytes to send to the client now, empty if none."""
        taken = bytes(self._outgoing)
        self._outgoing.clear()
        return taken

    def tls_started(self, certificate: bytes) -> None:
        """Go on over TLS; `certificate` is ours in DER, for the channel binding."""
        if not self._expect(_State.STARTING_TLS):
            return
        self._state = _State.FIRST
        self._over_tls = self._tls_answered = self._gss_answered = True
        self._certificate = certificate

    def challenge(self, salt: bytes, iterations: int, verifiers: Sequence[ScramVerifier]) -> None:
        """Ask for a proof; with no verifiers it is asked for all the same, and fits none."""
        if not self._expect(_State.IDENTIFIED):
            return
        self._asked_for = (salt, iterations, tuple(verifiers))
        if self._over_tls:
            self._binding = certificate_hash(self._certificate)
        self._say(AuthenticationSasl(mechanisms(self._binding)).build())
        self._state = _State.CHOSEN

    def notice(self, text: str, detail: str = "") -> None:
        """Tell a client something while it waits to be let in, after its proof."""
        if not self._expect(_State.PROVEN):
            return
        # Clients take notices only once they know that their proof was good.
        self._acknowledge()
        self._say(notice(text, detail).build())

    def refuse(self, error: Error) -> None:
        """Say why it is not let in; then it is over."""
        if self._state is not _State.OVER:
            self._say(fatal_report(error).build())
            self._over("refused")

    def admit(self, line: Line, key: bytes, notices: Sequence[str]) -> bytes:
        """Let it in with the server's own parameters and our key to cancel by.

        The key is at least 8 bytes: 4 that clients show as the number of the process, and a secret,
        of which protocols before 3.2 have room for 4 bytes. Returns what the client has sent
        already: the relay's first bytes.
        """
        if not self._expect(_State.PROVEN):
            return b""
        if not 8 <= len(key) <= 260:
            raise ValueError("a key has 8 to 260 bytes")
        self._acknowledge()
        for name, value in line.parameters.items():
            self._say(ParameterStatus(name, value).build())
        secret = key[4:] if self._minor >= LONG_KEYS_SINCE_MINOR else key[4:8]
        self._say(BackendKeyData(int.from_bytes(key[:4], signed=True), secret).build())
        for each in notices:
            self._say(notice(each).build())
        self._say(ReadyForQuery(IDLE).build())
        early = bytes(self._received)
        self._over("admitted")
        return early

    def _step(self) -> GreetingEvent | None:
        match self._state:
            case _State.FIRST:
                return self._first()
            case _State.CHOSEN:
                return self._choose()
            case _State.PROVING:
                return self._prove()
            case _State.PROVEN:
                return self._wait()
            case _State.UNPROVEN:
                # Whoever drives it has the last word.
                self._received.clear()
                return None
            case _State.STARTING_TLS | _State.IDENTIFIED if self._received:
                return self._over("the client spoke before it was asked")
            case _State.STARTING_TLS | _State.IDENTIFIED | _State.OVER:
                return None

    def _first(self) -> GreetingEvent | None:
        if not self._received:
            return None
        if self._received[0] == TLS_RECORD and not self._tls_answered:
            return self._direct_tls()
        length = packet_length(self._received)
        if length is None or len(self._received) < length:
            return None
        packet = read_startup_packet(bytes(self._received[:length]))
        del self._received[:length]
        match packet:
            case SslRequest():
                return self._tls_asked()
            case GssRequest():
                if self._gss_answered:
                    raise ProtocolViolation("encryption by GSSAPI was asked for before")
                self._gss_answered = True
                self._say(b"N")
                return self._first()
            case CancelRequest():
                # Clients that cancel do so in plain text up to PostgreSQL 17's, whatever they speak
                # otherwise; the key lets nobody do more than cancel.
                self._over("cancel")
                return CancelAsked(packet.backend_id.to_bytes(4, signed=True) + packet.secret)
            case Startup():
                return self._identified(packet)

    def _direct_tls(self) -> GreetingEvent:
        self._received.clear()
        if self._tls == "none":
            return self._over("the client began with TLS, which is not on")
        self._state = _State.STARTING_TLS
        return StartTls(direct=True)

    def _tls_asked(self) -> GreetingEvent | None:
        if self._tls_answered:
            raise ProtocolViolation("TLS was asked for before")
        self._tls_answered = True
        if self._tls == "none":
            self._say(b"N")
            return self._first()
        if self._received:
            return self._over("plain bytes came behind a request for TLS")
        self._say(b"S")
        self._state = _State.STARTING_TLS
        return StartTls()

    def _identified(self, packet: Startup) -> GreetingEvent:
        if self._tls == "required" and not self._over_tls:
            report = fatal_report(
                Error(
                    "connections are protected by TLS here, and this one is not",
                    next_step="connect with sslmode=require, or verify-full with the gateway's"
                    " certificate as sslrootcert",
                ),
                INVALID_AUTHORIZATION,
            )
            self._say(report.build())
            return self._over("the client came without TLS")
        self._minor = min(packet.minor, NEWEST_MINOR)
        unknown = packet.protocol_options
        if packet.minor > NEWEST_MINOR or unknown:
            self._say(NegotiateProtocolVersion(self._minor, unknown).build())
        hello = hello_of(packet)
        self._state = _State.IDENTIFIED
        return Identified(hello)

    def _choose(self) -> GreetingEvent | None:
        raw = self._proof_message()
        if raw is None:
            return None
        initial = SaslInitialResponse.read(raw)
        salt, iterations, verifiers = self._asked_for
        self._scram = ScramServer(
            initial.mechanism,
            salt=salt,
            iterations=iterations,
            verifiers=verifiers,
            nonce=self._nonce,
            binding=self._binding,
        )
        challenge = self._scram.first(initial.data or b"")
        self._say(AuthenticationSaslContinue(challenge).build())
        if self._received:
            return self._over("the client spoke before it was asked")
        self._state = _State.PROVING
        return None

    def _prove(self) -> GreetingEvent | None:
        raw = self._proof_message()
        if raw is None or self._scram is None:
            return None
        found = self._scram.final(SaslResponse.read(raw).data)
        self._scram = None
        self._state = _State.PROVEN
        if found is None:
            self._state = _State.UNPROVEN
            return Unproven()
        verifier, self._final = found
        return Proven(verifier)

    def _wait(self) -> GreetingEvent | None:
        if len(self._received) > EARLY_BYTES:
            return self._over("the client sent too much before it was let in")
        if self._received[:1] == b"X":
            return self._over("the client left while it waited")
        return None

    def _proof_message(self) -> bytes | None:
        """Take a whole message with a proof, if it has come."""
        if len(self._received) < HEADER_BYTES:
            return None
        if self._received[0] != ord("p"):
            raise ProtocolViolation("a proof expected")
        length = int.from_bytes(self._received[1:HEADER_BYTES])
        if length > SASL_BYTES:
            raise ProtocolViolation("a proof is not that long", sqlstate=TOO_LARGE)
        if length < 4:
            raise ProtocolViolation("a proof with an impossible length")
        if len(self._received) < 1 + length:
            return None
        raw = bytes(self._received[: 1 + length])
        del self._received[: 1 + length]
        return raw

    def _acknowledge(self) -> None:
        if self._final is not None:
            self._say(AuthenticationSaslFinal(self._final).build() + AUTHENTICATION_OK)
            self._final = None

    def _say(self, data: bytes) -> None:
        self._outgoing += data

    def _over(self, reason: str) -> Gone:
        self._state = _State.OVER
        self._received.clear()
        self._scram = None
        return Gone(reason)

    def _expect(self, state: _State) -> bool:
        if self._state not in (state, _State.OVER):
            raise RuntimeError(f"greeting is {self._state.name}, not {state.name}")
        return self._state is state
