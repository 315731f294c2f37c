"""Reading and building what is inside a message; what does not fit is a `ProtocolViolation`."""

from __future__ import annotations

from struct import Struct

from daypass.engines.postgres.wire.framing import HEADER_BYTES, kind_name
from daypass.engines.postgres.wire.violation import NOT_UTF8, ProtocolViolation

_int16 = Struct(">h")
_uint16 = Struct(">H")
_int32 = Struct(">i")
_uint32 = Struct(">I")


class Body:
    """A cursor over a message's body; every read says what it reads, for the violation."""

    __slots__ = ("_at", "_data", "_name")

    def __init__(self, data: bytes, name: str, start: int = HEADER_BYTES) -> None:
        self._data = data
        self._name = name
        self._at = start

    @classmethod
    def of(cls, raw: bytes, kind: bytes, name: str) -> Body:
        """Begin with a whole message, header and all, that has to be of one kind."""
        if len(raw) < HEADER_BYTES or _uint32.unpack_from(raw, 1)[0] != len(raw) - 1:
            raise ProtocolViolation(f"{name}: the length is not that of the message")
        if raw[0] != kind[0]:
            raise ProtocolViolation(f"{name} expected, not kind {kind_name(raw[0])}")
        return cls(raw, name)

    @property
    def left(self) -> int:
        """Return how many bytes have not been read."""
        return len(self._data) - self._at

    def violation(self, what: str) -> ProtocolViolation:
        """Return the violation of something wrong where the cursor stands."""
        return ProtocolViolation(f"{self._name}: {what}, at byte {self._at}")

    def byte(self, what: str) -> int:
        """Read one byte."""
        return self.take(1, what)[0]

    def int16(self, what: str) -> int:
        """Read a signed number of two bytes."""
        value: int = _int16.unpack(self.take(2, what))[0]
        return value

    def count(self, what: str, each_bytes: int) -> int:
        """Read how many things follow, each of at least `each_bytes`: no more than can be there."""
        value: int = _uint16.unpack(self.take(2, what))[0]
        if value * each_bytes > self.left:
            raise self.violation(f"{value} {what}, more than fit")
        return value

    def int32(self, what: str) -> int:
        """Read a signed number of four bytes."""
        value: int = _int32.unpack(self.take(4, what))[0]
        return value

    def uint32(self, what: str) -> int:
        """Read an unsigned number of four bytes, such as an oid."""
        value: int = _uint32.unpack(self.take(4, what))[0]
        return value

    def take(self, size: int, what: str) -> bytes:
        """Read that many bytes."""
        after = self._at + size
        if size < 0 or after > len(self._data):
            raise self.violation(f"{what} missing or cut off")
        taken = self._data[self._at : after]
        self._at = after
        return taken

    def value(self, what: str) -> bytes | None:
        """Read a value with its length before it; -1 is NULL."""
        size = self.int32(what)
        if size == -1:
            return None
        return self.take(size, what)

    def raw_text(self, what: str) -> bytes:
        """Read bytes up to a zero byte."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise self.violation(f"{what} without its end")
        taken = self._data[self._at : end]
        self._at = end + 1
        return taken

    def text(self, what: str) -> str:
        """Read text up to a zero byte, in UTF-8."""
        start = self._at
        try:
            return self.raw_text(what).decode()
        except UnicodeDecodeError as error:
            raise ProtocolViolation(
                f"{self._name}: {what} is not UTF-8, at byte {start + error.start}",
                sqlstate=NOT_UTF8,
            ) from None

    def rest(self) -> bytes:
        """Read whatever is left."""
        return self.take(self.left, "")

    def end(self) -> None:
        """Make sure that nothing is left."""
        if self.left:
            raise self.violation(f"{self.left} bytes too many")


def message(kind: bytes, *parts: bytes) -> bytes:
    """Return a whole message."""
    body = b"".join(parts)
    return kind + _uint32.pack(len(body) + 4) + body


def int16(value: int) -> bytes:
    """Return a signed number of two bytes."""
    return _int16.pack(value)


def count(value: int) -> bytes:
    """Return a number of things, two bytes. Raises `ValueError` when there are too many."""
    if value > 0xFFFF:
        raise ValueError("more things than a message can count")
    return _uint16.pack(value)


def int32(value: int) -> bytes:
    """Return a signed number of four bytes."""
    return _int32.pack(value)


def uint32(value: int) -> bytes:
    """Return an unsigned number of four bytes."""
    return _uint32.pack(value)


def text(value: str) -> bytes:
    """Return text with the zero byte at its end. Raises `ValueError` when it has one in it."""
    return raw_text(value.encode())


def raw_text(value: bytes) -> bytes:
    """Return bytes with the zero byte at their end. Raises `ValueError` when they have one."""
    if b"\0" in value:
        raise ValueError("a zero byte cannot be sent within text")
    return value + b"\0"


def length_and(value: bytes | None) -> bytes:
    """Return a value with its length before it; None is NULL."""
    return _int32.pack(-1) if value is None else _int32.pack(len(value)) + value
