"""SCRAM-SHA-256 and -PLUS, both sides (RFC 5802, 7677; channel binding of RFC 5929).

The server side tries a proof against several verifiers that share one salt and iteration count
(ADR 0009), all of them in any case and each in constant time. User names in the exchange are
ignored, as PostgreSQL does: the startup packet said who it is. Nonces are handed in.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from daypass.domain.secret import Secret
from daypass.engines.postgres.wire.violation import ProtocolViolation
from daypass.engines.relay_contract import ScramVerifier

PLAIN = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"

MAX_ITERATIONS = 100_000
"""What a server may make us compute: more would hold up every other session."""

_BINDING = "tls-server-end-point"
_KEY_BYTES = 32
_INVALID_AUTHORIZATION = "28000"

# RFC 5802 section 7: printable is ASCII without blanks, controls and the comma.
_CLIENT_FIRST = re.compile(
    rb"(?P<gs2>(?P<flag>n|y|p=(?P<binding>[A-Za-z0-9.-]+)),(?P<authzid>[^,]*),)"
    rb"(?P<bare>n=[^,]*,r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]*)*)"
)
_CLIENT_FINAL = re.compile(
    rb"(?P<without_proof>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)"
    rb"(?:,[A-Za-z]=[^,]*)*),p=(?P<proof>[A-Za-z0-9+/=]+)"
)
_SERVER_FIRST = re.compile(
    rb"r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+),s=(?P<salt>[A-Za-z0-9+/=]+),"
    rb"i=(?P<iterations>[1-9][0-9]{0,9})(?:,[A-Za-z]=[^,]*)*"
)
_SERVER_FINAL = re.compile(rb"v=(?P<signature>[A-Za-z0-9+/=]+)(?:,[A-Za-z]=[^,]*)*")


class ScramRefused(ProtocolViolation):
    """The exchange may not go on, for a reason other than its form."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sqlstate=_INVALID_AUTHORIZATION)


def certificate_hash(certificate: bytes) -> bytes | None:
    """Return what tls-server-end-point binds to, for a certificate in DER (RFC 5929, section 4.1).

    MD5 and SHA-1 become SHA-256. None where the signature has no hash of its own (Ed25519), or one
    that is not known: then there is no binding to be had.
    """
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return None
    if algorithm is None:
        return None
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    if name not in ("sha224", "sha256", "sha384", "sha512"):
        return None
    return hashlib.new(name, certificate).digest()


class ScramServer:
    """One exchange toward a client: `first`, then `final`.

    `nonce` is fresh, random and printable. `binding` is the hash of our certificate where the
    mechanism chosen is PLUS or could have been: without one PLUS is not offered.
    """

    def __init__(
        self,
        mechanism: str,
        *,
        salt: bytes,
        iterations: int,
        verifiers: Sequence[ScramVerifier],
        nonce: str,
        binding: bytes | None,
    ) -> None:
        if mechanism not in mechanisms(binding):
            raise ScramRefused("the client chose a mechanism that was not offered")
        self._plus = mechanism == PLUS
        self._salt = salt
        self._iterations = iterations
        self._verifiers = tuple(verifiers)
        self._nonce = nonce.encode("ascii")
        self._binding = binding
        self._expected_binding = b""
        self._full_nonce = b""
        self._exchanged = b""

    def first(self, data: bytes) -> bytes:
        """Take the client's first message and return the challenge.

        Raises `ProtocolViolation`; `ScramRefused` for a binding given up on the way: a client that
        could bind but was told that we cannot, while we can.
        """
        match = _CLIENT_FIRST.fullmatch(data)
        if match is None:
            raise ProtocolViolation("SCRAM: the client's first message is malformed")
        if match["authzid"]:
            raise ScramRefused("SCRAM: acting as somebody else is not possible")
        flag = match["flag"][:1]
        if (flag == b"p") is not self._plus:
            raise ScramRefused("SCRAM: the mechanism and its channel binding do not go together")
        if flag == b"y" and self._binding is not None:
            raise ScramRefused(
                "SCRAM: the client thinks that channel binding is not possible here, and it is"
            )
        bound = b""
        if self._plus:
            if match["binding"] != _BINDING.encode():
                raise ScramRefused(f"SCRAM: the only channel binding is {_BINDING}")
            bound = self._binding or b""
        self._expected_binding = b64encode(match["gs2"] + bound)
        self._full_nonce = match["nonce"] + self._nonce
        challenge = _server_first(self._full_nonce, self._salt, self._iterations)
        self._exchanged = match["bare"] + b"," + challenge
        return challenge

    def final(self, data: bytes) -> tuple[int, bytes] | None:
        """Take the client's proof; return which verifier it fits and our own proof, None for none.

        Raises `ProtocolViolation` for a message that is none, `ScramRefused` for another channel.
        """
        match = _CLIENT_FINAL.fullmatch(data)
        proof = _decoded(match["proof"]) if match else None
        if match is None or proof is None or len(proof) != _KEY_BYTES:
            raise ProtocolViolation("SCRAM: the client's final message is malformed")
        if not hmac.compare_digest(match["binding"], self._expected_binding):
            raise ScramRefused("SCRAM: the channel binding is not that of this connection")
        if not hmac.compare_digest(match["nonce"], self._full_nonce):
            raise ProtocolViolation("SCRAM: the nonce is not that of this exchange")
        signed = self._exchanged + b"," + match["without_proof"]
        fits = -1
        # Nobody's proof is tried against something too: as long as one verifier would take.
        for index, verifier in enumerate(self._verifiers or (_NOBODY,)):
            signature = hmac.digest(verifier.stored_key, signed, "sha256")
            stored_key = hashlib.sha256(_xor(proof, signature)).digest()
            if hmac.compare_digest(stored_key, verifier.stored_key) and self._verifiers:
                fits = index
        if fits < 0:
            return None
        signature = hmac.digest(self._verifiers[fits].server_key, signed, "sha256")
        return fits, b"v=" + b64encode(signature)


