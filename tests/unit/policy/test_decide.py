"""The first rule that matches decides, everything else is denied, and a denial helps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daypass.domain.decision import Decision, Outcome
from daypass.domain.limits import ExactStatement
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.policy.decide import decide, knows_database
from daypass.policy.facts import RequestFacts
from daypass.policy.load import load_policy
from daypass.policy.nearby import also_possible
from daypass.policy.rules import Policy
from tests.unit.policy.sample import NOW, READ, SAMPLE, ask, database, person

POLICY = load_policy({"policy.yaml": SAMPLE})
EXPLAIN = frozenset({StatementClass.EXPLAIN})
NOTE = ("sales.orders.note",)


def policy_of(rules: str) -> Policy:
    return load_policy({"p.yaml": "defaults: {unclassified: full}\naccess:\n" + rules})


def rule(body: str, when: str = "true", name: str = "only") -> str:
    return f"  - {{name: {name}, when: '{when}', max_duration: 1h, {body}}}\n"


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


@pytest.mark.parametrize(
    ("facts", "outcome", "name"),
    [
        (ask("developers", classes=EXPLAIN), Outcome.ALLOWED, "developers explain anywhere"),
        (ask("developers", classes=EXPLAIN, on=database({})), Outcome.ALLOWED, "developers"),
        (ask("oncall", reason="r", ticket="INC-1"), Outcome.ALLOWED, "on-call reads"),
        (ask("oncall", reason="r", ticket="X-1"), Outcome.DENIED, "on-call reads"),
        (ask("oncall", unmask=NOTE), Outcome.NEEDS_APPROVAL, "anything else"),
        (ask("anybody"), Outcome.NEEDS_APPROVAL, "anything else"),
        (ask("anybody", on=database({"env": "dev"})), Outcome.DENIED, None),
    ],
)
def test_the_sample_decides_as_it_reads(
    facts: RequestFacts, outcome: Outcome, name: str | None
) -> None:
    decision = decide(POLICY, facts, NOW)
    assert decision.outcome is outcome
    if name is None:
        assert decision.rule is None
    else:
        assert decision.rule is not None
        assert decision.rule.startswith(name)
    assert all(reason.text and reason.rule == decision.rule for reason in decision.reasons)


def test_steps_are_those_whose_condition_holds() -> None:
    plain = decide(POLICY, ask("x"), NOW)
    unmasked = decide(POLICY, ask("x", unmask=NOTE), NOW)
    ddl = decide(POLICY, ask("x", classes=frozenset({StatementClass.DDL})), NOW)
    assert [str(s) for s in plain.steps] == ["1 of group:dba, owners"]
    assert [str(s) for s in unmasked.steps][1:] == ["1 of group:security"]
    assert unmasked.steps == ddl.steps


def test_a_rule_that_cannot_be_evaluated_denies_by_name_even_if_a_later_one_would_allow() -> None:
    rules = rule("approve: automatic", 'database.labels.env == "x"', "broken")
    policy = policy_of(rules + rule("approve: automatic", "true", "open"))
    decision = decide(policy, ask(on=database({})), NOW)
    assert (decision.outcome, decision.rule, codes(decision)) == (
        Outcome.DENIED,
        "broken",
        ["rule_error"],
    )
    assert "database.labels.env is missing here" in decision.summary()
    assert "has(database.labels.env)" in decision.summary()
    assert "p.yaml:3:5" in decision.summary()


def test_a_step_that_cannot_be_evaluated_denies() -> None:
    policy = policy_of(
        rule("approve: [{approvers: [owners]}, {approvers: [owners], when: x > 3}]").replace(
            "x > 3", '"requester.attributes.level > 3"'
        )
    )
    decision = decide(policy, ask(), NOW)
    assert (decision.outcome, codes(decision)) == (Outcome.DENIED, ["rule_error"])
    assert "step 2" in decision.summary()


def test_no_step_that_applies_is_a_denial_not_a_gift() -> None:
    policy = policy_of(rule('approve: [{approvers: [owners], when: "request.unmask != []"}]'))
    decision = decide(policy, ask(), NOW)
    assert (decision.outcome, codes(decision)) == (Outcome.DENIED, ["no_step_applies"])


@pytest.mark.parametrize(
    "facts",
    [
        ask(reason="\ud800"),
        ask(requester=person("a", attributes={"a": 10**30})),
        ask(requester=person("a", attributes={"a": float("nan")})),
        ask(requester=person("a", number=2**70)),
        ask(requester=person("a", attributes={"a": (1, ("x", None))})),
        ask(duration=timedelta(days=999_999)),
    ],
)
def test_values_of_no_use_to_conditions_are_denied_not_a_failure(facts: RequestFacts) -> None:
    conditions = [
        'request.reason == "x"',
        "requester.attributes.a == 3",
        "requester.id == 0",
        'request.duration < duration("1s")',
    ]
    policy = policy_of(rule("approve: automatic", " || ".join(conditions)))
    assert decide(policy, facts, NOW).outcome is Outcome.DENIED


@pytest.mark.parametrize("ticket", ["\ud800", "INC-1\n", "INC-" + "1" * 10**6 + "x"])
def test_tickets_of_any_kind_are_only_matched(ticket: str) -> None:
    decision = decide(POLICY, ask("oncall", reason="r", ticket=ticket), NOW)
    assert codes(decision) == ["ticket_malformed"]


def test_what_the_rule_asks_for_is_said_all_at_once_with_how_to_ask() -> None:
    decision = decide(POLICY, ask("oncall", duration=timedelta(hours=3)), NOW)
    assert codes(decision) == ["too_long", "reason_missing", "ticket_missing"]
    assert "at most 2h, not 3h" in decision.summary()
    assert decision.next_step.startswith(
        r"ask again for at most 2h and with a reason and with a ticket that matches '^INC-\d+$'"
    )


@pytest.mark.parametrize("duration", [timedelta(), timedelta(seconds=-1)])
def test_a_duration_of_nothing_is_denied(duration: timedelta) -> None:
    assert codes(decide(POLICY, ask("x", duration=duration), NOW)) == ["invalid_duration"]


def test_the_longest_duration_is_allowed_and_no_more() -> None:
    most = ask("x", duration=timedelta(hours=4))
    assert decide(POLICY, most, NOW).outcome is Outcome.NEEDS_APPROVAL
    more = replace(most, duration=timedelta(hours=4, microseconds=1))
    assert codes(decide(POLICY, more, NOW)) == ["too_long"]


def test_more_time_counts_from_the_grant_s_start() -> None:
    fresh = ask("x", duration=timedelta(hours=4, minutes=1))
    much = decide(POLICY, replace(fresh, so_far=timedelta(minutes=90, seconds=20)), NOW)
    assert codes(much) == ["too_long"]
    # Rounded down to what people type, and allowed.
    assert "at most 2h29m more (4h from the grant's start), not 2h30m" in much.summary()
    assert much.next_step.startswith("ask again for at most 2h29m")
    hinted = replace(fresh, duration=timedelta(hours=3, minutes=59, seconds=20))
    assert decide(POLICY, hinted, NOW).outcome is Outcome.NEEDS_APPROVAL


def test_a_grant_that_had_all_its_time_gets_no_more_however_it_is_asked() -> None:
    for so_far in (timedelta(hours=4), timedelta(hours=9), timedelta(hours=3, minutes=59.5)):
        for more in (timedelta(minutes=1), timedelta(hours=3)):
            facts = ask("developers", duration=so_far + more)
            decision = decide(POLICY, replace(facts, so_far=so_far), NOW)
            assert codes(decision) == ["no_more_time"]
            assert "cannot be extended" in decision.summary()
            assert decision.next_step == "ask for a new grant: daypass request prod/shop"


def test_an_inactive_account_gets_nothing_and_no_hints() -> None:
    gone = replace(person("alice", "developers"), active=False)
    decision = decide(POLICY, ask(requester=gone, classes=EXPLAIN), NOW)
    assert codes(decision) == ["requester_inactive"]
    assert decision.next_step == ""


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        ("approve: automatic", False),
        ("approve: automatic, allow_unmask: false", False),
        ("approve: automatic, allow_unmask: true", True),
        ("approve: [{approvers: [owners]}]", True),
        ("approve: [{approvers: [owners]}], allow_unmask: false", False),
    ],
)
def test_unmasking_by_itself_only_where_said(body: str, allowed: bool) -> None:
    decision = decide(policy_of(rule(body)), ask(unmask=NOTE), NOW)
    assert (decision.outcome is not Outcome.DENIED) is allowed
    assert allowed or codes(decision) == ["unmask_denied"]


def test_explain_alone_never_comes_with_unmasking() -> None:
    policy = policy_of(rule("approve: automatic, allow_unmask: true"))
    decision = decide(policy, ask(classes=EXPLAIN, unmask=NOTE), NOW)
    assert codes(decision) == ["unmask_denied"]


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("app_read", True), ("app.read", False), ("reporting.v1", True), ("admin", False)],
)
def test_native_roles_only_where_named(role: str, allowed: bool) -> None:
    policy = policy_of(rule('approve: automatic, native_roles: ["app_*", reporting.v1]'))
    decision = decide(policy, ask(asked=AskedScope(READ, native_role=role)), NOW)
    assert (decision.outcome is Outcome.ALLOWED) is allowed
    assert allowed or codes(decision) == ["native_role_denied"]


@pytest.mark.parametrize(
    ("body", "classes", "role", "code"),
    [
        ("approve: automatic", READ, None, "direct_denied"),
        ("approve: automatic, direct_credentials: true", READ, None, None),
        (
            "approve: automatic, direct_credentials: true",
            READ | {StatementClass.TRUNCATE},
            None,
            "direct_denied",
        ),
        (
            "approve: automatic, direct_credentials: true, native_roles: [r]",
            READ,
            "r",
            "direct_denied",
        ),
    ],
)
def test_direct_credentials_only_where_they_end_with_the_grant(
    body: str, classes: frozenset[StatementClass], role: str | None, code: str | None
) -> None:
    asked = AskedScope(classes, native_role=role)
    decision = decide(policy_of(rule(body)), ask(asked=asked, direct_credentials=True), NOW)
    assert codes(decision) == [code or "rule_allows"]


@pytest.mark.parametrize(
    ("body", "name", "allowed"),
    [
        ("approve: automatic", "work_mem", False),
        ("approve: automatic, settings: [work_mem]", "work_mem", True),
        ("approve: automatic, settings: [app.*]", "app.tenant", True),
        ("approve: automatic, settings: [app.*]", "application_name", False),
        ("approve: [{approvers: [owners]}]", "app.tenant", True),
        ("approve: [{approvers: [owners]}], settings: []", "app.tenant", False),
    ],
)
def test_settings_only_where_allowed(body: str, name: str, allowed: bool) -> None:
    asked = AskedScope(READ, settings={name: "1"})
    decision = decide(policy_of(rule(body)), ask(asked=asked), NOW)
    assert (decision.outcome is not Outcome.DENIED) is allowed
    assert allowed or codes(decision) == ["setting_denied"]


def test_a_profiles_own_settings_need_no_rule_but_others_do() -> None:
    policy = load_policy(
        {
            "p": "defaults: {unclassified: full}\nprofiles:\n"
            "  - {name: p, classes: [select], settings: {app.tenant: '7'}}\naccess:\n"
            + rule("approve: automatic")
        }
    )
    own = AskedScope(READ, settings={"app.tenant": "7"})
    other = AskedScope(READ, settings={"app.tenant": "8"})
    assert decide(policy, ask(asked=own, profile="p"), NOW).outcome is Outcome.ALLOWED
    assert codes(decide(policy, ask(asked=own), NOW)) == ["setting_denied"]
    assert codes(decide(policy, ask(asked=other, profile="p"), NOW)) == ["setting_denied"]


GLASS = rule(
    "approve: automatic, break_glass: true, review: {approvers: [group:security], within: 24h}",
    '"oncall" in requester.groups',
    "glass",
)


def test_break_glass_is_decided_by_break_glass_rules_alone() -> None:
    policy = policy_of(GLASS + rule("approve: [{approvers: [owners]}]", "true", "normal"))
    glass = ask("oncall", break_glass=True, reason="fire")
    assert decide(policy, glass, NOW).rule == "glass"
    assert decide(policy, ask("oncall"), NOW).rule == "normal"
    other = decide(policy, ask("developers", break_glass=True, reason="fire"), NOW)
    assert (other.outcome, codes(other)) == (Outcome.DENIED, ["no_rule"])
    assert other.next_step == "ask again without break-glass (it then needs approval)"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": " "}, "reason_missing"),
        ({"unmask": NOTE}, "unmask_denied"),
        ({"starts_at": NOW + timedelta(hours=1)}, "break_glass_later"),
        ({"direct_credentials": True}, "direct_denied"),
    ],
)
def test_break_glass_lifts_nothing(changes: dict[str, object], code: str) -> None:
    arguments: dict[str, object] = {"reason": "fire", **changes}
    facts = ask("oncall", break_glass=True, **arguments)  # type: ignore[arg-type]  # by name above
    assert codes(decide(policy_of(GLASS), facts, NOW)) == [code]


def test_a_rule_that_denies_stops_even_break_glass() -> None:
    deny = "  - {name: frozen, when: 'true', deny: nobody during the audit}\n"
    decision = decide(policy_of(deny + GLASS), ask("oncall", break_glass=True, reason="r"), NOW)
    assert (decision.rule, codes(decision)) == ("frozen", ["rule_denies"])
    assert "nobody during the audit" in decision.summary()


def test_a_denial_names_lesser_requests_that_would_do() -> None:
    rules = rule("approve: automatic", "request.unmask == []", "masked")
    policy = policy_of(rules)
    decision = decide(policy, ask(unmask=NOTE, duration=timedelta(hours=2)), NOW)
    assert codes(decision) == ["no_rule"]
    assert decision.next_step == "ask again without unmasking and for at most 1h"


def test_what_is_named_as_possible_is_possible() -> None:
    denied = ask(
        "developers",
        on=database({"env": "dev"}),
        classes=frozenset({StatementClass.EXPLAIN, StatementClass.SELECT, StatementClass.DDL}),
        unmask=NOTE,
        direct_credentials=True,
    )
    nearby = also_possible(POLICY, denied, NOW)
    assert nearby == ()
    # Explain alone takes two steps down from here; each is within reach of the last.
    reading = replace(denied, asked=AskedScope(READ), unmask=(), direct_credentials=False)
    found = also_possible(POLICY, reading, NOW)
    assert [n.text for n in found] == ["for explain only"]
    assert decide(POLICY, found[0].facts, NOW).outcome is Outcome.ALLOWED


def test_now_without_a_zone_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="time zone"):
        decide(POLICY, ask(), datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))


def test_a_start_in_the_future_can_be_seen() -> None:
    policy = policy_of(rule("approve: automatic", "!request.starts_later"))
    later = ask(starts_at=NOW + timedelta(hours=1))
    assert codes(decide(policy, later, NOW)) == ["no_rule"]
    assert decide(policy, later, NOW + timedelta(hours=2)).outcome is Outcome.ALLOWED


def test_a_rule_for_exact_statements_takes_no_others_and_can_see_them() -> None:
    policy = policy_of(rule("approve: automatic, require: {statements: true}"))
    assert codes(decide(policy, ask(), NOW)) == ["statements_missing"]
    exact = AskedScope(READ, statements=(ExactStatement("select 1"),))
    assert decide(policy, ask(asked=exact), NOW).outcome is Outcome.ALLOWED
    direct = policy_of(rule("approve: automatic, direct_credentials: true"))
    found = decide(direct, ask(asked=exact, direct_credentials=True), NOW)
    assert codes(found) == ["direct_denied"]
    by_text = policy_of(rule("approve: automatic", 'request.statements == ["select 1"]'))
    assert decide(by_text, ask(asked=exact), NOW).outcome is Outcome.ALLOWED
    assert codes(decide(by_text, ask(), NOW)) == ["no_rule"]


def test_unknown_and_forbidden_look_the_same_only_to_those_without_a_rule() -> None:
    policy = policy_of(
        "  - {name: no contractors, when: '\"contractors\" in requester.groups', deny: true}\n"
        + rule("approve: automatic", '"oncall" in requester.groups && request.unmask == []')
        + GLASS.replace("oncall", "fire")
    )
    assert knows_database(policy, ask("oncall", unmask=NOTE), NOW)
    assert knows_database(policy, ask("fire"), NOW)
    assert not knows_database(policy, ask("contractors", "oncall"), NOW)
    assert not knows_database(policy, ask("nobody"), NOW)


_REQUESTS = st.builds(
    ask,
    classes=st.frozensets(st.sampled_from(list(StatementClass)), min_size=1),
    unmask=st.sampled_from([(), NOTE]),
    duration=st.timedeltas(timedelta(seconds=1), timedelta(days=2)),
    reason=st.sampled_from(["", "because"]),
    ticket=st.sampled_from(["", "INC-1", "INC-1\n", "\0", "x" * 1000]),
    on=st.sampled_from([database(), database({}), database({"env": "dev"})]),
    requester=st.builds(
        lambda groups, active: replace(person("alice", *groups), active=active),
        st.sets(st.sampled_from(["developers", "oncall", "dba", "other"])),
        st.booleans(),
    ),
    break_glass=st.booleans(),
    direct_credentials=st.booleans(),
    starts_at=st.sampled_from([None, NOW + timedelta(hours=1)]),
)


@given(_REQUESTS)
def test_a_decision_is_deterministic_and_whole(facts: RequestFacts) -> None:
    decision = decide(POLICY, facts, NOW)
    assert decision == decide(POLICY, facts, NOW)
    assert decision.reasons
    assert (decision.outcome is Outcome.NEEDS_APPROVAL) == bool(decision.steps)
    assert decision.outcome is Outcome.DENIED or decision.rule is not None


@given(_REQUESTS)
def test_nothing_is_ever_automatic_with_an_unmask_in_the_sample(facts: RequestFacts) -> None:
    if facts.unmask:
        assert decide(POLICY, facts, NOW).outcome is not Outcome.ALLOWED


@given(_REQUESTS, st.timedeltas(timedelta(seconds=1), timedelta(hours=1)))
def test_asking_for_less_time_of_the_same_rule_is_never_worse(
    facts: RequestFacts, less: timedelta
) -> None:
    shorter = replace(facts, duration=min(facts.duration, less))
    before, after = decide(POLICY, facts, NOW), decide(POLICY, shorter, NOW)
    assert before.outcome is Outcome.DENIED or after.outcome is before.outcome


@given(_REQUESTS)
def test_whatever_is_suggested_is_not_denied_but_for_a_ticket(facts: RequestFacts) -> None:
    for nearby in also_possible(POLICY, facts, NOW):
        again = decide(POLICY, nearby.facts, NOW)
        assert again.outcome is not Outcome.DENIED or set(codes(again)) <= {
            "ticket_missing",
            "ticket_malformed",
        }
