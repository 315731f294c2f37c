"""Running policy's test cases: pure, with the very functions that decide real requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from daypass.domain.catalog import NO_TAGS, Catalog, RelationName, Tags
from daypass.domain.decision import Decision
from daypass.domain.errors import Error
from daypass.domain.principal import Principal
from daypass.domain.scope import AskedScope
from daypass.policy.cases import Case, Expected
from daypass.policy.decide import decide
from daypass.policy.derivation import classify
from daypass.policy.facts import DatabaseFacts, RequestFacts
from daypass.policy.fields import did_you_mean
from daypass.policy.globs import matches
from daypass.policy.profiles import expand_profile
from daypass.policy.rules import Policy
from daypass.policy.scope import Resolution, resolve

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KnownDatabase:
    """A database that cases may name; without a catalog no columns or rows can be expected."""

    facts: DatabaseFacts
    catalog: Catalog | None = None
    tags: Tags = NO_TAGS


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How a case went: it holds when `failures` is empty."""

    case: Case
    decision: Decision | None
    failures: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Say whether everything came out as expected."""
        return not self.failures


def run_cases(
    policy: Policy,
    cases: Sequence[Case],
    people: Mapping[str, Principal],
    databases: Mapping[str, KnownDatabase],
) -> tuple[CaseResult, ...]:
    """Run each case; `people` go by e-mail address, `databases` by `instance/name`."""
    return tuple(_run(policy, case, people, databases) for case in cases)


class _Unfit(Exception):
    """The case names something that is not there."""


def _run(
    policy: Policy,
    case: Case,
    people: Mapping[str, Principal],
    databases: Mapping[str, KnownDatabase],
) -> CaseResult:
    try:
        requester = _look_up(case.requester, people, "person")
        named = case.database
        database = (
            KnownDatabase(named)
            if isinstance(named, DatabaseFacts)
            else _look_up(named, databases, "database")
        )
        asked = case.asked
        if case.profile:
            asked = expand_profile(policy, case.profile, asked)
        resolution = _resolve(policy, asked, requester, database)
    except _Unfit as unfit:
        return CaseResult(case, None, (str(unfit),))
    except Error as error:
        return CaseResult(case, None, (error.message,))
    profile = policy.profile(case.profile) if case.profile else None
    duration = case.duration or (profile.duration if profile is not None else None)
    facts = RequestFacts(
        requester,
        database.facts,
        asked,
        duration or policy.defaults.duration,
        resolution.relations if resolution else _as_written(asked),
        resolution.unmask if resolution else (),
        case.reason,
        case.ticket,
        case.profile,
        case.break_glass,
        case.direct_credentials,
        case.starts_at,
    )
    decision = decide(policy, facts, case.at)
    failures = [*_compare(case.expect, decision), *_compare_scope(case.expect, resolution)]
    return CaseResult(case, decision, tuple(failures))


def _look_up(name: T | str, known: Mapping[str, T], what: str) -> T:
    if not isinstance(name, str):
        return name
    if name not in known:
        raise _Unfit(f"there is no {what} {name!r}{did_you_mean(name, known)}")
    return known[name]


def _resolve(
    policy: Policy, asked: AskedScope, requester: Principal, database: KnownDatabase
) -> Resolution | None:
    if database.catalog is None:
        if asked.unmask:
            raise _Unfit("columns to unmask need a database whose catalog is known")
        return None
    catalog = classify(database.catalog, database.tags)
    return resolve(policy, asked, requester, database.facts, catalog)


def _as_written(asked: AskedScope) -> tuple[RelationName, ...]:
    return tuple(RelationName.parse(glob) for glob in asked.relations)


def _compare(expect: Expected, decision: Decision) -> Iterator[str]:
    because = f" ({decision.summary()})"
    if expect.outcome is not None and decision.outcome is not expect.outcome:
        yield f"expected {expect.outcome.value}, got {decision.outcome.value}{because}"
    if expect.rule is not None and decision.rule != expect.rule:
        got = repr(decision.rule) if decision.rule else "none"
        yield f"expected rule {expect.rule!r} to decide, got {got}{because}"
    steps = tuple(str(step) for step in decision.steps)
    if expect.steps is not None and steps != expect.steps:
        yield f"expected steps {list(expect.steps)}, got {list(steps)}"
    codes = [reason.code for reason in decision.reasons]
    for code in expect.reasons:
        if code not in codes:
            yield f"expected reason {code!r}, got {', '.join(codes)}"


def _compare_scope(expect: Expected, resolution: Resolution | None) -> Iterator[str]:
    if not (expect.masked or expect.clear or expect.rows or expect.left_out):
        return
    if resolution is None:
        yield "columns, rows and left-out relations need a database whose catalog is known"
        return
    scope = resolution.scope
    columns = {
        (r.name.schema, r.name.name, c.name): c.mask is not None
        for r in scope.relations
        for c in r.columns
    }
    for globs, masked in ((expect.masked, True), (expect.clear, False)):
        for glob in globs:
            hits = [name for name in columns if matches(glob, name)]
            word = "masked" if masked else "clear"
            wrong = [".".join(name) for name in hits if columns[name] is not masked]
            if not hits:
                yield f"expected {glob!r} to be {word}; no column of the scope matches it"
            elif wrong:
                yield f"expected {glob!r} to be {word}; {', '.join(sorted(wrong))} is not"
    for relation, rules in expect.rows.items():
        found = scope.relation(RelationName.parse(relation))
        if found is None:
            yield f"expected row rules of {relation!r}, which is not in the scope"
            continue
        got = tuple(f.rule for f in found.filters if f.rule is not None)
        if set(got) != set(rules):
            yield f"expected rows of {relation!r} filtered by {list(rules)}, got {list(got)}"
    missing = {entry.name for entry in scope.left_out}
    for relation in expect.left_out:
        if relation not in missing:
            yield f"expected {relation!r} to be left out"