class ScramClient:
    """One exchange toward a server: `first`, `final`, then `verify`.

    `binding` is the hash of the server's certificate, None without TLS or where there is none. The
    password is ASCII: SASLprep changes nothing in it.
    """

    def __init__(
        self, password: Secret, offered: Sequence[str], *, nonce: str, binding: bytes | None
    ) -> None:
        if not {PLAIN, PLUS}.intersection(offered):
            raise ScramRefused("SCRAM: the server offers no mechanism known here")
        if not password.reveal().isascii():
            raise ValueError("a password outside of ASCII")
        self._password = password
        self._nonce = nonce.encode("ascii")
        self._bound = b""
        self.mechanism = PLAIN
        self._gs2 = b"n,,"
        if PLUS in offered and binding is not None:
            self.mechanism = PLUS
            self._gs2 = f"p={_BINDING},,".encode()
            self._bound = binding
        elif PLAIN not in offered:
            raise ScramRefused("SCRAM: the server wants a channel binding that cannot be had")
        elif binding is not None:
            # A server that did offer PLUS then knows that somebody took its offer away.
            self._gs2 = b"y,,"
        self._server_signature = b""

    def first(self) -> bytes:
        """Return the first message."""
        return self._gs2 + self._bare

    @property
    def _bare(self) -> bytes:
        # A name has to be there and nobody reads it.
        return b"n=*,r=" + self._nonce

    def final(self, challenge: bytes) -> bytes:
        """Answer the server's challenge with the proof. Raises `ProtocolViolation`."""
        match = _SERVER_FIRST.fullmatch(challenge)
        salt = _decoded(match["salt"]) if match else None
        if match is None or not salt:
            raise ProtocolViolation("SCRAM: the server's challenge is malformed")
        nonce = match["nonce"]
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise ProtocolViolation("SCRAM: the server's nonce does not go on from ours")
        iterations = int(match["iterations"])
        if iterations > MAX_ITERATIONS:
            raise ScramRefused(f"SCRAM: the server asks for {iterations} iterations, too many")
        salted = hashlib.pbkdf2_hmac("sha256", self._password.reveal().encode(), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=" + b64encode(self._gs2 + self._bound) + b",r=" + nonce
        signed = self._bare + b"," + challenge + b"," + without_proof
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self._server_signature = hmac.digest(server_key, signed, "sha256")
        return without_proof + b",p=" + b64encode(_xor(client_key, signature))

    def verify(self, final: bytes) -> None:
        """Make sure that the server holds the verifier too. Raises `ProtocolViolation`."""
        match = _SERVER_FINAL.fullmatch(final)
        signature = _decoded(match["signature"]) if match else None
        if signature is None or not self._server_signature:
            raise ProtocolViolation("SCRAM: the server's final message is malformed")
        if not hmac.compare_digest(signature, self._server_signature):
            raise ScramRefused("SCRAM: the server does not hold the verifier of the password")


def mechanisms(binding: bytes | None) -> tuple[str, ...]:
    """Return what is offered to a client, PLUS first where there is something to bind to."""
    return (PLAIN,) if binding is None else (PLUS, PLAIN)


def _server_first(nonce: bytes, salt: bytes, iterations: int) -> bytes:
    return b"r=" + nonce + b",s=" + b64encode(salt) + b",i=" + str(iterations).encode()


def _decoded(text: bytes) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _xor(left: bytes, right: bytes) -> bytes:
    size = len(left)
    return (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(size)


_NOBODY = ScramVerifier(bytes(_KEY_BYTES), bytes(_KEY_BYTES))
