"""The first packets of a connection: a length and a code instead of a kind.

They have no kind byte; a code is the version of the protocol, or one of four requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from daypass.engines.postgres.wire.body import Body, int32, text, uint32
from daypass.engines.postgres.wire.violation import ProtocolViolation

STARTUP_BYTES = 10_000
"""What PostgreSQL takes at most before it knows who is there."""

NEWEST_MINOR = 2
LONG_KEYS_SINCE_MINOR = 2
TLS_RECORD = 0x16
"""The first byte of a client that begins with TLS by itself."""

_CANCEL = 80877102
_SSL = 80877103
_GSS = 80877104
_PROTOCOL_OPTION = "_pq_."
_FEATURE_NOT_SUPPORTED = "0A000"
_SYNTAX_ERROR = "42601"


@dataclass(frozen=True, slots=True)
class SslRequest:
    """Asks whether TLS may begin."""

    def build(self) -> bytes:
        """Return its bytes."""
        return _packet(_SSL)


@dataclass(frozen=True, slots=True)
class GssRequest:
    """Asks whether GSSAPI encryption may begin."""

    def build(self) -> bytes:
        """Return its bytes."""
        return _packet(_GSS)


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Wants what runs on a connection cancelled; 4 bytes of secret, from 3.2 up to 256."""

    backend_id: int
    secret: bytes = field(repr=False)

    def build(self) -> bytes:
        """Return its bytes."""
        return _packet(_CANCEL, int32(self.backend_id), self.secret)


@dataclass(frozen=True, slots=True)
class Startup:
    """Begins a session in protocol 3.`minor`, with parameters in their order."""

    minor: int
    parameters: tuple[tuple[str, str], ...]

    @property
    def protocol_options(self) -> tuple[str, ...]:
        """Return the names of options of the protocol itself; none is known."""
        return tuple(name for name, _ in self.parameters if name.startswith(_PROTOCOL_OPTION))

    @property
    def session_parameters(self) -> tuple[tuple[str, str], ...]:
        """Return what is not an option of the protocol."""
        return tuple(each for each in self.parameters if not each[0].startswith(_PROTOCOL_OPTION))

    def build(self) -> bytes:
        """Return its bytes. Raises `ValueError` for an empty name, or a zero byte in anything."""
        if not all(name for name, _ in self.parameters):
            raise ValueError("a parameter without a name would end them")
        return _packet(
            3 << 16 | self.minor,
            *[text(name) + text(value) for name, value in self.parameters],
            b"\0",
        )


StartupPacket = SslRequest | GssRequest | CancelRequest | Startup


def packet_length(data: bytes | bytearray) -> int | None:
    """Return how long the packet is that begins `data`, or None until four bytes have come.

    Raises `ProtocolViolation` for one shorter than its header or longer than `STARTUP_BYTES`.
    """
    if len(data) < 4:
        return None
    length = int.from_bytes(data[:4])
    if not 8 <= length <= STARTUP_BYTES:
        raise ProtocolViolation("invalid length of startup packet: this is PostgreSQL's protocol")
    return length


def read_startup_packet(raw: bytes) -> StartupPacket:
    """Read a whole first packet. Raises `ProtocolViolation`."""
    if packet_length(raw) != len(raw):
        raise ProtocolViolation("startup packet: the length is not that of the packet")
    body = Body(raw, "startup packet", 4)
    code = body.uint32("version")
    match code:
        case 80877103:
            body.end()
            return SslRequest()
        case 80877104:
            body.end()
            return GssRequest()
        case 80877102:
            backend_id = body.int32("backend")
            if not 4 <= body.left <= 256:
                raise body.violation(f"a cancel key of {body.left} bytes")
            return CancelRequest(backend_id, body.rest())
        case _ if code >> 16 == 3:
            return Startup(code & 0xFFFF, _parameters(body))
        case _:
            raise ProtocolViolation(
                f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: 3.0 to 3.2 are known",
                sqlstate=_FEATURE_NOT_SUPPORTED,
            )


def split_options(options: str) -> tuple[str, ...]:
    """Split command-line options into words as the server does.

    Blanks separate; a backslash keeps the character behind it (pg_split_opts).
    """
    words: list[str] = []
    word: list[str] | None = None
    escaped = False
    for character in options:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
            word = word if word is not None else []
            continue
        elif character in " \t\n\v\f\r":
            if word is not None:
                words.append("".join(word))
            word = None
            continue
        word = word if word is not None else []
        word.append(character)
    if word is not None:
        words.append("".join(word))
    return tuple(words)


def option_settings(options: str) -> tuple[tuple[str, str], ...]:
    """Return the settings in command-line options: `-c name=value` and `--name=value`.

    Dashes in names are underscores. Raises `ProtocolViolation` for any other switch.
    """
    settings: list[tuple[str, str]] = []
    words = iter(split_options(options))
    for word in words:
        if word == "-c":
            assigned = next(words, "")
        elif word.startswith(("-c", "--")):
            assigned = word[2:]
        else:
            raise ProtocolViolation(
                "options: only -c name=value and --name=value are known", sqlstate=_SYNTAX_ERROR
            )
        name, equals, value = assigned.partition("=")
        if not name or not equals:
            raise ProtocolViolation("options: a setting without a value", sqlstate=_SYNTAX_ERROR)
        settings.append((name.replace("-", "_"), value))
    return tuple(settings)


def join_options(settings: tuple[tuple[str, str], ...]) -> str:
    """Return settings as command-line options, which `option_settings` reads.

    A setting never gets to be a parameter of the startup packet of its own, where it could be
    called `user`. Raises `ValueError` for a name that would be read as another.
    """
    words = []
    for name, value in settings:
        if not name or "=" in name or "-" in name:
            raise ValueError("a setting has a name without = and -")
        words.append("-c " + _escaped(f"{name}={value}"))
    return " ".join(words)


def _escaped(word: str) -> str:
    return "".join("\\" + each if each in " \t\n\v\f\r\\" else each for each in word)


def _parameters(body: Body) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    while name := body.text("a parameter's name"):
        found.append((name, body.text("a parameter's value")))
    body.end()
    return tuple(found)


def _packet(code: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return uint32(len(body) + 8) + uint32(code) + body
