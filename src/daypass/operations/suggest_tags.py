"""Suggest tags from names, types and sampled values; nothing is applied and no value is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from daypass.audit.entry import EntryKind
from daypass.domain.catalog import Relation, RelationKind, RelationName
from daypass.domain.errors import Error, Invalid
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Actor, DaypassRole
from daypass.engines.contract import Target
from daypass.operations.context import Context
from daypass.operations.database_facts import DatabaseFactsBundle, load_facts
from daypass.operations.database_owner import known_database, managed_database, require_owner
from daypass.operations.entry_by import entry_by
from daypass.operations.open_target import open_target
from daypass.policy.derivation import ClassifiedColumn
from daypass.policy.fields import did_you_mean
from daypass.policy.suggest import suggest_tags as suggest_for
from daypass.store import entries, suggestions
from daypass.store.suggestions import Proposal, Suggestion

_ROWS = 200
_AT_ONCE = 4
_NAMES_IN_ENTRY = 50
_WITH_ROWS_OF_THEIR_OWN = (
    RelationKind.TABLE,
    RelationKind.PARTITIONED,
    RelationKind.FOREIGN_TABLE,
    RelationKind.MATERIALIZED_VIEW,
)


@dataclass(frozen=True, slots=True)
class TagSuggestions:
    """The outcome: what waits for somebody's yes now, and how many of those are `new`.

    `sampled` relations gave rows; of the others only names and types were looked at.
    """

    waiting: tuple[Suggestion, ...]
    new: int
    looked_at: int
    sampled: int
    problem: str


async def suggest_tags(
    ctx: Context,
    actor: Actor,
    database_id: DatabaseId,
    *,
    relations: Collection[RelationName] | None = None,
) -> TagSuggestions:
    """Suggest tags for the columns of a database, or of some relations, nobody has classified.

    Reads up to 200 rows of each such relation with the admin credential, which is recorded; an
    instance that is away leaves names and types. Suggestions somebody decided stay decided.
    """
    async with ctx.store.snapshot() as tx:
        database = await known_database(tx, database_id)
        require_owner(actor, database, DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR)
        facts = await load_facts(tx, database_id)
    chosen = _chosen(facts, relations)
    # On record before anything is read.
    async with ctx.store.transaction() as tx:
        names = [str(relation.name) for relation, _ in chosen]
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.TAGS_SUGGESTED,
                database_id=database_id,
                relations=names[:_NAMES_IN_ENTRY],
                more_relations=max(0, len(names) - _NAMES_IN_ENTRY),
                rows_of_each=_ROWS,
            ),
        )
    reader = _Reader(await open_target(ctx, facts.instance_id), facts.name)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(reader.look_at(relation, columns), name=f"sample {relation.name}")
            for relation, columns in chosen
        ]
    proposals = [proposal for task in tasks for proposal in task.result()]
    async with ctx.store.transaction() as tx:
        await managed_database(tx, database_id)
        unclassified = _unclassified(await load_facts(tx, database_id))
        kept = [p for p in proposals if (p.column.relation, p.column.name) in unclassified]
        new = await suggestions.propose(tx, database_id, kept)
        if relations is None and not reader.problem:
            await suggestions.withdraw_proposals(tx, database_id, kept)
        waiting = await suggestions.list_suggestions(tx, database_id, state="proposed")
    return TagSuggestions(waiting, new, len(chosen), reader.sampled, reader.problem)


class _Reader:
    """Looks at relations of one database, a few at a time."""

    def __init__(self, target: Target, database: str) -> None:
        self._target = target
        self._database = database
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.sampled = 0
        self.problem = ""

    async def look_at(
        self, relation: Relation, columns: tuple[ClassifiedColumn, ...]
    ) -> tuple[Proposal, ...]:
        names = [each.column.name for each in columns]
        rows: tuple[tuple[str | None, ...], ...] = ()
        async with self._turns:
            # One that is away is not asked again for each of its relations.
            if not self.problem:
                try:
                    rows = await self._target.sample(self._database, relation.name, names, _ROWS)
                except Error as error:
                    self.problem = error.message
        self.sampled += bool(rows)
        return tuple(
            Proposal(each.column, each.tag, each.confidence, each.why)
            for each in suggest_for(relation, rows, names)
            if each.column.name in names
        )


def _chosen(
    facts: DatabaseFactsBundle, relations: Collection[RelationName] | None
) -> list[tuple[Relation, tuple[ClassifiedColumn, ...]]]:
    known = facts.classified.relations
    unknown = [name for name in relations or () if name not in known]
    if unknown:
        near = did_you_mean(str(unknown[0]), [str(name) for name in known])
        raise Invalid(
            f"there is no relation {unknown[0]}{near}",
            problems=tuple(("relations", f"no relation {name}") for name in unknown),
            code="unknown_place",
        )
    found = []
    for relation in facts.catalog.relations:
        if relation.kind not in _WITH_ROWS_OF_THEIR_OWN:
            continue
        if relations is not None and relation.name not in relations:
            continue
        columns = tuple(c for c in facts.classified.columns[relation.name] if not c.classified)
        if columns:
            found.append((relation, columns))
    return found


def _unclassified(facts: DatabaseFactsBundle) -> frozenset[tuple[RelationName, str]]:
    return frozenset(
        (name, each.column.name)
        for name, columns in facts.classified.columns.items()
        for each in columns
        if not each.classified
    )
