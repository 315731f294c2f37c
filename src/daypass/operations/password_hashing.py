"""Hash and verify passwords with argon2id (RFC 9106), away from the event loop."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from daypass.domain.errors import Unavailable
from daypass.domain.secret import Secret

_T = TypeVar("_T")

# The second recommended option of RFC 9106: 64 MiB, so that a machine can bear several at once.
_HASHER: Final = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4)

_AT_ONCE = 2
_WAITING_AT_MOST = 64
_THREADS = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="argon2")
_ROOM = BoundedSemaphore(_WAITING_AT_MOST)

NOBODYS_VERIFIER: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$lQ3eNpwmaY0I0KqW5pIuEQ"
    "$4uml0n8yeaM79UCTsUaNzn8oMs+P+lob1ES/pMo+GuM"
)
"""Of a password nobody knows: verified for people there are none of, at the same expense."""


async def hash_password(password: Secret) -> str:
    """Return a verifier with a salt of its own. Raises `Unavailable` when too many wait."""
    return await _in_thread(lambda: _HASHER.hash(_normal(password)))


async def verify_password(verifier: str, password: Secret) -> bool:
    """Say whether the password is the verifier's. Raises `Unavailable` when too many wait."""

    def verify() -> bool:
        try:
            return _HASHER.verify(verifier, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    return await _in_thread(verify)


def needs_rehash(verifier: str) -> bool:
    """Say whether a verifier was made at less expense than is asked for now."""
    return _HASHER.check_needs_rehash(verifier)


def _normal(password: Secret) -> bytes:
    # Keyboards write the same character in more than one way.
    return unicodedata.normalize("NFKC", password.reveal()).encode("utf-8", "surrogatepass")


async def _in_thread(work: Callable[[], _T]) -> _T:
    if not _ROOM.acquire(blocking=False):
        raise Unavailable(
            "too many people are signing in at this moment",
            next_step="try again in a few seconds",
            code="busy",
        )
    work_done = _THREADS.submit(work)
    # A caller who went away makes no room while the thread still works.
    work_done.add_done_callback(lambda _: _ROOM.release())
    return await asyncio.wrap_future(work_done)
