"""The decision: may this person have this, and on whose approval? The first matching rule says."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from daypass.domain.decision import Decision, Outcome
from daypass.domain.statement_class import StatementClass
from daypass.policy.facts import RequestFacts
from daypass.policy.judge import judge
from daypass.policy.nearby import also_possible, with_profile
from daypass.policy.rules import Policy

_READING: Final = (
    frozenset({StatementClass.EXPLAIN}),
    frozenset({StatementClass.SELECT}),
    frozenset({StatementClass.EXPLAIN, StatementClass.SELECT}),
)


def decide(policy: Policy, facts: RequestFacts, now: datetime) -> Decision:
    """Decide a request; pure and deterministic. A denial's `next_step` says what would be granted.

    `now` is aware, by the store's clock. What policy cannot evaluate is denied, naming the rule.
    """
    decision = judge(policy, facts, now)
    if decision.outcome is not Outcome.DENIED or not facts.requester.active:
        return decision
    nearby = also_possible(policy, facts, now)
    text = "ask again " + ", or ".join(n.text for n in nearby) if nearby else decision.next_step
    return replace(
        decision, next_step=text or "ask an owner of the database to have policy changed"
    )


def knows_database(policy: Policy, facts: RequestFacts, now: datetime) -> bool:
    """Say whether any rule could ever grant this person something on this database.

    Where none can, unknown and forbidden must look the same to them. Asked with lesser and greater
    forms of the request, since conditions may look at any part of it.
    """
    lesser = replace(
        facts,
        asked=replace(facts.asked, unmask=(), settings={}, native_role=None),
        unmask=(),
        direct_credentials=False,
        starts_at=None,
        duration=timedelta(minutes=5),
    )
    asks = [facts, lesser, *(with_profile(lesser, profile) for profile in policy.profiles)]
    asks += [replace(lesser, asked=replace(lesser.asked, classes=each)) for each in _READING]
    for each in asks:
        for break_glass in (False, True):
            decision = judge(policy, replace(each, break_glass=break_glass), now)
            rule = policy.access_rule(decision.rule)
            if rule is not None and rule.deny is None:
                return True
    return False
