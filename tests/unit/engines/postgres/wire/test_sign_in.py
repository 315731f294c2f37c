"""Signing in to targets: real servers' words, and servers that are not what they should be."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daypass.domain.errors import Unavailable
from daypass.domain.secret import Secret
from daypass.engines.postgres.wire.authentication import (
    AUTHENTICATION_OK,
    AuthenticationSasl,
    AuthenticationSaslContinue,
    AuthenticationSaslFinal,
    BackendKeyData,
    NegotiateProtocolVersion,
)
from daypass.engines.postgres.wire.body import int32, message
from daypass.engines.postgres.wire.client_messages import SaslInitialResponse, SaslResponse
from daypass.engines.postgres.wire.scram import PLAIN, PLUS, ScramServer, certificate_hash
from daypass.engines.postgres.wire.server_messages import (
    IN_TRANSACTION,
    ParameterStatus,
    ReadyForQuery,
    Report,
)
from daypass.engines.postgres.wire.sign_in import (
    GREETING_BYTES,
    MESSAGE_BYTES,
    Failed,
    SignedIn,
    SignIn,
    SignInEvent,
)
from daypass.engines.postgres.wire.startup import (
    CancelRequest,
    SslRequest,
    Startup,
    option_settings,
    read_startup_packet,
)
from daypass.engines.relay_contract import ScramVerifier, StartTls
from daypass.operations.token_form import scram_keys
from tests import transcripts

_SETTINGS = (("work_mem", "7MB"), ("search_path", '"a b", public'))
_CERTIFICATE = transcripts.read("greeting_psql15_tls").bytes_of("T")
_SALT = b"0123456789abcdef"
_PASSWORD = "pw-123"
_KEYS = scram_keys(Secret(_PASSWORD), _SALT, 1)
_VERIFIER = ScramVerifier(_KEYS.stored_key, _KEYS.server_key)
_READY = ReadyForQuery(ord("I")).build()
_KEY = BackendKeyData(77, b"1234").build()


def _sign_in(
    tls: str = "none",
    *,
    settings: tuple[tuple[str, str], ...] = _SETTINGS,
    nonce: str = "clientNonce/0123456789ab",
) -> SignIn:
    return SignIn(
        user="bob",
        database="postgres",
        password=Secret(_PASSWORD),
        application="daypass",
        settings=settings,
        tls=tls,
        nonce=nonce,
    )


def _take(sign_in: SignIn, *chunks: bytes) -> SignInEvent | None:
    found: SignInEvent | None = None
    for chunk in chunks:
        for event in sign_in.receive(chunk):
            assert found is None
            found = event
    return found


def _failure(sign_in: SignIn, *chunks: bytes) -> Failed:
    found = _take(sign_in, *chunks)
    assert isinstance(found, Failed)
    assert _take(sign_in, _READY) is None
    assert sign_in.closed() == ()
    return found


def _replay(transcript: transcripts.Transcript, cuts: Iterable[int] | None) -> SignedIn:
    sign_in = _sign_in(transcript.title.partition("tls ")[2] or "none")
    said = b""
    found: SignInEvent | None = None
    for kind, what in transcript.lines:
        said += sign_in.outgoing()
        if kind == "S" and isinstance(what, bytes):
            places = range(len(what)) if cuts is None else sorted({0, *cuts})
            chunks = [what[a:b] for a, b in zip(places, [*places[1:], len(what)], strict=True)]
            found = found or _take(sign_in, *chunks)
    assert said == transcript.bytes_of("C")
    assert isinstance(found, SignedIn)
    return found


@pytest.mark.parametrize("name", transcripts.names("sign_in_"))
def test_real_servers_cut_at_every_byte(name: str) -> None:
    transcript = transcripts.read(name)
    whole = _replay(transcript, [])
    assert len(whole.secret) == (32 if "18" in name else 4)
    assert whole.parameters["session_authorization"] == "bob"
    assert whole.parameters["client_encoding"] == "UTF8"
    assert whole.reserved == b""
    assert "secret" not in repr(whole)
    longest = max(len(what) for kind, what in transcript.lines if kind == "S")
    for cut in range(1, longest):
        assert _replay(transcript, [cut]) == whole
    assert _replay(transcript, None) == whole


def test_what_is_asked_for() -> None:
    packet = read_startup_packet(_sign_in().outgoing())
    assert isinstance(packet, Startup)
    said = dict(packet.parameters)
    assert packet.minor == 2
    assert option_settings(said.pop("options")) == _SETTINGS
    assert said == {
        "user": "bob",
        "database": "postgres",
        "application_name": "daypass",
        "client_encoding": "UTF8",
    }


def test_a_setting_never_says_who_the_session_is() -> None:
    """What a client asks to be set reaches here: none becomes a parameter of its own."""
    hostile = (("user", "postgres"), ("a", "b -c user=postgres"), ("c", "\0user\0postgres"))
    packet = read_startup_packet(_sign_in(settings=hostile[:2]).outgoing())
    assert isinstance(packet, Startup)
    assert [value for name, value in packet.parameters if name == "user"] == ["bob"]
    assert option_settings(dict(packet.parameters)["options"]) == hostile[:2]
    with pytest.raises(ValueError, match="zero byte"):
        _sign_in(settings=hostile)


def test_settings_longer_than_a_server_takes() -> None:
    with pytest.raises(Unavailable, match="longer") as caught:
        _sign_in(settings=(("search_path", "x" * 10_000),))
    assert caught.value.detail_code == "session_settings_too_long"


class _Server:
    """A server's side of the proof, with whatever it says instead."""

    def __init__(self, sign_in: SignIn, *, certificate: bytes | None = None) -> None:
        self.sign_in = sign_in
        self.binding = certificate_hash(certificate) if certificate else None
        sign_in.outgoing()

    def prove(
        self, offered: tuple[str, ...] = (PLAIN,), verifier: ScramVerifier = _VERIFIER
    ) -> str:
        """Go through the proof up to the server's own; return the mechanism that was chosen."""
        assert _take(self.sign_in, AuthenticationSasl(offered).build()) is None
        initial = SaslInitialResponse.read(self.sign_in.outgoing())
        scram = ScramServer(
            initial.mechanism,
            salt=_SALT,
            iterations=1,
            verifiers=[_VERIFIER],
            nonce="server",
            binding=self.binding,
        )
        challenge = AuthenticationSaslContinue(scram.first(initial.data or b"")).build()
        assert _take(self.sign_in, challenge) is None
        found = scram.final(SaslResponse.read(self.sign_in.outgoing()).data)
        assert found is not None
        final = found[1] if verifier is _VERIFIER else b"v=" + b"A" * 43 + b"="
        self.answer = AuthenticationSaslFinal(final).build()
        return initial.mechanism


