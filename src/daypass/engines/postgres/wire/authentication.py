"""What a server sends while a client signs in.

Each message is read from and built as a whole one, header included. `read` raises
`ProtocolViolation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from daypass.engines.postgres.wire.body import Body, int32, message, text, uint32

AUTHENTICATION_OK = message(b"R", int32(0))

_SASL = 10
_SASL_CONTINUE = 11
_SASL_FINAL = 12
_NAMES = {
    2: "Kerberos V5",
    3: "a password in clear",
    5: "an MD5 password",
    7: "GSSAPI",
    8: "GSSAPI",
    9: "SSPI",
}


@dataclass(frozen=True, slots=True)
class AuthenticationOk:
    """The client is who it says it is."""

    def build(self) -> bytes:
        """Return its bytes."""
        return AUTHENTICATION_OK


@dataclass(frozen=True, slots=True)
class AuthenticationSasl:
    """Asks for a proof by one of these mechanisms, the server's favourite first."""

    mechanisms: tuple[str, ...]

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"R", int32(_SASL), *map(text, self.mechanisms), b"\0")


@dataclass(frozen=True, slots=True)
class AuthenticationSaslContinue:
    """The server's challenge."""

    data: bytes

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"R", int32(_SASL_CONTINUE), self.data)


@dataclass(frozen=True, slots=True)
class AuthenticationSaslFinal:
    """The server's own proof."""

    data: bytes

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"R", int32(_SASL_FINAL), self.data)


@dataclass(frozen=True, slots=True)
class AuthenticationOther:
    """A proof of a kind that is not given here; `name` says which for people."""

    code: int

    @property
    def name(self) -> str:
        """Return what is asked for, in words."""
        return _NAMES.get(self.code, f"authentication of kind {self.code}")


Authentication = (
    AuthenticationOk
    | AuthenticationSasl
    | AuthenticationSaslContinue
    | AuthenticationSaslFinal
    | AuthenticationOther
)


def read_authentication(raw: bytes) -> Authentication:
    """Read a message of kind `R`. Raises `ProtocolViolation`."""
    body = Body.of(raw, b"R", "Authentication")
    match body.int32("kind"):
        case 0:
            body.end()
            return AuthenticationOk()
        case 10:
            mechanisms: list[str] = []
            while mechanism := body.text("a mechanism"):
                mechanisms.append(mechanism)
            body.end()
            return AuthenticationSasl(tuple(mechanisms))
        case 11:
            return AuthenticationSaslContinue(body.rest())
        case 12:
            return AuthenticationSaslFinal(body.rest())
        case code:
            return AuthenticationOther(code)


@dataclass(frozen=True, slots=True)
class BackendKeyData:
    """What to cancel by; `secret` has 4 bytes, from 3.2 up to 256."""

    backend_id: int
    secret: bytes = field(repr=False)

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"K", "BackendKeyData")
        backend_id = body.int32("backend")
        if not 4 <= body.left <= 256:
            raise body.violation(f"a cancel key of {body.left} bytes")
        return cls(backend_id, body.rest())

    def build(self) -> bytes:
        """Return its bytes."""
        return message(b"K", int32(self.backend_id), self.secret)


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion:
    """Says which version is spoken instead, 3.`minor`, and which options are not known."""

    minor: int
    options: tuple[str, ...]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read one. Raises `ProtocolViolation`."""
        body = Body.of(raw, b"v", "NegotiateProtocolVersion")
        version = body.uint32("version")
        # Documented as the minor version alone, sent by every server as the whole.
        if version >> 16 not in (0, 3):
            raise body.violation("a version other than 3")
        options = tuple([body.text("an option") for _ in range(_number(body))])
        body.end()
        return cls(version & 0xFFFF, options)

    def build(self) -> bytes:
        """Return its bytes."""
        options = b"".join(map(text, self.options))
        return message(b"v", uint32(3 << 16 | self.minor), int32(len(self.options)), options)


def _number(body: Body) -> int:
    number = body.int32("number of options")
    if not 0 <= number <= body.left:
        raise body.violation(f"{number} options, more than fit")
    return number
