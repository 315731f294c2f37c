"""Accept an exposure of a database by name, or accept it no longer."""

from __future__ import annotations

from daypass.audit.entry import EntryKind
from daypass.domain.catalog import RelationName
from daypass.domain.errors import Invalid, NotFound
from daypass.domain.exposure import Exposure
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Actor, DaypassRole
from daypass.operations.context import Context, require_role
from daypass.operations.database_facts import DatabaseFactsBundle, load_facts
from daypass.operations.database_owner import known_database, managed_database, require_owner
from daypass.operations.decide_suggestion import require_person
from daypass.operations.entry_by import entry_by
from daypass.operations.facts_changed import facts_changed
from daypass.operations.open_target import engine_of, open_target
from daypass.policy.fields import did_you_mean
from daypass.store import entries, exposures
from daypass.store.database import Tx

INSTANCE_WIDE = frozenset(
    {"standing_login", "standing_privilege", "admin_rights", "server_setting"}
)
"""Codes of exposures that concern a whole instance: only an admin accepts those."""


async def accept_exposure(
    ctx: Context, actor: Actor, database_id: DatabaseId, key: str, reason: str
) -> None:
    """Accept an exposure that stands now; accepting it twice changes nothing.

    Raises `Denied` unless a person asks who owns the database or is an admin, and `Invalid` without
    a reason or for a key that no exposure has: nothing is accepted in advance.
    """
    require_person(actor, "accepts an exposure")
    if not reason.strip():
        raise Invalid(
            "say why the exposure is accepted", next_step="add a reason", code="reason_missing"
        )
    async with ctx.store.snapshot() as tx:
        database = await known_database(tx, database_id)
        _authorize(actor, key)
        require_owner(actor, database, DaypassRole.ADMIN)
        facts = await load_facts(tx, database_id)
        standing = {*await _blocking_keys(tx, database_id)}
    standing |= {exposure.key for exposure in all_exposures(ctx, facts)}
    standing |= {f"derived_from_filtered:{name}" for name in facts.classified.relation_edges}
    if key not in standing:
        target = await open_target(ctx, facts.instance_id)
        standing |= {exposure.key for exposure in await target.check_admin(facts.name)}
        standing |= {f"standing_login:{login.name}" for login in await target.standing_logins()}
    if key not in standing:
        raise Invalid(
            f"{facts.path} has no exposure {key}{did_you_mean(key, standing)}",
            next_step=f"daypass doctor {facts.instance} lists them",
            code="unknown_exposure",
        )
    async with ctx.store.transaction() as tx:
        require_owner(actor, await managed_database(tx, database_id), DaypassRole.ADMIN)
        if not await exposures.accept(tx, database_id, key, reason.strip(), actor.id):
            return
        await facts_changed(tx, database_id)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.EXPOSURE_ACCEPTED,
                database_id=database_id,
                key=key,
                reason=reason.strip(),
            ),
        )


async def end_acceptance(
    ctx: Context, actor: Actor, database_id: DatabaseId, key: str, reason: str = ""
) -> None:
    """Accept an exposure no longer: what it blocks is blocked again.

    Raises `NotFound` when it was not accepted.
    """
    async with ctx.store.transaction() as tx:
        database = await managed_database(tx, database_id)
        require_owner(actor, database, DaypassRole.ADMIN)
        if not await exposures.end_acceptance(tx, database_id, key):
            raise NotFound(f"{key} is not accepted on {database.path}")
        await facts_changed(tx, database_id)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.EXPOSURE_ACCEPTANCE_ENDED,
                database_id=database_id,
                key=key,
                reason=reason,
            ),
        )


def all_exposures(ctx: Context, facts: DatabaseFactsBundle) -> tuple[Exposure, ...]:
    """List the exposures a database would have if every relation of it were sensitive."""
    every: frozenset[RelationName] = frozenset(r.name for r in facts.catalog.relations)
    return engine_of(ctx, facts.engine).exposures(facts.catalog, every)


def _authorize(actor: Actor, key: str) -> None:
    if key.partition(":")[0] in INSTANCE_WIDE:
        require_role(actor, DaypassRole.ADMIN)


async def _blocking_keys(tx: Tx, database_id: DatabaseId) -> frozenset[str]:
    # What plans ran into may rest on their scopes, which no catalog shows.
    cursor = await tx.execute(
        """
        select each ->> 'key' from plan, jsonb_array_elements(blocked) as each
        where database_id = %(id)s
        union
        select (each ->> 'code') || ':' || (each ->> 'name')
        from plan, jsonb_array_elements(left_out) as each
        where database_id = %(id)s
        """,
        {"id": database_id},
    )
    return frozenset(str(row[0]) for row in await cursor.fetchall())