def test_signed_in_and_what_came_behind() -> None:
    server = _Server(_sign_in())
    assert server.prove() == PLAIN
    found = _take(
        server.sign_in,
        server.answer + AUTHENTICATION_OK + ParameterStatus("a", "1").build(),
        Report.of("NOTICE", "00000", "welcome").build() + ParameterStatus("a", "2").build(),
        _KEY + _READY + b"N",
    )
    assert found == SignedIn(77, b"1234", {"a": "2"}, b"N")
    assert isinstance(found, SignedIn)
    assert found.cancel_request() == CancelRequest(77, b"1234").build()


@pytest.mark.parametrize(("offered", "chosen"), [((PLUS, PLAIN), PLUS), ((PLUS,), PLUS)])
def test_over_tls_the_proof_is_bound(offered: tuple[str, ...], chosen: str) -> None:
    sign_in = _sign_in("required")
    assert sign_in.outgoing() == SslRequest().build()
    assert _take(sign_in, b"S") == StartTls()
    sign_in.tls_started(_CERTIFICATE)
    server = _Server(sign_in, certificate=_CERTIFICATE)
    assert server.prove(offered) == chosen
    assert isinstance(_take(sign_in, server.answer + AUTHENTICATION_OK + _KEY + _READY), SignedIn)


def test_tls_that_is_not_there() -> None:
    failed = _failure(_sign_in("required"), b"N")
    assert failed.error.detail_code == "target_without_tls"
    sign_in = _sign_in("offered")
    assert sign_in.outgoing() == SslRequest().build()
    assert _take(sign_in, b"N") is None
    assert isinstance(read_startup_packet(sign_in.outgoing()), Startup)


@pytest.mark.parametrize("answer", [b"S" + AUTHENTICATION_OK, b"N" + AUTHENTICATION_OK])
def test_plain_bytes_behind_the_answer_to_tls(answer: bytes) -> None:
    """They would be taken for the server's own once TLS has begun (CVE-2021-23222)."""
    assert "plain bytes" in _failure(_sign_in("offered"), answer).error.message
    sign_in = _sign_in("required")
    assert _take(sign_in, b"S") == StartTls()
    assert "plain bytes" in _failure(sign_in, b"R").error.message
    sign_in.outgoing()
    sign_in.tls_started(_CERTIFICATE)
    assert sign_in.outgoing() == b""


def test_an_error_before_tls_is_not_passed_on() -> None:
    """Anybody on the way could have written it (CVE-2024-10977)."""
    said = Report.of("FATAL", "53300", "call this number").build()
    failed = _failure(_sign_in("offered"), said)
    assert failed.error.message == "the target refused before TLS could begin"
    assert failed.sqlstate == ""


