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
    """A policy and the version it was applied as."""

    version: PolicyVersion
    policy: Policy


# Versions of different stores share numbers, never digests.
_parsed: dict[str, Policy] = {}
_KEPT = 8


async def hold_policy(tx: Tx) -> PolicyInForce:
    """Return the policy in force and keep it in force until the transaction ends.

    Raises `Unavailable` when none was ever applied: nothing can be decided then.
    """
    return await policy_of(tx, await policies.head(tx))


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
    return PolicyInForce(row.version, policy)
