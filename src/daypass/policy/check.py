"""Checking a policy that loads: what it lets through unsaid, and what can never work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from daypass.domain.catalog import Column, Relation, RelationKind, RelationName
from daypass.domain.decision import ApproverSpec, StepSpec
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Principal, PrincipalKind
from daypass.domain.statement_class import StatementClass
from daypass.policy.condition_text import excludes_unmasking
from daypass.policy.conditions import Condition, Truth
from daypass.policy.document import Place, Problems
from daypass.policy.facts import DatabaseFacts, RequestFacts, column_values, relation_values
from daypass.policy.fields import did_you_mean
from daypass.policy.guards import Answers
from daypass.policy.judge import judge, situation_of
from daypass.policy.rules import AccessRule, Policy
from daypass.policy.samples import moments, requests_for


class Severity(StrEnum):
    """An error keeps a policy from being applied; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: a stable code, where, and what to do about it."""

    severity: Severity
    code: str
    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.severity.value}: {self.text}"


@dataclass(frozen=True, slots=True)
class Known:
    """What Daypass knows besides policy; None where it is not known, so nothing is said of it.

    `groups` are names with the e-mail addresses of their active people.
    """

    groups: Mapping[str, frozenset[str]] | None = None
    people: frozenset[str] | None = None
    databases: tuple[DatabaseFacts, ...] = ()
    column_tags: frozenset[str] | None = None
    relation_tags: frozenset[str] | None = None
    recorded: tuple[RequestFacts, ...] = field(default=())


def check_policy(policy: Policy, known: Known, now: datetime) -> tuple[Finding, ...]:
    """List what is wrong or looks wrong, errors first, then in order of the files."""
    found = [
        *_unsaid_unmasking(policy),
        *_external(policy),
        *_unreached(policy, known, now),
        *_failing(policy, known, now),
        *_approvers(policy, known),
        *_untagged(policy, known),
    ]
    return tuple(
        sorted(found, key=lambda f: (f.severity, f.place.file, f.place.line, f.place.column))
    )


def require_no_errors(policy: Policy) -> None:
    """Raise `Invalid` with every error `check_policy` would find: call it before applying.

    Errors depend on the policy alone, never on people or databases, so that what was applied once
    can be applied again.
    """
    problems = Problems()
    for finding in (*_unsaid_unmasking(policy), *_external(policy)):
        problems.add(finding.place, finding.text)
    problems.raise_if_any("the policy has errors")


def _unsaid_unmasking(policy: Policy) -> Iterator[Finding]:
    for rule in policy.access:
        if (
            rule.automatic
            and not rule.break_glass
            and rule.allow_unmask is None
            and not excludes_unmasking(rule.when.text)
        ):
            yield Finding(
                Severity.ERROR,
                "automatic_unmask",
                rule.place,
                f"automatic rule {rule.name!r} neither excludes unmasking nor allows it: add "
                "&& request.unmask == [] to its condition, or allow_unmask: true or false",
            )


def _external(policy: Policy) -> Iterator[Finding]:
    """Find steps that only an external decider could complete: none can answer yet."""
    for rule in policy.access:
        for step in rule.steps or ():
            names = [a.name for a in step.spec.approvers if a.kind == "external"]
            if names:
                yield Finding(
                    Severity.ERROR,
                    "external_decider",
                    step.place,
                    f"external:{names[0]} cannot decide: this release takes verdicts from people "
                    "alone; name a group or a person",
                )


def _unreached(policy: Policy, known: Known, now: datetime) -> Iterator[Finding]:
    recorded = {judge(policy, facts, now).rule for facts in known.recorded}
    for rule in policy.access:
        reach = _reach(policy, rule, known, now)
        if reach.stepless:
            yield Finding(
                Severity.WARNING,
                "no_step_applies",
                rule.place,
                f"rule {rule.name!r} decides requests for which none of its steps applies: they "
                "are denied; add a step without a condition",
            )
        if reach.reached or rule.name in recorded:
            continue
        others = ", ".join(repr(name) for name, _ in reach.instead.most_common(3))
        why = (
            f"earlier rules decide first: {others}"
            if others
            else "no generated or recorded request fulfils its condition"
        )
        yield Finding(
            Severity.WARNING, "unreached", rule.place, f"rule {rule.name!r} is not reached: {why}"
        )


@dataclass(slots=True)
class _Reach:
    """What generated requests came to: `instead` counts rules that decided in this one's place."""

    reached: bool = False
    stepless: bool = False
    instead: Counter[str] = field(default_factory=Counter)


def _reach(policy: Policy, rule: AccessRule, known: Known, now: datetime) -> _Reach:
    reach = _Reach()
    conditional = rule.steps is not None and all(step.when is not None for step in rule.steps)
    for moment in moments(rule, now):
        for facts in requests_for(rule, known.databases, moment):
            decision = judge(policy, facts, moment)
            code = decision.reasons[0].code
            if decision.rule == rule.name and code != "rule_error":
                reach.reached = True
                reach.stepless = reach.stepless or code == "no_step_applies"
                if reach.stepless or not conditional:
                    return reach
            elif situation_of(facts, moment).ask(rule.when) is Truth.YES:
                reach.instead[decision.rule or "no rule"] += 1
    return reach


