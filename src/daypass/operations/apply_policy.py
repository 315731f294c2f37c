"""Put a policy in force, and have everything that waits or lives follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Conflict, NotFound
from daypass.domain.ids import PolicyVersion, RequestId
from daypass.domain.principal import Actor, DaypassRole
from daypass.domain.states import RequestState
from daypass.operations.context import Context, require_role
from daypass.operations.examine_policy import known_facts
from daypass.operations.policy_in_force import policy_of
from daypass.operations.reconsider import reconsider
from daypass.policy.check import Finding, check_policy, require_no_errors
from daypass.policy.load import hash_sources, load_policy
from daypass.store import entries, policies, requests
from daypass.store.database import Tx, now
from daypass.store.jobs import Task, enqueue
from daypass.store.principals import hold_principal
from daypass.store.processes import Hint, tell


@dataclass(frozen=True, slots=True)
class PolicyApplied:
    """A policy in force; `reconsidered` are pending requests that now stand otherwise.

    `warnings` are what its check has to say besides.
    """

    version: PolicyVersion
    changed: bool
    reconsidered: tuple[RequestId, ...]
    warnings: tuple[Finding, ...] = ()


async def apply_policy(
    ctx: Context,
    actor: Actor | None,
    files: Mapping[str, str],
    *,
    note: str = "",
    expected: PolicyVersion | None = None,
) -> PolicyApplied:
    """Check files whole and put them in force; the same files again change nothing.

    Raises `Invalid` with every problem and nothing applied; `Conflict` when another version than
    `expected` is in force. `actor` None is the sample set-up alone.
    """
    if actor is not None:
        require_role(actor, DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR)
    policy = load_policy(files)
    require_no_errors(policy)
    async with ctx.store.transaction() as tx:
        applied = await _put_in_force(ctx, tx, actor, files, note=note, expected=expected)
    if actor is None or not applied.changed:
        return applied
    # Held against all that is known, which takes longer than a lock of everybody's may last.
    async with ctx.store.snapshot() as tx:
        return replace(applied, warnings=check_policy(policy, await known_facts(tx), await now(tx)))


async def roll_back_policy(
    ctx: Context, actor: Actor, version: PolicyVersion, *, note: str = ""
) -> PolicyApplied:
    """Put an earlier version in force again, as a new version of its own."""
    require_role(actor, DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR)
    async with ctx.store.transaction() as tx:
        row = await policies.get_policy(tx, version)
        if row is None:
            raise NotFound(
                f"there is no policy version {version}",
                next_step="daypass policy history lists them",
                code="no_policy_version",
            )
        return await _put_in_force(ctx, tx, actor, row.files, note=note, rollback_of=version)


async def _put_in_force(
    ctx: Context,
    tx: Tx,
    actor: Actor | None,
    files: Mapping[str, str],
    *,
    note: str,
    expected: PolicyVersion | None = None,
    rollback_of: PolicyVersion | None = None,
) -> PolicyApplied:
    if actor is not None:
        await hold_principal(tx, actor.id)
    # Every decision holds the head: from here on none is under way under the old policy.
    current = await policies.lock_head(tx)
    if expected is not None and current != expected:
        raise Conflict(
            f"policy version {current} is in force, not {expected}",
            next_step="look at what changed, then apply again",
            code="policy_changed",
        )
    digest = hash_sources(files)
    row = await policies.get_policy(tx, current) if current is not None else None
    if row is not None and row.digest == digest:
        return PolicyApplied(row.version, False, ())
    version = await policies.insert_policy(
        tx,
        files=files,
        digest=digest,
        note=note,
        applied_by=actor.id if actor else None,
        rollback_of=rollback_of,
    )
    await policies.set_head(tx, version)
    await entries.append(
        tx,
        Entry(
            EntryKind.POLICY_ROLLED_BACK if rollback_of else EntryKind.POLICY_APPLIED,
            actor_id=actor.id if actor else None,
            address=actor.address if actor else "",
            content={
                "version": version,
                "digest": digest,
                "before": current,
                "rollback_of": rollback_of,
                "note": note,
                "files": sorted(files),
            },
        ),
    )
    reconsidered = await _reconsider_pending(ctx, tx, version)
    cursor = await tx.execute("select id from database where state = 'active'")
    for (database_id,) in await cursor.fetchall():
        await enqueue(
            tx, Task.RECOMPILE_GRANTS, lock=f"recompile:{database_id}", database_id=database_id
        )
    await tell(tx, Hint.POLICY_CHANGED, version)
    return PolicyApplied(version, True, reconsidered)


async def _reconsider_pending(
    ctx: Context, tx: Tx, version: PolicyVersion
) -> tuple[RequestId, ...]:
    policy = await policy_of(tx, version)
    changed = []
    for request_id in await requests.list_pending(tx):
        request = await requests.lock_request(tx, request_id)
        if request is None or request.state != RequestState.PENDING:
            continue
        after, _ = await reconsider(ctx, tx, policy, request)
        if after.state != RequestState.PENDING or after.round != request.round:
            changed.append(request_id)
    return tuple(changed)
