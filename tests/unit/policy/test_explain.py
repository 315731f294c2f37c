"""What-if tells the decision that would be made, and each rule's part in it."""

from __future__ import annotations

from daypass.domain.decision import Outcome
from daypass.domain.scope import AskedScope
from daypass.policy.decide import decide
from daypass.policy.derivation import classify
from daypass.policy.explain import RuleResult, explain, explain_columns
from daypass.policy.load import load_policy
from tests.unit.policy.sample import NOW, READ, SAMPLE, ask, database, person
from tests.unit.policy.test_scope import TAGGED, WHOLE

POLICY = load_policy({"p.yaml": SAMPLE})


def test_each_rule_says_its_part() -> None:
    facts = ask("oncall", reason="r", ticket="INC-1")
    found = explain(POLICY, facts, NOW)
    assert found.decision == decide(POLICY, facts, NOW)
    assert [r.result for r in found.rules] == [
        RuleResult.NO_MATCH,
        RuleResult.DECIDED,
        RuleResult.NOT_REACHED,
    ]
    assert found.rules[2].would_match
    assert found.rules[1].place == "p.yaml:10:5"
    assert found.also_possible == ()


def test_an_error_decides_and_says_why() -> None:
    found = explain(POLICY, ask(on=database({})), NOW)
    # For somebody not on call the second rule is false before it looks at the label.
    assert [r.result for r in found.rules] == [
        RuleResult.NO_MATCH,
        RuleResult.NO_MATCH,
        RuleResult.ERROR,
    ]
    assert "database.labels.env is missing" in found.rules[2].text


def test_break_glass_rules_are_told_apart() -> None:
    found = explain(POLICY, ask("oncall", break_glass=True), NOW)
    assert {r.result for r in found.rules} == {RuleResult.NOT_FOR_THIS}
    assert found.decision.outcome is Outcome.DENIED
    assert found.also_possible


def test_each_column_says_its_mask_and_rule() -> None:
    asked = AskedScope(READ, ("sales.*",), unmask=("sales.customers.phone",))
    traces = explain_columns(
        POLICY, asked, person("a", attributes={}), database(), classify(WHOLE, TAGGED)
    )
    by_name = {str(t.column): (t.mask, t.rule, t.why) for t in traces}
    assert by_name["sales.customers.email"] == (
        "email",
        "emails",
        "'emails' is the first that matches",
    )
    assert by_name["sales.customers.phone"] == (
        "",
        None,
        "the request unmasks it; else 'the rest of PII' is the first that matches",
    )
    assert by_name["sales.customers.id"] == ("", None, "no masking rule matches")
    assert by_name["sales.mix.both"] == (
        "full",
        "emails",
        "computed from what 'emails' and 'the rest of PII' hides",
    )
    tags = {str(t.column): t.tags for t in traces}
    assert tags["sales.mix.both"] == ("pii.email", "pii.phone")
