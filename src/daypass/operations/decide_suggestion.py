"""Accept or dismiss suggested tags: a person's yes, never a program's."""

from __future__ import annotations

from collections.abc import Sequence

from daypass.audit.entry import EntryKind
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Conflict, Denied, Invalid, NotFound
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Actor, DaypassRole, PrincipalKind
from daypass.operations.context import Context
from daypass.operations.database_facts import load_facts
from daypass.operations.database_owner import managed_database, require_owner
from daypass.operations.entry_by import entry_by
from daypass.operations.facts_changed import facts_changed
from daypass.store import entries, suggestions, tags
from daypass.store.database import Tx
from daypass.store.suggestions import Suggestion


async def decide_suggestion(
    ctx: Context,
    actor: Actor,
    database_id: DatabaseId,
    suggestion_ids: Sequence[int],
    *,
    accept: bool,
) -> tuple[Suggestion, ...]:
    """Decide suggestions for one database, all or none, and return them as decided.

    Accepting adds the tag to the column, which counts as classified from then on; dismissing
    changes nothing but that it is not suggested again. Raises `Denied` for a service account,
    `Conflict` for one decided already.
    """
    require_person(actor, "decides about suggested tags")
    async with ctx.store.transaction() as tx:
        database = await managed_database(tx, database_id)
        require_owner(actor, database, DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR)
        found = [await _undecided(tx, database_id, each) for each in sorted(set(suggestion_ids))]
        if accept:
            await _apply(tx, database_id, found)
        state = "accepted" if accept else "dismissed"
        for each in found:
            await suggestions.decide(tx, each.id, state, actor.id)
            await entries.append(
                tx,
                entry_by(
                    actor,
                    EntryKind.SUGGESTION_DECIDED,
                    database_id=database_id,
                    suggestion=each.id,
                    column=str(each.column),
                    tag=each.tag,
                    verdict=state,
                    why=each.why,
                ),
            )
        decided = {each.id for each in found}
        listed = await suggestions.list_suggestions(tx, database_id, state=state)
    return tuple(each for each in listed if each.id in decided)


def require_person(actor: Actor, does: str) -> None:
    """Raise `Denied` for a service account."""
    if actor.principal.kind is not PrincipalKind.PERSON:
        raise Denied(
            Decision(
                Outcome.DENIED,
                (Reason("person_only", f"only a person {does}"),),
                next_step="ask a person with the right to do it",
            ),
            code="person_only",
        )


async def _undecided(tx: Tx, database_id: DatabaseId, suggestion_id: int) -> Suggestion:
    found = await suggestions.lock_suggestion(tx, suggestion_id)
    if found is None or found.database_id != database_id:
        raise NotFound(f"there is no suggestion {suggestion_id} for this database")
    if found.state != "proposed":
        raise Conflict(
            f"suggestion {suggestion_id} was {found.state} by {found.decided_by}",
            next_step="change the column's tags directly",
            code="suggestion_decided",
        )
    return found


async def _apply(tx: Tx, database_id: DatabaseId, found: Sequence[Suggestion]) -> None:
    facts = await load_facts(tx, database_id)
    names = {c for r in facts.catalog.relations for c in ((r.name, x.name) for x in r.columns)}
    gone = [e for e in found if (e.column.relation, e.column.name) not in names]
    if gone:
        raise Invalid(
            f"the column {gone[0].column} is gone",
            next_step="dismiss the suggestion",
            code="unknown_place",
        )
    now = dict(facts.tags.columns)
    for each in found:
        now[each.column] = now.get(each.column, frozenset()) | {each.tag}
        await tags.set_column_tags(tx, database_id, each.column, now[each.column])
    await facts_changed(tx, database_id)