def _failing(policy: Policy, known: Known, now: datetime) -> Iterator[Finding]:
    """Find rules that cannot be evaluated for a database that exists: they deny everybody there."""
    failing: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for database in known.databases:
        for rule in policy.access:
            for facts in requests_for(rule, (), now):
                here = RequestFacts(facts.requester, database, facts.asked, facts.duration)
                situation = situation_of(here, now)
                if situation.ask(rule.when) is Truth.ERROR:
                    failing.setdefault(rule.name, []).append(database.full_name)
                    texts[rule.name] = situation.why_not(rule.when)
                break
    for rule in policy.access:
        if rule.name in failing:
            where = ", ".join(failing[rule.name][:5])
            yield Finding(
                Severity.WARNING,
                "rule_error",
                rule.when.place,
                f"rule {rule.name!r} cannot be evaluated on {where} and denies what reaches it: "
                f"{texts[rule.name]}",
            )


def _approvers(policy: Policy, known: Known) -> Iterator[Finding]:
    for rule in policy.access:
        for index, step in enumerate(rule.steps or ()):
            yield from _unknown(step.spec.approvers, step.place, known)
            yield from _too_few(rule, index, step.spec, step.place, known)
        if rule.review is not None:
            yield from _unknown(rule.review.approvers, rule.place, known)


def _unknown(approvers: Iterable[ApproverSpec], place: Place, known: Known) -> Iterator[Finding]:
    for approver in approvers:
        names: Iterable[str] | None = None
        if approver.kind == "group":
            names = known.groups
        elif approver.kind == "user":
            names = known.people
        if names is None or approver.name in names:
            continue
        if approver.kind == "user" and approver.name.casefold() in {n.casefold() for n in names}:
            continue
        yield Finding(
            Severity.WARNING,
            "unknown_approver",
            place,
            f"there is no {approver.kind} {approver.name!r}{did_you_mean(approver.name, names)}",
        )


def _too_few(
    rule: AccessRule, index: int, step: StepSpec, place: Place, known: Known
) -> Iterator[Finding]:
    """Find steps that too few people could complete, the requester being one of them or not."""
    if known.groups is None or any(a.kind not in ("group", "user") for a in step.approvers):
        return
    people: set[str] = set()
    for approver in step.approvers:
        if approver.kind == "user":
            people.add(approver.name.casefold())
        else:
            people |= {p.casefold() for p in known.groups.get(approver.name, frozenset())}
    what = f"step {index + 1} of rule {rule.name!r} asks for {step.count}"
    if len(people) < step.count:
        yield Finding(
            Severity.WARNING,
            "too_few_approvers",
            place,
            f"{what} of {len(people)} people: it can never be approved",
        )
    elif len(people) == step.count:
        yield Finding(
            Severity.WARNING,
            "self_approval",
            place,
            f"{what} of {len(people)} people: none of them can have a request of their own "
            "approved, and nobody else's while one is away",
        )


_SAMPLE_PERSON = Principal(PrincipalId(1), PrincipalKind.PERSON, "Some One", "someone@example.com")


def _untagged(policy: Policy, known: Known) -> Iterator[Finding]:
    """Find masking and row rules that go by tags alone and match none that anything has."""
    database = DatabaseFacts("some_database", "some_instance", "some_engine")
    answers = Answers(_SAMPLE_PERSON, database, frozenset(StatementClass))
    for masking in policy.masking:
        tags = known.column_tags
        if tags is not None and _by(masking.columns, "column.tags", "relation.tags"):
            every = [(c, r) for c in _single(tags) for r in _single(known.relation_tags or ())]
            if not any(_holds(answers, masking.columns, c, r) for c, r in every):
                yield _no_tag("masking", masking.name, masking.place, tags)
    for row in policy.row:
        tags = known.relation_tags
        if (
            tags is not None
            and _by(row.relation, "relation.tags")
            and not any(_holds(answers, row.relation, frozenset(), r) for r in _single(tags))
        ):
            yield _no_tag("row", row.name, row.place, tags)


def _single(tags: Iterable[str]) -> Sequence[frozenset[str]]:
    return [frozenset(), *(frozenset({tag}) for tag in sorted(tags)), frozenset(tags)]


def _by(condition: Condition, *names: str) -> bool:
    return condition.uses <= set(names)


def _holds(
    answers: Answers, condition: Condition, column: frozenset[str], relation: frozenset[str]
) -> bool:
    sample = Relation(
        RelationName("some_schema", "some_relation"), RelationKind.TABLE, "some_owner", ()
    )
    local = relation_values(sample, relation)
    local |= column_values(Column("some_column", 1, "some_type", "other"), column)
    return answers.ask(condition, local) is Truth.YES


def _no_tag(kind: str, name: str, place: Place, tags: Iterable[str]) -> Finding:
    known = ", ".join(sorted(tags)[:8]) or "none"
    return Finding(
        Severity.WARNING,
        "no_such_tag",
        place,
        f"{kind} rule {name!r} matches no tag that anything has; known tags: {known}",
    )
