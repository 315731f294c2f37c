"""Where messages begin and end in what a client or a server sends.

After the greeting every message is a kind (one byte), a length (four bytes, itself counted) and a
body. `ServerWalker` reads nothing but these headers, so that a chunk can be forwarded as it came;
`ClientReader` gathers messages whole, since each is looked at before it is forwarded. Neither ever
raises for what a peer sends: at the first violation they stop, and say so in `violation`. The same
bytes give the same messages however they were cut.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from daypass.engines.postgres.wire.violation import TOO_LARGE, ProtocolViolation

LARGEST_LENGTH = 0x3FFFFFFE
"""The longest message PostgreSQL itself would build or take: 1 GB less two bytes."""

HEADER_BYTES = 5
SMALL_BYTES = 10_000
"""What the server takes at most for kinds that carry names alone."""

Mark = tuple[int, int, int, int, int]
"""(kind, start, end, rows, size) of a message of the server that is not a row.

`data[start:end]` is the message, header and all. `rows` and `size` count the messages DataRow and
CopyData since the mark before (or since the last `walk` ended), and the bytes of their bodies; one
is counted when its header has come.
"""

_header = Struct(">BI").unpack_from

_COPY_DATA = ord("d")
_ROW_KINDS = frozenset(b"Dd")

# R, K and v belong to the greeting alone.
_SERVER_KINDS = frozenset(b"123ACEGHINSTVWZcnst")


class Walked(NamedTuple):
    """What a chunk of the server brought.

    Forward `data[:end]`, which may be empty; the walker keeps the rest and brings it with the next
    chunk. Where nothing was kept, `data` is the chunk itself and `end` its length: no byte was
    copied. `rows` and `size` count what came after the last mark; they are part of `data[:end]`
    but for the rest of a row that is still under way.
    """

    data: bytes
    end: int
    marks: list[Mark]
    rows: int
    size: int


class ServerWalker:
    """Walks what a server sends after its greeting.

    DataRow and CopyData pass in pieces, whatever their length, and are counted. Every other message
    is a mark, is whole in `data`, and is not forwarded in part: it may be dropped or replaced.
    One of more than `message_bytes` is a violation, and so is a kind that has no place here.
    """

    __slots__ = ("_kept", "_message_bytes", "_needed", "_pending", "violation")

    def __init__(self, message_bytes: int = 16 * 2**20) -> None:
        self._message_bytes = min(message_bytes, LARGEST_LENGTH)
        self._kept = bytearray()
        self._needed = 0
        self._pending = 0
        self.violation: ProtocolViolation | None = None

    @property
    def between(self) -> bool:
        """Say whether what was forwarded ends with a whole message: where another may be put."""
        return not self._pending

    def walk(self, chunk: bytes) -> Walked:
        """Take the server's next bytes.

        After a violation `end` stops before it, and every further chunk brings nothing.
        """
        if self.violation is not None:
            return Walked(b"", 0, [], 0, 0)
        data = chunk
        if self._kept:
            self._kept += chunk
            if len(self._kept) < self._needed:
                return Walked(b"", 0, [], 0, 0)
            data = bytes(self._kept)
            self._kept = bytearray()
        stop = len(data)
        at = self._pending
        if at > stop:
            self._pending = at - stop
            return Walked(data, stop, [], 0, 0)
        self._pending = 0
        marks: list[Mark] = []
        rows, first = 0, at
        # Locals, and one comparison a row: this loop is what a big result costs.
        header, last = _header, stop - HEADER_BYTES
        while at <= last:
            kind, length = header(data, at)
            if (kind == 0x44 or kind == 0x64) and length >= 4:
                rows += 1
                at += 1 + length
                continue
            self.violation = self._refused(kind, length)
            if self.violation is not None:
                break
            after = at + 1 + length
            if after > stop:
                self._needed = 1 + length
                break
            marks.append((kind, at, after, rows, at - first - HEADER_BYTES * rows))
            rows, first, at = 0, after, after
        else:
            self._needed = HEADER_BYTES
        if at > stop:
            # The last row, as long as it says it is, goes on beyond the chunk.
            if length > LARGEST_LENGTH:
                self.violation = _bad_length("server", kind, length)
                at -= 1 + length
                rows -= 1
            else:
                self._pending = at - stop
        elif at < stop and self.violation is None:
            self._kept += data[at:]
        return Walked(data, min(at, stop), marks, rows, at - first - HEADER_BYTES * rows)

    def _refused(self, kind: int, length: int) -> ProtocolViolation | None:
        if kind not in _SERVER_KINDS and kind not in _ROW_KINDS:
            return _bad_kind("server", kind)
        if not 4 <= length <= LARGEST_LENGTH:
            return _bad_length("server", kind, length)
        return _too_long("server", kind, length) if length >= self._message_bytes else None


class FromClient(NamedTuple):
    """A message of a client: `raw` is all of it, header included.

    Of CopyData (`kind` is `ord("d")`) it is a piece of the stream: the end of one begun before, any
    number of whole ones, the beginning of another; never anything else. `rows` counts those begun
    in it, `size` the bytes of their bodies. Otherwise both are 0.
    """

    kind: int
    raw: bytes
    rows: int = 0
    size: int = 0


class ClientReader:
    """Gathers what a client sends once it was let in.

    A message of more than `message_bytes` is a violation as soon as its header has come, nothing of
    it is kept; kinds that carry only names may have 10,000 bytes, as on the server.
    """

    __slots__ = ("_kept", "_limits", "_needed", "_pending", "violation")

    def __init__(self, message_bytes: int = 64 * 2**20) -> None:
        large = min(message_bytes, LARGEST_LENGTH)
        small = min(SMALL_BYTES, large)
        self._limits = dict.fromkeys(b"QPBF", large) | dict.fromkeys(b"CDEHSXcf", small)
        self._kept = bytearray()
        self._needed = 0
        self._pending = 0
        self.violation: ProtocolViolation | None = None

    @property
    def between(self) -> bool:
        """Say whether the last piece of CopyData ended with a whole one."""
        return not self._pending

    def receive(self, chunk: bytes) -> list[FromClient]:
        """Take the client's next bytes and return the messages they complete.

        After a violation the messages before it are still returned, and none ever after.
        """
        if self.violation is not None:
            return []
        data = chunk
        if self._kept:
            self._kept += chunk
            if len(self._kept) < self._needed:
                return []
            data = bytes(self._kept)
            self._kept = bytearray()
        stop = len(data)
        at = 0
        found: list[FromClient] = []
        if self._pending:
            at = self._copy_data(data, 0, found)
        while stop - at >= HEADER_BYTES:
            kind, length = _header(data, at)
            if kind == _COPY_DATA:
                before = at
                at = self._copy_data(data, at, found)
                if at == before:
                    return found
                continue
            limit = self._limits.get(kind)
            if limit is None:
                self.violation = _bad_kind("client", kind)
                return found
            if not 4 <= length <= LARGEST_LENGTH:
                self.violation = _bad_length("client", kind, length)
                return found
            if length >= limit:
                self.violation = _too_long("client", kind, length)
                return found
            after = at + 1 + length
            if after > stop:
                self._needed = 1 + length
                break
            found.append(FromClient(kind, data[at:after]))
            at = after
        else:
            self._needed = HEADER_BYTES
        if at < stop:
            self._kept += data[at:]
        return found

    def _copy_data(self, data: bytes, start: int, found: list[FromClient]) -> int:
        """Take the CopyData that begins or goes on at `start`, and all that follow it."""
        stop = len(data)
        rows = size = 0
        at = start + self._pending
        while stop - at >= HEADER_BYTES:
            kind, length = _header(data, at)
            if kind != _COPY_DATA:
                break
            if not 4 <= length <= LARGEST_LENGTH:
                self.violation = _bad_length("client", kind, length)
                break
            rows += 1
            size += length - 4
            at += 1 + length
        self._pending = max(0, at - stop)
        at = min(at, stop)
        if at > start:
            found.append(FromClient(_COPY_DATA, data[start:at], rows, size))
        return at


def kind_name(kind: int) -> str:
    """Return a kind of message as people write it: its letter, or its number."""
    return f"{chr(kind)!r}" if 0x20 < kind < 0x7F else f"0x{kind:02x}"


def _bad_kind(side: str, kind: int) -> ProtocolViolation:
    return ProtocolViolation(f"the {side} sent a message of kind {kind_name(kind)}, unknown here")


def _bad_length(side: str, kind: int, length: int) -> ProtocolViolation:
    return ProtocolViolation(
        f"the {side} sent a message of kind {kind_name(kind)} with the impossible length {length}"
    )


def _too_long(side: str, kind: int, length: int) -> ProtocolViolation:
    return ProtocolViolation(
        f"the {side} sent a message of kind {kind_name(kind)} of {length} bytes, too many",
        sqlstate=TOO_LARGE,
    )
