"""Slow further tries to sign in after failures, without letting one lock out another.

A try is counted as a failure before the password is looked at, so that many at once gain nothing,
and taken back when it succeeds. Three counts are kept: of person and address together, which slows
soonest; of the person from anywhere, against many addresses at once; of the address for anybody,
against one password tried on many people. The latter two never slow somebody at an address they
have lately signed in from: an attacker elsewhere cannot keep them out.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Denied
from daypass.domain.ids import PrincipalId
from daypass.store import login_failures, logins
from daypass.store.database import Tx
from daypass.store.login_failures import Failures

_KNOWN_FOR = timedelta(days=30)


class TooManyTries(Denied):
    """Further tries have to wait; the password was not looked at."""

    code = "too_many_tries"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            Decision(
                Outcome.DENIED,
                (Reason("too_many_tries", "there were too many failed tries to sign in"),),
                next_step=f"try again in {retry_after_s} seconds",
            )
        )
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class _Slowing:
    free: int
    longest_s: int
    forgotten_s: int


_PAIR = _Slowing(free=4, longest_s=300, forgotten_s=3600)
_PERSON = _Slowing(free=50, longest_s=60, forgotten_s=900)
_ADDRESS = _Slowing(free=100, longest_s=30, forgotten_s=900)


@dataclass(frozen=True, slots=True)
class CountedTry:
    """A try that was let through and counted as failed for the time being."""

    pair: bytes
    person: bytes
    address: bytes


async def count_try(
    tx: Tx, email: str, address: str, principal_id: PrincipalId | None
) -> CountedTry:
    """Let a try through or raise `TooManyTries`; commit before looking at the password."""
    place = _network(address)
    counted = CountedTry(
        pair=_subject("pair", email, place),
        person=_subject("person", email),
        address=_subject("address", place),
    )
    known = principal_id is not None and await logins.known_address(
        tx, principal_id, address, _KNOWN_FOR
    )
    slowed = [(counted.pair, _PAIR)]
    if not known:
        slowed += [(counted.person, _PERSON), (counted.address, _ADDRESS)]
    failures = await login_failures.lock_failures(tx, [subject for subject, _ in slowed])
    wait_s = max(_wait_s(failures[subject], slowing) for subject, slowing in slowed)
    if wait_s > 0:
        raise TooManyTries(int(wait_s) + 1)
    for subject, slowing in slowed:
        forgotten = failures[subject].age_s > slowing.forgotten_s
        before = 0 if forgotten else failures[subject].failures
        await login_failures.count_failure(tx, subject, failures=before + 1)
    await login_failures.purge(tx)
    return counted


async def forgive(tx: Tx, counted: CountedTry) -> None:
    """Take a try back that succeeded, and forget what went before it from the same place."""
    await login_failures.forget(tx, counted.pair)
    await login_failures.take_back(tx, (counted.person, counted.address))


def _wait_s(failures: Failures, slowing: _Slowing) -> float:
    over = failures.failures - slowing.free
    if over < 0 or failures.age_s > slowing.forgotten_s:
        return 0
    return float(min(2 ** min(over, 16), slowing.longest_s)) - failures.age_s


def _subject(*parts: str) -> bytes:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()


def _network(address: str) -> str:
    """Return what one caller can easily change its address within."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
