"""Keys to cancel by: any gateway process can tell a genuine one, and which session it is of.

A key is the session's number in four bytes and a MAC over it, of which a client of protocol 3.0
keeps four bytes and one of 3.2 all. The process number that clients show is the former.
"""

from __future__ import annotations

import hmac
from typing import Final

from daypass.domain.ids import SessionId

NUMBER_BYTES: Final = 4
KEY_BYTES: Final = 36
_SHORTEST: Final = 8
_MODULUS: Final = 2**31


def cancel_key(secret: bytes, session_id: SessionId) -> bytes:
    """Return a session's key; a client may have to cut it to 8 bytes."""
    number = (session_id % _MODULUS).to_bytes(NUMBER_BYTES, "big")
    return number + hmac.digest(secret, number, "sha256")


def number_of(session_id: SessionId) -> int:
    """Return what stands for a session in keys; sessions that are open together differ in it."""
    return session_id % _MODULUS


def number_meant(secret: bytes, key: bytes) -> int | None:
    """Return the number in a genuine key, or None."""
    if not _SHORTEST <= len(key) <= KEY_BYTES:
        return None
    number = key[:NUMBER_BYTES]
    mac = hmac.digest(secret, number, "sha256")
    if not hmac.compare_digest(key[NUMBER_BYTES:], mac[: len(key) - NUMBER_BYTES]):
        return None
    return int.from_bytes(number, "big")
