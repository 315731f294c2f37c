"""Statements of PostgreSQL: what they do, and how they are sent under a scope.

Pure: the grammar is the server's own (libpg_query), nothing is asked of a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from daypass.domain.catalog import RelationName
from daypass.domain.errors import Invalid
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import PreparedText, StatementFacts, Verdict
from daypass.engines.postgres.dump_texts import sent_for_dump
from daypass.engines.postgres.splice import Spliced, splice
from daypass.engines.postgres.statement_classes import Analysis, analyze_text
from daypass.engines.postgres.statement_decision import (
    Denial,
    Place,
    SessionScope,
    deny_statement,
    did_you_mean,
    relations_read,
)
from daypass.engines.postgres.text_cache import TextCache

_Read = tuple[tuple[StatementFacts, ...], tuple[Analysis, ...]]

CACHE_BYTES: Final = 32 * 1_048_576
_CACHE: Final[TextCache[_Read]] = TextCache(CACHE_BYTES)

_NOTHING_PREPARED: Final[Mapping[str, AbstractSet[RelationName]]] = MappingProxyType({})


def statement_facts(text: str) -> tuple[StatementFacts, ...]:
    """Read a text of one or more statements; empty statements are not listed.

    Raises `Invalid` (`unparsable`, `too_deep`, `too_large`), with the place of the error.
    """
    return _read(text)[0]


def prepare_text(
    text: str,
    *,
    relation_classes: Mapping[RelationName, frozenset[StatementClass]],
    scope_classes: frozenset[StatementClass],
    view_schema_of: Mapping[str, str],
    search_path: tuple[str, ...],
    known_relations: AbstractSet[RelationName],
    native: bool,
    filtered: AbstractSet[RelationName] = frozenset(),
    protected_variables: AbstractSet[str] = frozenset(),
    prepared: Mapping[str, AbstractSet[RelationName]] = _NOTHING_PREPARED,
    temporary: AbstractSet[str] = frozenset(),
) -> PreparedText:
    """Decide whether a text may be sent, and put the schemas of the scope's views into it.

    One denied statement denies the whole text. The parameters are those of `SessionScope`.
    """
    scope = SessionScope(
        relation_classes=relation_classes,
        classes=scope_classes,
        view_schema_of=view_schema_of,
        search_path=search_path,
        known_relations=known_relations,
        native=native,
        filtered=filtered,
        protected_variables=protected_variables,
        prepared=prepared,
        temporary=temporary,
    )
    return prepare_under(text, scope)


def prepare_under(text: str, scope: SessionScope) -> PreparedText:
    """Do what `prepare_text` does, for a scope that was put together once; answers are kept."""
    answer = scope.answers.get(text)
    if answer is None:
        answer = _prepare(text, scope)
        scope.answers.put(text, answer)
    return answer


def _prepare(text: str, scope: SessionScope) -> PreparedText:
    text = sent_for_dump(text, scope)
    try:
        facts, analyses = _read(text)
        denials = _denials(analyses, scope)
        if denials:
            return _denied(facts, denials, len(analyses), scope)
        copied = frozenset(name for each in analyses for name in _copied_out(each, scope))
        if scope.native or not (copied or any(each.qualified for each in analyses)):
            spliced = Spliced(text)
        else:
            spliced = splice(text, scope.view_schema_of, scope.relation_classes.keys(), copied)
    except Invalid as error:
        return PreparedText(Verdict.DENY, (), code=error.detail_code, reason=error.message)
    return PreparedText(Verdict.FORWARD, facts, text=spliced.text, shifts=spliced.shifts)


def _copied_out(analysis: Analysis, scope: SessionScope) -> frozenset[RelationName]:
    """Return the name, as written, of a relation whose view COPY TO would meet."""
    name = analysis.copies
    if name is None or (name, StatementClass.EXPORT) not in analysis.uses:
        return frozenset()
    place, full = scope.place(name, scope.temporary)
    through_view = place is Place.SCOPE and full.schema in scope.view_schema_of
    return frozenset({name}) if through_view else frozenset()


def _denials(analyses: tuple[Analysis, ...], scope: SessionScope) -> list[tuple[int, Denial]]:
    """List the denied statements by their place in the text, from 1."""
    found: list[tuple[int, Denial]] = []
    temporary = set(scope.temporary)
    prepared = dict(scope.prepared)
    for place, analysis in enumerate(analyses, 1):
        denial = deny_statement(analysis, scope, temporary, prepared)
        if denial is not None:
            found.append((place, denial))
        temporary |= analysis.made
        if analysis.prepares:
            prepared[analysis.prepares] = relations_read(analysis, scope)
    return found


def _denied(
    facts: tuple[StatementFacts, ...],
    denials: list[tuple[int, Denial]],
    count: int,
    scope: SessionScope,
) -> PreparedText:
    place, first = denials[0]
    meant = did_you_mean(first.missing[0], scope) if first.code == "unknown_relation" else ""
    where = f"statement {place} of {count}: " if count > 1 else ""
    return PreparedText(
        Verdict.DENY,
        facts,
        code=first.code,
        reason=where + first.reason + meant,
        missing=tuple(sorted({name for _, denial in denials for name in denial.missing})),
        missing_classes=frozenset[StatementClass]().union(
            *(denial.missing_classes for _, denial in denials)
        ),
    )


def analyses_of(text: str) -> tuple[Analysis, ...]:
    """Return what a decision knows of every statement of a text. Raises `Invalid`."""
    return _read(text)[1]


def _read(text: str) -> _Read:
    found = _CACHE.get(text)
    if found is None:
        analyses = analyze_text(text)
        found = tuple(each.facts for each in analyses), analyses
        _CACHE.put(text, found)
    return found
