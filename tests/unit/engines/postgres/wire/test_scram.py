"""SCRAM: the RFC's own exchange, another implementation on the other side, and those who cheat."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import scramp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from daypass.domain.secret import Secret
from daypass.engines.postgres.wire.scram import (
    MAX_ITERATIONS,
    PLAIN,
    PLUS,
    ScramClient,
    ScramRefused,
    ScramServer,
    certificate_hash,
    mechanisms,
)
from daypass.engines.postgres.wire.violation import ProtocolViolation
from daypass.engines.relay_contract import ScramVerifier
from daypass.operations.token_form import scram_keys

_SALT = b"0123456789abcdef"
_ITERATIONS = 4096
_BINDING = hashlib.sha256(b"a certificate").digest()


def _verifier(password: str, salt: bytes = _SALT) -> ScramVerifier:
    keys = scram_keys(Secret(password), salt, _ITERATIONS)
    return ScramVerifier(keys.stored_key, keys.server_key)


_OTHERS = [_verifier("one"), _verifier("two")]
_OURS = _verifier("pencil")


def _server(
    mechanism: str = PLAIN,
    verifiers: list[ScramVerifier] | None = None,
    *,
    nonce: str = "server",
    binding: bytes | None = None,
) -> ScramServer:
    return ScramServer(
        mechanism,
        salt=_SALT,
        iterations=_ITERATIONS,
        verifiers=[*_OTHERS, _OURS] if verifiers is None else verifiers,
        nonce=nonce,
        binding=binding,
    )


def test_the_exchange_of_rfc_7677() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    server = ScramServer(
        PLAIN,
        salt=salt,
        iterations=4096,
        verifiers=[_verifier("other", salt), _verifier("pencil", salt)],
        nonce="%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        binding=None,
    )
    assert server.first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert server.final(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    ) == (1, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize("mechanism", [PLAIN, PLUS])
def test_against_another_client(mechanism: str) -> None:
    bound = ("tls-server-end-point", _BINDING) if mechanism == PLUS else None
    client = scramp.ScramClient([mechanism], "alice", "pencil", channel_binding=bound)
    server = _server(mechanism, binding=_BINDING if bound else None)
    client.set_server_first(server.first(client.get_client_first().encode()).decode())
    found = server.final(client.get_client_final().encode())
    assert found is not None
    assert found[0] == 2
    client.set_server_final(found[1].decode())


@pytest.mark.parametrize("mechanism", [PLAIN, PLUS])
def test_against_another_server(mechanism: str) -> None:
    bound = ("tls-server-end-point", _BINDING) if mechanism == PLUS else None
    made = scramp.ScramMechanism(mechanism)
    kept = made.make_auth_info("pencil")
    server = made.make_server(lambda _user: kept, channel_binding=bound)
    client = ScramClient(
        Secret("pencil"), [mechanism], nonce="client", binding=_BINDING if bound else None
    )
    assert client.mechanism == mechanism
    server.set_client_first(client.first().decode())
    server.set_client_final(client.final(server.get_server_first().encode()).decode())
    client.verify(server.get_server_final().encode())


def _exchange(client: ScramClient, server: ScramServer) -> tuple[int, bytes] | None:
    return server.final(client.final(server.first(client.first())))


@pytest.mark.parametrize(("password", "index"), [("one", 0), ("two", 1), ("pencil", 2)])
def test_each_of_several_verifiers(password: str, index: int) -> None:
    client = ScramClient(Secret(password), [PLAIN], nonce="client", binding=None)
    found = _exchange(client, _server())
    assert found is not None
    assert found[0] == index
    client.verify(found[1])


@pytest.mark.parametrize("verifiers", [[], _OTHERS, [ScramVerifier(bytes(32), bytes(32))]])
def test_what_fits_none(verifiers: list[ScramVerifier]) -> None:
    client = ScramClient(Secret("pencil"), [PLAIN], nonce="client", binding=None)
    assert _exchange(client, _server(verifiers=verifiers)) is None


def test_nobody_is_asked_what_somebody_is() -> None:
    """The challenge is the same in form with verifiers and without."""
    for verifiers in ([], [_OURS]):
        server = _server(verifiers=verifiers)
        assert server.first(b"n,,n=,r=c") == b"r=cserver,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"


def test_keys_of_the_store_prove_nothing() -> None:
    """Whoever reads the store has StoredKey and ServerKey, and cannot make a proof of them."""
    for key in (_OURS.stored_key, _OURS.server_key, bytes(32)):
        server = _server()
        server.first(b"n,,n=,r=c")
        proof = base64.b64encode(key)
        assert server.final(b"c=biws,r=cserver,p=" + proof) is None


def test_a_proof_is_good_for_its_own_exchange_alone() -> None:
    client = ScramClient(Secret("pencil"), [PLAIN], nonce="client", binding=None)
    first = client.first()
    proof = client.final(_server().first(first))
    again = _server(nonce="another")
    again.first(first)
    with pytest.raises(ProtocolViolation, match="nonce"):
        again.final(proof)
    # With the nonce put right it is a proof of something else.
    again = _server(nonce="another")
    again.first(first)
    assert again.final(proof.replace(b"r=clientserver", b"r=clientanother")) is None


def test_a_binding_taken_away_on_the_way_is_noticed() -> None:
    client = ScramClient(Secret("pencil"), [PLAIN], nonce="client", binding=_BINDING)
    assert client.first().startswith(b"y,,")
    with pytest.raises(ScramRefused, match="channel binding is not possible here, and it is"):
        _server(binding=_BINDING).first(client.first())
    assert _exchange(client, _server(binding=None)) is not None


def test_a_client_that_cannot_bind_is_let_in_without() -> None:
    client = ScramClient(Secret("pencil"), [PLUS, PLAIN], nonce="client", binding=None)
    assert client.mechanism == PLAIN
    assert _exchange(client, _server(binding=_BINDING)) is not None


def test_somebody_in_the_middle_has_another_certificate() -> None:
    client = ScramClient(Secret("pencil"), [PLUS, PLAIN], nonce="client", binding=bytes(32))
    with pytest.raises(ScramRefused, match="not that of this connection") as caught:
        _exchange(client, _server(PLUS, binding=_BINDING))
    assert caught.value.sqlstate == "28000"


def test_a_mechanism_not_offered() -> None:
    for mechanism, binding in (
        (PLUS, None),
        ("PLAIN", None),
        ("", _BINDING),
        ("SCRAM-SHA-1", None),
    ):
        with pytest.raises(ScramRefused, match="not offered"):
            _server(mechanism, binding=binding)
    assert mechanisms(None) == (PLAIN,)
    assert mechanisms(_BINDING) == (PLUS, PLAIN)


@pytest.mark.parametrize(
    ("mechanism", "first", "said"),
    [
        (PLAIN, b"", "malformed"),
        (PLAIN, b"n,,", "malformed"),
        (PLAIN, b"n,,n=", "malformed"),
        (PLAIN, b"n,,n=,r=", "malformed"),
        (PLAIN, b"n,n=,r=c", "malformed"),
        (PLAIN, b"x,,n=,r=c", "malformed"),
        (PLAIN, b"n,,m=x,n=,r=c", "malformed"),
        (PLAIN, b"n,,r=c,n=", "malformed"),
        (PLAIN, b"n,,n=,r=c d", "malformed"),
        (PLAIN, b"n,,n=,r=c\n", "malformed"),
        (PLAIN, b"n,,n=,r=\xff", "malformed"),
        (PLAIN, b"n,,n=,r=c,", "malformed"),
        (PLAIN, b"n,,n=,r=c\0", "malformed"),
        (PLAIN, b"p=,,n=,r=c", "malformed"),
        (PLAIN, b"n,a=admin,n=,r=c", "somebody else"),
        (PLAIN, b"p=tls-server-end-point,,n=,r=c", "do not go together"),
        (PLUS, b"n,,n=,r=c", "do not go together"),
        (PLUS, b"y,,n=,r=c", "do not go together"),
        (PLUS, b"p=tls-unique,,n=,r=c", "the only channel binding"),
        (PLUS, b"p=tls-exporter,,n=,r=c", "the only channel binding"),
    ],
)
def test_first_messages_that_are_none(mechanism: str, first: bytes, said: str) -> None:
    server = _server(mechanism, binding=_BINDING if mechanism == PLUS else None)
    with pytest.raises(ProtocolViolation, match=said):
        server.first(first)


_PROOF = base64.b64encode(bytes(32))


@pytest.mark.parametrize(
    ("final", "said"),
    [
        (b"", "malformed"),
        (b"c=biws", "malformed"),
        (b"c=biws,r=cserver", "malformed"),
        (b"c=biws,r=cserver,p=", "malformed"),
        (b"c=biws,r=cserver,p=" + _PROOF + b",x=y", "malformed"),
        (b"c=biws,r=cserver,p=AAAA", "malformed"),
        (b"c=biws,r=cserver,p=" + base64.b64encode(bytes(33)), "malformed"),
        (b"c=biws,r=cserver,p=A" + _PROOF, "malformed"),
        (b"c=biws,r=cserver,p=" + _PROOF[:-1], "malformed"),
        (b"r=cserver,c=biws,p=" + _PROOF, "malformed"),
        (b"c=eSws,r=cserver,p=" + _PROOF, "channel binding"),
        (b"c=biwsbiws,r=cserver,p=" + _PROOF, "channel binding"),
        (b"c=biws,r=cserve,p=" + _PROOF, "nonce"),
        (b"c=biws,r=cserverx,p=" + _PROOF, "nonce"),
        (b"c=biws,r=c,p=" + _PROOF, "nonce"),
    ],
)
def test_final_messages_that_are_none(final: bytes, said: str) -> None:
    server = _server()
    server.first(b"n,,n=,r=c")
    with pytest.raises(ProtocolViolation, match=said):
        server.final(final)


@pytest.mark.parametrize(
    ("challenge", "said"),
    [
        (b"", "malformed"),
        (b"r=clientx,s=,i=1", "malformed"),
        (b"r=clientx,s=!,i=1", "malformed"),
        (b"r=clientx,s=AAA,i=1", "malformed"),
        (b"r=clientx,s=AAAA,i=0", "malformed"),
        (b"r=clientx,s=AAAA,i=-1", "malformed"),
        (b"r=clientx,s=AAAA", "malformed"),
        (b"m=x,r=clientx,s=AAAA,i=1", "malformed"),
        (b"e=other-error", "malformed"),
        (b"r=client,s=AAAA,i=1", "go on from ours"),
        (b"r=clienT1,s=AAAA,i=1", "go on from ours"),
        (b"r=clientx,s=AAAA,i=%d" % (MAX_ITERATIONS + 1), "too many"),
        (b"r=clientx,s=AAAA,i=4294967296", "too many"),
    ],
)
def test_challenges_that_are_none(challenge: bytes, said: str) -> None:
    client = ScramClient(Secret("pencil"), [PLAIN], nonce="client", binding=None)
    with pytest.raises(ProtocolViolation, match=said):
        client.final(challenge)


def test_a_server_that_does_not_hold_the_verifier() -> None:
    client = ScramClient(Secret("pencil"), [PLAIN], nonce="client", binding=None)
    with pytest.raises(ProtocolViolation, match="malformed"):
        client.verify(b"v=" + _PROOF)
    client.final(_server().first(client.first()))
    for final, said in ((b"v=" + _PROOF, "does not hold"), (b"v=", "malformed"), (b"e=x", "malf")):
        with pytest.raises(ProtocolViolation, match=said):
            client.verify(final)


@pytest.mark.parametrize(
    ("offered", "binding"), [([], None), (["PLAIN", "SCRAM-SHA-1"], None), ([PLUS], None)]
)
def test_a_server_that_offers_nothing_of_use(offered: list[str], binding: bytes | None) -> None:
    with pytest.raises(ScramRefused):
        ScramClient(Secret("pencil"), offered, nonce="client", binding=binding)


def test_passwords_are_ascii() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        ScramClient(Secret("größe"), [PLAIN], nonce="client", binding=None)


def _certificate(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None,
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a gateway")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=9))
        .sign(key, algorithm)
        .public_bytes(serialization.Encoding.DER)
    )


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384"), (hashes.SHA512(), "sha512")],
)
def test_the_hash_is_that_of_the_certificates_signature(
    algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512, name: str
) -> None:
    certificate = _certificate(ec.generate_private_key(ec.SECP256R1()), algorithm)
    assert certificate_hash(certificate) == hashlib.new(name, certificate).digest()


_SIGNED_WITH_SHA1 = base64.b64decode(
    "MIIBcDCCARagAwIBAgIUed3xCEoAwiKzM3AzPJQLJc6Ymb8wCQYHKoZIzj0EATAOMQwwCgYDVQQDDANv"
    "bGQwHhcNMjYxMTIxMTQzNzExWhcNMjYxMTMwMTQzNzExWjAOMQwwCgYDVQQDDANvbGQwWTATBgcqhkjO"
    "PQIBBggqhkjOPQMBBwNCAASK0hnTK8mMA2D9a64oR+Aqhgp2C4TjymCTS6PrhWI8BsN7DLqplfRdO3Aj"
    "drKNa/U18s5Zt73D3aaaP3JsAIvWo1MwUTAdBgNVHQ4EFgQUzcgrzbunPQFXp+VLP/I5sIRr0RUwHwYD"
    "VR0jBBgwFoAUzcgrzbunPQFXp+VLP/I5sIRr0RUwDwYDVR0TAQH/BAUwAwEB/zAJBgcqhkjOPQQBA0kA"
    "MEYCIQCeM2HqxfCVKYIFv+Y+VLPvADnTKDktgV8KXrFcpqZb4AIhAO3GwJtgTqyYqQGTADr1LZTSkn3I"
    "SfybH/9lyXxLmHQh"
)


def test_a_weak_hash_becomes_sha256() -> None:
    assert certificate_hash(_SIGNED_WITH_SHA1) == hashlib.sha256(_SIGNED_WITH_SHA1).digest()


def test_certificates_without_a_hash_to_bind_to() -> None:
    assert certificate_hash(_certificate(ed25519.Ed25519PrivateKey.generate(), None)) is None
    assert certificate_hash(b"no certificate") is None
    assert certificate_hash(b"") is None