def _asked(kind: int, rest: bytes = b"") -> bytes:
    return message(b"R", int32(kind), rest)


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (AUTHENTICATION_OK, "target_without_scram", "without any proof"),
        (_asked(3), "target_without_scram", "a password in clear"),
        (_asked(5, b"salt"), "target_without_scram", "an MD5 password"),
        (_asked(7), "target_without_scram", "GSSAPI"),
        (_asked(42), "target_without_scram", "authentication of kind 42"),
        (AuthenticationSasl(("OAUTHBEARER",)).build(), "session_refused", "no mechanism known"),
        (AuthenticationSasl((PLUS,)).build(), "session_refused", "cannot be had"),
        (AuthenticationSaslContinue(b"r=").build(), "session_refused", "out of order"),
        (AuthenticationSaslFinal(b"v=").build(), "session_refused", "out of order"),
        (_READY, "session_refused", "kind 'Z' while signing in"),
        (_KEY, "session_refused", "kind 'K' while signing in"),
        (ParameterStatus("a", "b").build(), "session_refused", "kind 'S' while signing in"),
        (message(b"D", b"\0\0"), "session_refused", "kind 'D' while signing in"),
        (NegotiateProtocolVersion(3, ()).build(), "session_refused", "not asked for"),
        (b"R" + int32(3), "session_refused", "length 3"),
        (b"R" + int32(MESSAGE_BYTES + 1), "session_refused", f"length {MESSAGE_BYTES + 1}"),
        (b"R" + int32(-1), "session_refused", "length"),
        (b"HTTP/1.1 400 Bad Request", "session_refused", "kind 'H'"),
        (message(b"R", b"\0\0"), "session_refused", "kind missing"),
        (message(b"E", b"Mx"), "session_refused", "without its end"),
    ],
)
def test_servers_that_are_not_what_they_should_be(said: bytes, code: str, words: str) -> None:
    for chunks in ((said,), tuple(said[at : at + 1] for at in range(len(said)))):
        failed = _failure(_sign_in(), *chunks)
        assert failed.error.detail_code == code
        assert words in failed.error.message
        assert _PASSWORD not in failed.error.message


def test_no_answer_to_the_question_of_tls() -> None:
    assert "does not speak" in _failure(_sign_in("offered"), b"H").error.message


@pytest.mark.parametrize("said", [AUTHENTICATION_OK, _READY, ParameterStatus("a", "b").build()])
def test_a_server_that_leaves_out_its_own_proof(said: bytes) -> None:
    server = _Server(_sign_in())
    server.prove()
    assert isinstance(_take(server.sign_in, said), Failed)


def test_a_server_that_does_not_hold_the_verifier() -> None:
    server = _Server(_sign_in())
    server.prove(verifier=ScramVerifier(bytes(32), bytes(32)))
    failed = _failure(server.sign_in, server.answer + AUTHENTICATION_OK + _KEY + _READY)
    assert "does not hold the verifier" in failed.error.message


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (_READY, "no key"),
        (_KEY + ReadyForQuery(IN_TRANSACTION).build(), "inside of a transaction"),
        (AUTHENTICATION_OK, "out of order"),
        (message(b"T", b"\0\0"), "kind 'T'"),
    ],
)
def test_a_server_that_is_not_ready(said: bytes, words: str) -> None:
    server = _Server(_sign_in())
    server.prove()
    failed = _failure(server.sign_in, server.answer + AUTHENTICATION_OK + said)
    assert words in failed.error.message


def test_a_server_that_never_stops() -> None:
    sign_in = _sign_in()
    notice = Report.of("NOTICE", "00000", "x" * 60_000).build()
    for _ in range(GREETING_BYTES // len(notice)):
        assert _take(sign_in, notice) is None
    assert "too much" in _failure(sign_in, notice).error.message


def test_a_refusal_has_the_servers_words_and_sqlstate() -> None:
    said = Report.of("FATAL", "53300", "too many connections for role\nand more").build()
    failed = _failure(_sign_in(), said)
    assert failed.sqlstate == "53300"
    assert failed.error.message.endswith(": too many connections for role")
    assert failed.error.detail_code == "session_refused"


def test_a_server_that_hangs_up() -> None:
    found = _sign_in().closed()
    assert isinstance(found[0], Failed)


def test_tls_begins_when_it_was_agreed_on() -> None:
    with pytest.raises(RuntimeError):
        _sign_in("offered").tls_started(_CERTIFICATE)
    with pytest.raises(ValueError, match="tls"):
        _sign_in("prefer")


@given(
    st.sampled_from(["none", "offered", "required"]), st.lists(st.binary(max_size=40), max_size=6)
)
@settings(max_examples=150, deadline=None)
def test_any_bytes(tls: str, chunks: list[bytes]) -> None:
    sign_in = _sign_in(tls)
    for chunk in chunks:
        for event in sign_in.receive(chunk):
            assert not isinstance(event, SignedIn)
            if isinstance(event, StartTls):
                sign_in.tls_started(_CERTIFICATE)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_any_bytes_for_long(long_seconds: float) -> None:
    """What servers said, changed: it is read or it fails."""
    for chance, data in transcripts.mutations(transcripts.names("sign_in_"), long_seconds):
        sign_in = _sign_in(chance.choice(["none", "offered"]))
        at = 0
        while at < len(data):
            size = chance.randrange(1, 400)
            sign_in.receive(data[at : at + size])
            sign_in.outgoing()
            at += size
