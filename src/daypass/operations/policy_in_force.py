"""The policy in force, parsed once per version."""

from __future__ import annotations

from dataclasses import dataclass

from daypass.domain.errors import Unavailable
from daypass.domain.ids import PolicyVersion
from daypass.policy.load import load_policy
from daypass.policy.rules import Policy
from daypass.store import policies
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """A policy, the version it was applied as, and the digest of its files."""

    version: PolicyVersion
    digest: str
    policy: Policy


# Versions of different stores share numbers, never digests.
_parsed: dict[str, Policy] = {}
_KEPT = 8


async def hold_policy(tx: Tx) -> PolicyInForce:
    """Return the policy in force and keep it in force until the transaction ends.

    Raises `Unavailable` when none was ever applied: nothing can be decided then.
    """
    return await _found(tx, await policies.hold_head(tx))


async def look_at_policy(tx: Tx) -> PolicyInForce:
    """Return the policy in force at this moment, for what is worked out anew when it changes.

    Raises `Unavailable` when none was ever applied.
    """
    return await _found(tx, await policies.look_at_head(tx))


async def _found(tx: Tx, head: tuple[PolicyVersion, str | None] | None) -> PolicyInForce:
    version, digest = head or (None, None)
    if version is not None and digest is not None and digest in _parsed:
        return PolicyInForce(version, digest, _parsed[digest])
    return await policy_of(tx, version)


async def policy_of(tx: Tx, version: PolicyVersion | None) -> PolicyInForce:
    """Return a version's policy. Raises `Unavailable` for None: no policy was ever applied."""
    row = await policies.get_policy(tx, version) if version is not None else None
    if row is None:
        raise Unavailable(
            "no policy has been applied, so nothing can be allowed",
            next_step="a policy editor can run: daypass policy apply FILES",
            code="no_policy",
        )
    policy = _parsed.get(row.digest)
    if policy is None:
        policy = load_policy(row.files)
        while len(_parsed) >= _KEPT:
            del _parsed[next(iter(_parsed))]
        _parsed[row.digest] = policy
    return PolicyInForce(row.version, row.digest, policy)
