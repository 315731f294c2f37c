"""What-if: why a decision came out as it did, rule by rule and column by column."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from daypass.domain.catalog import ColumnName
from daypass.domain.decision import Decision, Outcome
from daypass.domain.masks import mask_text
from daypass.domain.principal import Principal
from daypass.domain.scope import AskedScope
from daypass.policy.conditions import Truth
from daypass.policy.decide import decide
from daypass.policy.derivation import ClassifiedCatalog
from daypass.policy.facts import DatabaseFacts, RequestFacts
from daypass.policy.guards import Guards
from daypass.policy.judge import applies, situation_of
from daypass.policy.nearby import Nearby, also_possible
from daypass.policy.rules import Policy
from daypass.policy.scope import resolve


class RuleResult(StrEnum):
    """What an access rule said of a request."""

    DECIDED = "decided"
    NO_MATCH = "no_match"
    NOT_FOR_THIS = "not_for_this"
    ERROR = "error"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One access rule's part: `would_match` says what a rule after the deciding one says."""

    rule: str
    place: str
    condition: str
    result: RuleResult
    text: str
    would_match: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with the trace of every access rule, and what would be granted if denied."""

    decision: Decision
    rules: tuple[RuleTrace, ...]
    also_possible: tuple[Nearby, ...]


@dataclass(frozen=True, slots=True)
class ColumnTrace:
    """How one column would be shown: `mask` is empty for a clear one."""

    column: ColumnName
    mask: str
    rule: str | None
    why: str
    tags: tuple[str, ...]


def explain(policy: Policy, facts: RequestFacts, now: datetime) -> Explanation:
    """Trace a decision through every access rule; the decision is `decide`'s own."""
    decision = decide(policy, facts, now)
    situation = situation_of(facts, now)
    traces: list[RuleTrace] = []
    decided = not facts.requester.active
    for rule in policy.access:
        truth = situation.ask(rule.when)
        fits = applies(rule, facts)
        if decided:
            result, text = RuleResult.NOT_REACHED, "decided before"
        elif not fits:
            kind = "break-glass requests alone" if rule.break_glass else "other than break-glass"
            result, text = RuleResult.NOT_FOR_THIS, f"it is for {kind}"
        elif truth is Truth.NO:
            result, text = RuleResult.NO_MATCH, "its condition does not hold"
        elif truth is Truth.ERROR:
            result, text = RuleResult.ERROR, situation.why_not(rule.when)
        else:
            result, text = RuleResult.DECIDED, decision.summary()
        decided = decided or result in (RuleResult.ERROR, RuleResult.DECIDED)
        traces.append(
            RuleTrace(
                rule.name,
                str(rule.place),
                rule.when.text,
                result,
                text,
                would_match=fits and truth is Truth.YES,
            )
        )
    denied = decision.outcome is Outcome.DENIED and facts.requester.active
    possible = also_possible(policy, facts, now) if denied else ()
    return Explanation(decision, tuple(traces), possible)


def explain_columns(
    policy: Policy,
    asked: AskedScope,
    principal: Principal,
    database: DatabaseFacts,
    catalog: ClassifiedCatalog,
) -> tuple[ColumnTrace, ...]:
    """Say for each column that is asked for how it would be shown, and why."""
    resolution = resolve(policy, asked, principal, database, catalog)
    guards = Guards(policy, principal, database, asked.classes, catalog)
    unmasked = frozenset(resolution.unmask)
    traces = []
    for relation in resolution.scope.relations:
        for column, guard, known in zip(
            relation.columns,
            guards.columns(relation.name),
            catalog.columns[relation.name],
            strict=True,
        ):
            name = known.name
            why = f"the request unmasks it; else {guard.why}" if name in unmasked else guard.why
            mask = mask_text(column.mask) if column.mask is not None else ""
            tags = tuple(sorted(known.tags))
            traces.append(ColumnTrace(name, mask, column.rule, why, tags))
    return tuple(traces)
