"""A policy's own test cases: read with places, run with the functions that decide."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from daypass.domain.errors import Invalid
from daypass.domain.principal import Principal
from daypass.policy.cases import load_cases
from daypass.policy.load import load_policy
from daypass.policy.run_cases import CaseResult, KnownDatabase, run_cases
from tests.unit.policy.sample import SAMPLE, database, person
from tests.unit.policy.test_scope import REGIONAL, TAGGED, WHOLE

POLICY = load_policy({"p": SAMPLE})
PEOPLE: Mapping[str, Principal] = {
    "alice@example.com": person("alice", "oncall", attributes={"region": "EU"})
}
DATABASES = {
    "prod/shop": KnownDatabase(database(), WHOLE, TAGGED),
    "prod/regional": KnownDatabase(database(), WHOLE, REGIONAL),
    "prod/unread": KnownDatabase(database()),
}


def case(
    expect: str,
    request: str = "classes: [select]",
    on: str = "prod/shop",
    requester: str = "alice@example.com",
) -> str:
    return (
        f"cases:\n  - {{name: c, requester: {requester}, database: {on},"
        f" request: {{{request}}}, expect: {{{expect}}}}}\n"
    )


def run(text: str) -> CaseResult:
    (result,) = run_cases(POLICY, load_cases({"c.yaml": text}), PEOPLE, DATABASES)
    return result


INC = "classes: [select], reason: r, ticket: INC-1"


@pytest.mark.parametrize(
    "text",
    [
        case("outcome: allowed, rule: on-call reads production by itself", INC),
        case("outcome: denied, reasons: [reason_missing, ticket_missing]"),
        case(
            "outcome: needs_approval, steps: ['1 of group:dba, owners', '1 of group:security']",
            "classes: [select], unmask: [sales.customers.email]",
        ),
        case("masked: [sales.*.email, sales.contacts.address], clear: [sales.customers.id]", INC),
        case(
            "clear: [sales.customers.email], masked: [sales.contacts.address]",
            "classes: [select], unmask: [sales.customers.email]",
        ),
        case("rows: {sales.customers: [own region]}, left_out: [sales.mix]", INC, "prod/regional"),
        case("rows: {sales.customers: []}", INC),
        case("outcome: allowed", INC, "{name: d, instance: i, labels: {env: prod}}"),
        case(
            "outcome: denied, reasons: [no_rule]",
            INC,
            "{name: d, instance: i, labels: {env: dev}}",
        ),
        case(
            "outcome: allowed",
            "classes: [explain]",
            requester="{email: x@y, groups: [developers], attributes: {n: 3, l: [a], b: true}}",
        ),
    ],
)
def test_cases_that_hold(text: str) -> None:
    assert run(text).failures == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (case("outcome: allowed"), "expected allowed, got denied (rule 'on-call"),
        (case("rule: x", INC), "expected rule 'x' to decide"),
        (case("steps: []", "classes: [ddl]"), "expected steps []"),
        (case("reasons: [too_long]"), "expected reason 'too_long', got reason_missing"),
        (case("clear: [sales.customers.*]", INC), "sales.customers.email, sales.customers.phone"),
        (case("masked: [sales.nothing.x]", INC), "no column of the scope matches it"),
        (case("rows: {sales.customers: [own region]}", INC), "got []"),
        (case("rows: {sales.gone: []}", INC), "not in the scope"),
        (case("left_out: [sales.mix]", INC), "'sales.mix' to be left out"),
        (case("masked: ['*.*.*']", INC, "prod/unread"), "whose catalog is known"),
        (case("outcome: denied", on="prod/shp"), "no database 'prod/shp'; did you mean prod/shop?"),
        (
            case("outcome: denied", requester="alise@example.com"),
            "did you mean alice@example.com?",
        ),
        (case("outcome: denied", "classes: [select], relations: [sales.gone]"), "no relation"),
        (case("outcome: denied", "profile: nope"), "no profile is called 'nope'"),
    ],
)
def test_cases_that_fail_say_why(text: str, says: str) -> None:
    result = run(text)
    assert not result.holds
    assert says in "; ".join(result.failures)


@pytest.mark.parametrize(
    ("text", "needle", "says"),
    [
        ("cases: [{name: c}]\n", "{name", "needs 'expect'"),
        (case(""), "{}", "expects nothing"),
        (case("outcme: allowed"), "outcme", "did you mean outcome?"),
        (case("outcome: yes"), "yes", "allowed or denied or needs_approval"),
        (case("outcome: denied", "classes: [selct]"), "selct", "did you mean select?"),
        (case("outcome: denied", "reason: x"), "{reason", "needs 'classes' or 'profile'"),
        (
            case("outcome: denied", "classes: [select], starts_at: soon"),
            "soon",
            "not a time",
        ),
        (
            case("outcome: denied", "classes: [select], starts_at: '2026-01-01'"),
            "'2026-01-01'",
            "needs its zone",
        ),
        (
            case("outcome: denied", requester="{email: x, attributes: {a: {b: c}}}"),
            "{b: c}",
            "an attribute is a text",
        ),
    ],
)
def test_wrong_cases_are_named_with_their_place(text: str, needle: str, says: str) -> None:
    with pytest.raises(Invalid) as raised:
        load_cases({"c.yaml": text})
    offset = text.index(needle)
    line = text.count("\n", 0, offset) + 1
    place = f"c.yaml:{line}:{offset - text.rfind(chr(10), 0, offset)}"
    assert (place, True) in [(p, says in t) for p, t in raised.value.problems]


def test_cases_may_stand_in_policy_files() -> None:
    policy = load_policy({"p.yaml": SAMPLE, "z.yaml": case("outcome: denied")})
    assert len(policy.access) == 3
    assert load_cases({"p.yaml": SAMPLE}) == ()
