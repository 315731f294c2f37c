"""The greeting: real clients are let in, and whoever tries anything else is told no in words."""

import random
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import (
    Conflict,
    Denied,
    Error,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from daypass.domain.secret import Secret
from daypass.engines.postgres.wire.authentication import (
    AuthenticationSasl,
    AuthenticationSaslContinue,
    BackendKeyData,
    read_authentication,
)
from daypass.engines.postgres.wire.body import int32, message
from daypass.engines.postgres.wire.client_messages import (
    Query,
    SaslInitialResponse,
    SaslResponse,
)
from daypass.engines.postgres.wire.greeting import EARLY_BYTES, SASL_BYTES, PostgresGreeting
from daypass.engines.postgres.wire.scram import PLAIN, PLUS, ScramClient, certificate_hash
from daypass.engines.postgres.wire.server_messages import Report
from daypass.engines.postgres.wire.startup import (
    CancelRequest,
    GssRequest,
    SslRequest,
    Startup,
)
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
from daypass.operations.token_form import scram_keys
from tests import transcripts

_NONCE = "wN6nonceOfTheServer0123"
_SALT = b"0123456789abcdef"
_ITERATIONS = 4096
_TOKEN = "dpt_1_abc"
_KEY = bytes(range(1, 37))
_NAMES = transcripts.names("greeting_")
_CERTIFICATE = transcripts.read("greeting_psql15_tls").bytes_of("T")
_STARTUP = Startup(0, (("user", "alice@example.com"), ("database", "prod/shop"))).build()


def _verifier(token: str) -> ScramVerifier:
    keys = scram_keys(Secret(token), _SALT, _ITERATIONS)
    return ScramVerifier(keys.stored_key, keys.server_key)


_VERIFIERS = (_verifier("dpt_2_other"), _verifier(_TOKEN))
_PARAMETERS: Mapping[str, str] = MappingProxyType(
    {
        "server_version": "16.9",
        "server_encoding": "UTF8",
        "client_encoding": "UTF8",
        "DateStyle": "ISO, MDY",
        "integer_datetimes": "on",
        "standard_conforming_strings": "on",
        "TimeZone": "UTC",
        "session_authorization": "dp_g_1_1",
        "is_superuser": "off",
        "in_hot_standby": "off",
        "default_transaction_read_only": "off",
        "scram_iterations": "4096",
        "IntervalStyle": "postgres",
        "application_name": "",
    }
)


def _greeting(tls: str = "offered") -> PostgresGreeting:
    return PostgresGreeting(tls=tls, nonce=_NONCE)


class _Gateway:
    """Drives a greeting as a gateway does, without sockets; `said` is what the client gets."""

    def __init__(
        self,
        tls: str = "offered",
        *,
        verifiers: tuple[ScramVerifier, ...] = _VERIFIERS,
        admits: bool = True,
    ) -> None:
        self.greeting = _greeting(tls)
        self.verifiers = verifiers
        self.admits = admits
        self.said = b""
        self.events: list[GreetingEvent] = []
        self.early = b""

    def take(self, data: bytes) -> None:
        for event in self.greeting.receive(data):
            self.events.append(event)
            self.said += self.greeting.outgoing()
            match event:
                case StartTls():
                    self.greeting.tls_started(_CERTIFICATE)
                case Identified():
                    self.greeting.challenge(_SALT, _ITERATIONS, self.verifiers)
                case Proven() if self.admits:
                    self.greeting.notice("waiting for approval")
                    self.early = self.admit()
                case Unproven():
                    self.greeting.refuse(
                        Unauthenticated("no token fits", next_step="daypass connect")
                    )
                case _:
                    pass
        self.said += self.greeting.outgoing()
        assert self.greeting.held_bytes <= EARLY_BYTES

    def admit(self) -> bytes:
        return self.greeting.admit(_LINE, _KEY, ["you are under grant 5"])

    @property
    def report(self) -> Report:
        """Return the error the client was told last."""
        return Report.read(transcripts.messages(self.said.lstrip(b"SN"))[-1])

    @property
    def gone(self) -> str:
        """Return the reason for which it is over."""
        assert isinstance(self.events[-1], Gone)
        return self.events[-1].reason


class _SignedIn:
    """What a greeting asks of a line: the parameters of its server."""

    parameters = _PARAMETERS


_LINE = cast("Line", _SignedIn())


def _prove(gateway: _Gateway, token: str = _TOKEN, *, certificate: bytes | None = None) -> bytes:
    """Go through the exchange as a client that has been asked; return the last message of it."""
    binding = certificate_hash(certificate) if certificate else None
    asked = read_authentication(transcripts.messages(gateway.said.lstrip(b"SN"))[-1])
    assert isinstance(asked, AuthenticationSasl)
    client = ScramClient(Secret(token), asked.mechanisms, nonce="c", binding=binding)
    gateway.take(SaslInitialResponse(client.mechanism, client.first()).build())
    challenge = read_authentication(transcripts.messages(gateway.said.lstrip(b"SN"))[-1])
    assert isinstance(challenge, AuthenticationSaslContinue)
    final = SaslResponse(client.final(challenge.data)).build()
    gateway.take(final)
    return final


def _mode(transcript: transcripts.Transcript) -> str:
    return transcript.title.rpartition(" ")[2]


def _replay(transcript: transcripts.Transcript, cuts: Iterable[int] | None) -> None:
    """Play a client's part, each of its messages cut at some place, or into bytes for None."""
    gateway = _Gateway(_mode(transcript))
    for kind, what in transcript.lines:
        match kind, what:
            case "E", "StartTls(direct=True)":
                # The first bytes of TLS are not in the transcript.
                gateway.take(b"\x16\x03\x01")
            case "C", bytes():
                places = range(len(what)) if cuts is None else sorted({0, *cuts})
                for start, end in zip(places, [*places[1:], len(what)], strict=True):
                    gateway.take(what[start:end])
            case _:
                pass
    expected = [what for kind, what in transcript.lines if kind == "E"]
    assert [repr(each) for each in gateway.events] == expected
    assert gateway.said == transcript.bytes_of("S")


@pytest.mark.parametrize("name", _NAMES)
def test_real_clients_cut_at_every_byte(name: str) -> None:
    transcript = transcripts.read(name)
    longest = max(len(what) for kind, what in transcript.lines if kind == "C")
    for cut in range(longest):
        _replay(transcript, [cut])
    _replay(transcript, None)


def test_a_client_is_let_in_over_tls_bound_to_the_certificate() -> None:
    gateway = _Gateway("required")
    gateway.take(SslRequest().build())
    assert gateway.said == b"S"
    gateway.take(_STARTUP)
    _prove(gateway, certificate=_CERTIFICATE)
    assert gateway.events[-1] == Proven(1)
    assert PLUS.encode() in gateway.said


def test_a_client_may_send_its_first_statement_early() -> None:
    gateway = _Gateway(admits=False)
    gateway.take(_STARTUP)
    _prove(gateway)
    query = Query("select 1").build()
    gateway.take(query[:3])
    gateway.take(query[3:])
    assert gateway.admit() == query


def _keys(minor: int) -> BackendKeyData:
    gateway = _Gateway()
    gateway.take(Startup(minor, (("user", "alice"),)).build())
    _prove(gateway)
    raw = next(each for each in transcripts.messages(gateway.said) if each[:1] == b"K")
    return BackendKeyData.read(raw)


def test_the_key_a_client_cancels_by() -> None:
    number = int.from_bytes(_KEY[:4])
    assert _keys(0) == BackendKeyData(number, _KEY[4:8])
    assert _keys(1) == BackendKeyData(number, _KEY[4:8])
    assert _keys(2) == BackendKeyData(number, _KEY[4:])
    for secret in (_KEY[4:8], _KEY[4:]):
        gateway = _Gateway("required")
        gateway.take(CancelRequest(number, secret).build())
        assert gateway.events == [CancelAsked(_KEY[:4] + secret)]
        assert gateway.said == b""


def test_a_cancel_over_tls() -> None:
    gateway = _Gateway("required")
    gateway.take(SslRequest().build())
    gateway.take(CancelRequest(-1, bytes(256)).build())
    assert gateway.events[-1] == CancelAsked(b"\xff" * 4 + bytes(256))


@pytest.mark.parametrize(("minor", "options"), [(3, ()), (9999, ()), (0, ("_pq_.x", "_pq_.y"))])
def test_a_newer_protocol_is_settled(minor: int, options: tuple[str, ...]) -> None:
    gateway = _Gateway()
    gateway.take(Startup(minor, (("user", "alice"), *[(each, "") for each in options])).build())
    first = transcripts.messages(gateway.said)[0]
    told = b"".join(each.encode() + b"\0" for each in options)
    assert first == message(b"v", int32(3 << 16 | min(minor, 2)), int32(len(options)), told)
    _prove(gateway)
    assert gateway.events[-1] == Proven(1)


# Whoever tries something else


@pytest.mark.parametrize("behind", [b"Q", _STARTUP, b"\x16\x03\x01", bytes(100_000)])
def test_plain_bytes_behind_a_request_for_tls(behind: bytes) -> None:
    """They would be taken for the client's own once TLS has begun (CVE-2021-23214)."""
    gateway = _Gateway("required")
    gateway.take(SslRequest().build() + behind)
    assert gateway.gone == "plain bytes came behind a request for TLS"
    assert gateway.said == b""
    greeting = _greeting("required")
    assert greeting.receive(SslRequest().build()) == (StartTls(),)
    assert greeting.outgoing() == b"S"
    assert greeting.receive(behind) == (Gone("the client spoke before it was asked"),)
    assert greeting.outgoing() == b""


def test_without_tls_nobody_is_asked_for_anything() -> None:
    gateway = _Gateway("required")
    gateway.take(_STARTUP)
    assert gateway.gone == "the client came without TLS"
    assert gateway.report.sqlstate == "28000"
    assert "sslmode=require" in gateway.report.field("H")


def test_tls_that_is_not_on() -> None:
    gateway = _Gateway("none")
    gateway.take(b"\x16\x03\x01\x02\x00")
    assert gateway.gone == "the client began with TLS, which is not on"


@pytest.mark.parametrize(
    ("tls", "packets", "said"),
    [
        ("none", [SslRequest(), SslRequest()], "asked for before"),
        ("required", [SslRequest(), SslRequest()], "asked for before"),
        ("required", [SslRequest(), GssRequest()], "asked for before"),
        ("offered", [GssRequest(), GssRequest()], "asked for before"),
        ("offered", [GssRequest(), SslRequest(), SslRequest()], "asked for before"),
        ("required", [SslRequest(), b"\x16\x03\x01\x02\x00\x01"], "invalid length"),
        ("none", [SslRequest(), b"\x16\x03\x01\x02\x00\x01"], "invalid length"),
        ("offered", [b"GET / HTTP/1.1\r\n\r\n"], "invalid length"),
        ("offered", [int32(8) + int32(2 << 16)], "protocol 2.0"),
        ("offered", [int32(10_001) + int32(3 << 16)], "invalid length"),
        ("offered", [Startup(0, (("database", "a"),))], "no user name"),
        ("offered", [Startup(0, (("user", "a"), ("replication", "true")))], "replication"),
        ("offered", [Startup(0, (("user", "a"), ("options", "-c user=b")))], "whose name is none"),
        ("offered", [Startup(0, (("user", "a"), ("options", "-h x")))], "options"),
        ("offered", [_STARTUP, message(b"Q", b"select 1\0")], "a proof expected"),
        ("offered", [_STARTUP, b"p" + int32(3)], "impossible length"),
        ("offered", [_STARTUP, b"p" + int32(-1)], "not that long"),
        ("offered", [_STARTUP, b"p" + int32(SASL_BYTES + 1)], "not that long"),
        ("offered", [_STARTUP, message(b"p", b"dpt_1_secret\0")], "SASLInitialResponse"),
        ("offered", [_STARTUP, SaslInitialResponse("PLAIN", b"x")], "not offered"),
        ("offered", [_STARTUP, SaslInitialResponse(PLUS, b"x")], "not offered"),
        ("offered", [_STARTUP, SaslInitialResponse(PLAIN, None)], "malformed"),
        ("offered", [SslRequest(), _STARTUP, SaslInitialResponse(PLUS, b"n,,n=,r=c")], "together"),
        (
            "offered",
            [SslRequest(), _STARTUP, SaslInitialResponse(PLAIN, b"y,,n=,r=c")],
            "not possible here, and it is",
        ),
        (
            "offered",
            [_STARTUP, SaslInitialResponse(PLAIN, b"n,,n=,r=c"), SaslResponse(b"c=biws,r=c")],
            "malformed",
        ),
    ],
)
def test_junk_is_refused_in_words(
    tls: str, packets: list[bytes | SslRequest | Startup], said: str
) -> None:
    gateway = _Gateway(tls)
    data = [each if isinstance(each, bytes) else each.build() for each in packets]
    for each in data:
        gateway.take(each)
    assert said in gateway.gone
    assert gateway.report.severity == "FATAL"
    assert said in gateway.report.message
    assert "secret" not in gateway.said.decode()
    # However it was cut, and nothing comes after it.
    again = _Gateway(tls)
    for byte in b"".join(data):
        again.take(bytes([byte]))
    assert (again.said, again.gone) == (gateway.said, gateway.gone)
    gateway.take(_STARTUP)
    assert gateway.said == again.said


@pytest.mark.parametrize("at", ["identified", "chosen"])
def test_nobody_speaks_before_it_is_asked(at: str) -> None:
    greeting = _greeting()
    events = greeting.receive(_STARTUP + (b"p" if at == "identified" else b""))
    if at == "chosen":
        assert isinstance(events[0], Identified)
        greeting.challenge(_SALT, _ITERATIONS, _VERIFIERS)
        events = greeting.receive(SaslInitialResponse(PLAIN, b"n,,n=,r=c").build() + b"p")
    assert events == (Gone("the client spoke before it was asked"),)


@pytest.mark.parametrize("token", ["dpt_9_wrong", "", "x" * 500])
@pytest.mark.parametrize("verifiers", [_VERIFIERS, ()])
def test_a_proof_that_fits_none(token: str, verifiers: tuple[ScramVerifier, ...]) -> None:
    gateway = _Gateway(verifiers=verifiers)
    gateway.take(_STARTUP)
    _prove(gateway, token)
    assert gateway.events[-1] == Unproven()
    assert (gateway.report.sqlstate, gateway.report.field("H")) == ("28P01", "daypass connect")


def test_unknown_users_are_not_told_apart() -> None:
    said = []
    for verifiers in (_VERIFIERS, ()):
        gateway = _Gateway(verifiers=verifiers)
        gateway.take(_STARTUP)
        _prove(gateway, "dpt_9_wrong")
        said.append(gateway.said)
    assert said[0] == said[1]


def test_a_proof_overheard_is_worth_nothing() -> None:
    gateway = _Gateway()
    gateway.take(_STARTUP)
    overheard = _prove(gateway)
    again = _Gateway()
    again.greeting = PostgresGreeting(tls="offered", nonce="fresh")
    again.take(_STARTUP)
    again.take(SaslInitialResponse(PLAIN, b"n,,n=*,r=c").build())
    again.take(overheard)
    assert "nonce" in again.gone


def test_somebody_in_the_middle_shows_another_certificate() -> None:
    other = bytearray(_CERTIFICATE)
    other[-1] ^= 1
    gateway = _Gateway("required")
    gateway.take(SslRequest().build())
    gateway.take(_STARTUP)
    _prove(gateway, certificate=bytes(other))
    assert "not that of this connection" in gateway.gone


def test_what_waits_is_bounded() -> None:
    gateway = _Gateway(admits=False)
    gateway.take(_STARTUP)
    _prove(gateway)
    gateway.take(b"Q" * EARLY_BYTES)
    assert gateway.greeting.held_bytes == EARLY_BYTES
    gateway.take(b"Q")
    assert gateway.gone == "the client sent too much before it was let in"
    assert gateway.greeting.held_bytes == 0
    assert gateway.admit() == b""
    gateway.greeting.notice("too late")
    gateway.greeting.refuse(Error("too late"))
    assert gateway.greeting.outgoing() == b""


def test_a_client_that_leaves_while_it_waits() -> None:
    gateway = _Gateway(admits=False)
    gateway.take(_STARTUP)
    _prove(gateway)
    gateway.take(message(b"X"))
    assert gateway.gone == "the client left while it waited"


def test_nobody_is_let_in_before_its_proof() -> None:
    gateway = _Gateway(admits=False)
    for data in (_STARTUP, SaslInitialResponse(PLAIN, b"n,,n=,r=c").build()):
        gateway.take(data)
        with pytest.raises(RuntimeError):
            gateway.admit()
        with pytest.raises(RuntimeError):
            gateway.greeting.notice("hello")
    with pytest.raises(RuntimeError):
        gateway.greeting.challenge(_SALT, 1, ())
    with pytest.raises(RuntimeError):
        gateway.greeting.tls_started(b"")


def test_a_key_too_short_is_none() -> None:
    gateway = _Gateway(admits=False)
    gateway.take(_STARTUP)
    _prove(gateway)
    with pytest.raises(ValueError, match="8 to 260"):
        gateway.greeting.admit(_LINE, b"1234567", ())


_ERRORS = [
    (Denied(Decision(Outcome.DENIED, (Reason("no_grant", "no"),))), "28000"),
    (Unauthenticated("no"), "28P01"),
    (NotFound("no"), "3D000"),
    (Unavailable("no"), "57P03"),
    (Conflict("no"), "55000"),
    (Conflict("no", code="too_many_connections"), "53300"),
    (Conflict("no", code="too_many_tries"), "53300"),
    (Conflict("no", code="grant_ended"), "28000"),
    (Invalid("no"), "22023"),
    (Error("no"), "XX000"),
]


@pytest.mark.parametrize(("error", "sqlstate"), _ERRORS)
@pytest.mark.parametrize("told", [False, True])
def test_refusals_are_errors_of_the_clients_own_protocol(
    error: Error, sqlstate: str, told: bool
) -> None:
    gateway = _Gateway(admits=False)
    gateway.take(_STARTUP)
    _prove(gateway)
    if told:
        gateway.greeting.notice("waiting", "for bob")
    error.next_step = "ask\0 for it"
    gateway.greeting.refuse(error)
    gateway.said += gateway.greeting.outgoing()
    assert (gateway.report.severity, gateway.report.sqlstate) == ("FATAL", sqlstate)
    assert gateway.report.field("H") == "ask for it"
    assert (b"\0waiting" in gateway.said or b"Mwaiting" in gateway.said) is told
    assert message(b"R", int32(0)) in gateway.said or not told


def test_modes() -> None:
    with pytest.raises(ValueError, match="tls"):
        PostgresGreeting(tls="on", nonce=_NONCE)


# Any bytes


_PACKETS = st.sampled_from(
    [
        SslRequest().build(),
        GssRequest().build(),
        _STARTUP,
        CancelRequest(1, b"1234").build(),
        SaslInitialResponse(PLAIN, b"n,,n=,r=c").build(),
        SaslResponse(b"c=biws,r=c" + _NONCE.encode() + b",p=" + b"A" * 43 + b"=").build(),
        Query("select 1").build(),
        b"\x16\x03\x01",
    ]
)


@given(
    st.sampled_from(["required", "offered", "none"]),
    st.lists(st.one_of(_PACKETS, st.binary(max_size=40)), max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_any_bytes(tls: str, chunks: list[bytes]) -> None:
    gateway = _Gateway(tls)
    for chunk in chunks:
        gateway.take(chunk)
    assert not any(isinstance(each, Proven) for each in gateway.events)
    assert not any(isinstance(each, Gone) for each in gateway.events[:-1])


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_any_bytes_for_long(long_seconds: float) -> None:
    """What was captured, changed: nobody gets in but by the proof as it was."""
    proofs = [transcripts.read(name).bytes_of("C")[-60:] for name in _NAMES]
    for chance, data in transcripts.mutations(_NAMES, long_seconds):
        gateway = _Gateway(chance.choice(["required", "offered", "none"]))
        for chunk in _cut(data, chance):
            gateway.take(chunk)
        if any(isinstance(each, Proven) for each in gateway.events):
            assert any(proof in data for proof in proofs)


def _cut(data: bytes, chance: random.Random) -> list[bytes]:
    """Cut where packets seem to end, as clients do, and at chance."""
    chunks = []
    while data:
        size = int.from_bytes(data[1:5]) + 1 if data[:1] == b"p" else int.from_bytes(data[:4])
        size = size if 0 < size < 5000 else chance.randrange(1, 200)
        chunks.append(data[:size])
        data = data[size:]
    return chunks
