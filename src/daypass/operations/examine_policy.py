"""Look at policy, and check, compare and test files before they are applied; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from daypass.domain.errors import NotFound
from daypass.domain.ids import PolicyVersion
from daypass.domain.principal import Actor, Capability, DaypassRole, Principal
from daypass.operations.context import Context, require_capability, require_role
from daypass.operations.database_facts import DatabaseFactsBundle, load_facts
from daypass.operations.policy_in_force import hold_policy
from daypass.policy.cases import load_cases
from daypass.policy.check import Finding, Known, check_policy
from daypass.policy.diff import Change, diff_policies
from daypass.policy.load import load_policy
from daypass.policy.run_cases import CaseResult, KnownDatabase, run_cases
from daypass.store import databases, policies, principals
from daypass.store.database import Tx, now
from daypass.store.policies import PolicyRow

READERS: Final = (DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR, DaypassRole.AUDITOR)


async def show_policy(
    ctx: Context, actor: Actor, version: PolicyVersion | None = None
) -> PolicyRow:
    """Show a version of policy, the one in force by default. Raises `NotFound`."""
    _require_reader(actor)
    async with ctx.store.transaction() as tx:
        wanted = version if version is not None else await policies.head(tx)
        row = await policies.get_policy(tx, wanted) if wanted is not None else None
    if row is None:
        raise NotFound(
            "no policy has been applied" if version is None else f"there is no version {version}",
            next_step="daypass policy apply FILES" if version is None else "daypass policy history",
            code="no_policy_version",
        )
    return row


async def list_policy_versions(
    ctx: Context, actor: Actor, *, before: int | None, limit: int
) -> tuple[PolicyRow, ...]:
    """List every policy that was ever applied, newest first."""
    _require_reader(actor)
    async with ctx.store.snapshot() as tx:
        return await policies.list_policies(tx, before=before, limit=limit)


async def check_policy_files(
    ctx: Context, actor: Actor, files: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Check files against everything Daypass knows; errors come first.

    Raises `Invalid` with each place when they cannot even be read.
    """
    _require_reader(actor)
    policy = load_policy(files)
    load_cases(files)
    async with ctx.store.snapshot() as tx:
        return check_policy(policy, await known_facts(tx), await now(tx))


async def diff_policy_files(
    ctx: Context, actor: Actor, files: Mapping[str, str]
) -> tuple[PolicyVersion, tuple[Change, ...]]:
    """Compare files with the policy in force; return its version and what would change."""
    _require_reader(actor)
    new = load_policy(files)
    async with ctx.store.transaction() as tx:
        old = await hold_policy(tx)
    return old.version, diff_policies(old.policy, new)


async def run_policy_cases(
    ctx: Context, actor: Actor, files: Mapping[str, str]
) -> tuple[CaseResult, ...]:
    """Run the cases in the files against the policy in them, with people and databases as known."""
    _require_reader(actor)
    policy = load_policy(files)
    cases = load_cases(files)
    async with ctx.store.snapshot() as tx:
        people: dict[str, Principal] = {
            each.email: each for each in await principals.list_principals(tx)
        }
        known = {
            bundle.path: KnownDatabase(bundle.for_policy(), bundle.catalog, bundle.tags)
            for bundle in await _bundles(tx)
        }
    return run_cases(policy, cases, people, known)


async def known_facts(tx: Tx) -> Known:
    """Gather what `check_policy` holds a policy against."""
    everybody = await principals.list_principals(tx)
    groups: dict[str, set[str]] = {}
    cursor = await tx.execute("select name from people_group")
    for (name,) in await cursor.fetchall():
        groups[str(name)] = set()
    for person in everybody:
        for name in person.groups:
            groups[name].add(person.email)
    bundles = await _bundles(tx)
    return Known(
        groups={name: frozenset(people) for name, people in groups.items()},
        people=frozenset(person.email for person in everybody),
        databases=tuple(bundle.for_policy() for bundle in bundles),
        column_tags=frozenset(
            tag for bundle in bundles for tags in bundle.tags.columns.values() for tag in tags
        ),
        relation_tags=frozenset(
            tag for bundle in bundles for tags in bundle.tags.relations.values() for tag in tags
        ),
    )


async def _bundles(tx: Tx) -> tuple[DatabaseFactsBundle, ...]:
    return tuple(
        [
            await load_facts(tx, database.id)
            for database in await databases.list_databases(tx)
            if database.catalog_version is not None
        ]
    )


def _require_reader(actor: Actor) -> None:
    require_capability(actor, Capability.READ)
    require_role(actor, *READERS)
