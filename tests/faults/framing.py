"""Name the messages of a connection as they pass, so that a fault can be put at any of them.

Written for the tests, from the protocol's description, and not by the product's own codec: a
mistake there must not hide here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SSL_REQUEST: Final = 80877103
_CANCEL_REQUEST: Final = 80877102
_GSS_REQUEST: Final = 80877104
_TLS_HANDSHAKE: Final = 22

_CLIENT: Final = {
    "B": "Bind", "C": "Close", "D": "Describe", "E": "Execute", "H": "Flush", "P": "Parse",
    "Q": "Query", "S": "Sync", "X": "Terminate", "c": "CopyDone", "d": "CopyData",
    "f": "CopyFail", "p": "Sasl",
}  # fmt: skip
_SERVER: Final = {
    "1": "ParseComplete", "2": "BindComplete", "3": "CloseComplete", "A": "Notification",
    "C": "CommandComplete", "D": "DataRow", "E": "ErrorResponse", "G": "CopyInResponse",
    "H": "CopyOutResponse", "I": "EmptyQuery", "K": "BackendKeyData", "N": "Notice",
    "R": "Authentication", "S": "ParameterStatus", "T": "RowDescription", "Z": "Ready",
    "c": "CopyDone", "d": "CopyData", "n": "NoData", "s": "PortalSuspended",
    "t": "ParameterDescription", "v": "Negotiate",
}  # fmt: skip


class Way(StrEnum):
    """Whose words they are, as the protocol sees it: the gateway is the target's client."""

    CLIENT = "C"
    SERVER = "S"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it stands on the wire; `nth` counts those of its name, from 1."""

    way: Way
    name: str
    nth: int
    raw: bytes


class Conversation:
    """Both directions of one connection."""

    def __init__(self) -> None:
        self.startup: dict[str, str] = {}
        self.cancels = b""
        """Process number and key of a request to cancel."""
        self._data = {way: bytearray() for way in Way}
        self._counts: Counter[tuple[Way, str]] = Counter()
        self._tls = False
        self._started = False
        self._asked = False

    def feed(self, way: Way, data: bytes) -> list[Message]:
        """Take bytes and return the messages that are whole now."""
        buffer = self._data[way]
        buffer += data
        found = []
        while (size := self._size(way, buffer)) is not None and len(buffer) >= size:
            raw = bytes(buffer[:size])
            del buffer[:size]
            name = self._name(way, raw)
            self._counts[way, name] += 1
            found.append(Message(way, name, self._counts[way, name], raw))
        return found

    def rest(self, way: Way) -> bytes:
        """Return what stands there of a message that is not whole."""
        return bytes(self._data[way])

    def _size(self, way: Way, buffer: bytearray) -> int | None:
        if not buffer:
            return None
        if self._tls or (way is Way.CLIENT and not self._started and buffer[0] == _TLS_HANDSHAKE):
            return 5 + int.from_bytes(buffer[3:5]) if len(buffer) >= 5 else None
        if way is Way.CLIENT and not self._started:
            return int.from_bytes(buffer[:4]) if len(buffer) >= 4 else None
        if way is Way.SERVER and self._asked:
            return 1
        return 1 + int.from_bytes(buffer[1:5]) if len(buffer) >= 5 else None

    def _name(self, way: Way, raw: bytes) -> str:
        if self._tls or (way is Way.CLIENT and not self._started and raw[0] == _TLS_HANDSHAKE):
            self._tls = True
            return {20: "TlsCipher", 21: "TlsAlert", 22: "TlsHandshake"}.get(raw[0], "TlsData")
        if way is Way.CLIENT and not self._started:
            return self._first(raw)
        if way is Way.SERVER and self._asked:
            self._asked = False
            self._tls = raw == b"S"
            return "SslAnswer"
        kind = chr(raw[0])
        if way is Way.CLIENT:
            return _CLIENT[kind]
        if kind == "R":
            return f"Authentication{int.from_bytes(raw[5:9])}"
        return _SERVER[kind] + (chr(raw[5]) if kind == "Z" else "")

    def _first(self, raw: bytes) -> str:
        code = int.from_bytes(raw[4:8])
        if code in (_SSL_REQUEST, _GSS_REQUEST):
            self._asked = True
            return "SslRequest"
        self._started = True
        if code == _CANCEL_REQUEST:
            self.cancels = raw[8:]
            return "CancelRequest"
        words = raw[8:].split(b"\0")
        self.startup = {
            words[at].decode(): words[at + 1].decode() for at in range(0, len(words) - 1, 2)
        }
        return "Startup"
