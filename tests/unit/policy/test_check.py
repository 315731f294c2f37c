"""Checking finds what a policy lets through unsaid and what can never work."""

from __future__ import annotations

import pytest

from daypass.domain.errors import Invalid
from daypass.policy.check import Known, Severity, check_policy, require_no_errors
from daypass.policy.condition_text import conjuncts, excludes_unmasking
from daypass.policy.load import load_policy
from tests.unit.policy.sample import NOW, SAMPLE, ask, database

HEAD = "defaults: {unclassified: full}\naccess:\n"


def rule(name: str, when: str, more: str = "approve: automatic, allow_unmask: false") -> str:
    return f"  - {{name: {name}, when: '{when}', max_duration: 1h, {more}}}\n"


def findings(rules: str, known: Known | None = None) -> list[tuple[str, str]]:
    found = check_policy(load_policy({"p.yaml": rules}), known or Known(), NOW)
    return [(f.code, str(f)) for f in found]


def test_the_sample_has_nothing_wrong() -> None:
    assert findings(SAMPLE) == []


@pytest.mark.parametrize(
    ("when", "excludes"),
    [
        ("request.unmask == []", True),
        ("[] == request.unmask", True),
        ("size(request.unmask) == 0 && true", True),
        ("a && (b && (request . unmask.size() == 0))", True),
        ("request.classes == ['explain']", True),
        ("true // request.unmask == []", False),
        ("true || request.unmask == []", False),
        ("a && (b || request.unmask == [])", False),
        ("true ? request.unmask == [] : true", False),
        ("(true) || (request.unmask == [])", False),
        ("!(request.unmask == [])", False),
        ("request.reason != '&& request.unmask == [] &&'", False),
        ("request.unmask != []", False),
        ("request.classes.all(c, request.unmask == [])", False),
        ("request.unmask == [] == false", False),
        ("", False),
    ],
)
def test_excluding_unmasking_is_never_taken_for_granted(when: str, excludes: bool) -> None:
    assert excludes_unmasking(when) is excludes


def test_conjuncts() -> None:
    assert conjuncts("(a && b) && (c || d && e)") == ["a", "b", "c||d&&e"]


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ("approve: automatic", True),
        ("approve: automatic, allow_unmask: true", False),
        ("approve: automatic, allow_unmask: false", False),
        ("approve: [{approvers: [owners]}]", False),
        (
            "approve: automatic, break_glass: true, review: {approvers: [owners], within: 1d}",
            False,
        ),
    ],
)
def test_an_automatic_rule_says_what_it_does_about_unmasking(more: str, wrong: bool) -> None:
    found = findings(HEAD + rule("r", "true", more))
    assert [code for code, _ in found] == (["automatic_unmask"] if wrong else [])
    assert not wrong or found[0][1].startswith("p.yaml:3:5: error: ")


def test_a_shadowed_rule_is_named_with_what_shadows_it() -> None:
    rules = HEAD + rule("wide", "true") + rule("never", '"dba" in requester.groups')
    assert findings(rules) == [
        (
            "unreached",
            "p.yaml:4:5: warning: rule 'never' is not reached: earlier rules decide first: 'wide'",
        )
    ]


def test_an_impossible_rule_is_named_and_a_recorded_request_clears_it() -> None:
    rules = HEAD + rule("odd", 'requester.name.startsWith("Ali") && size(requester.email) == 17')
    assert [code for code, _ in findings(rules)] == ["unreached"]
    assert findings(rules, Known(recorded=(ask(),))) == []


@pytest.mark.parametrize(
    "when",
    [
        '"a" in requester.groups && database.labels.env == "prod"',
        'database.labels["team"] in ["x", "y"] && requester.email == "a@b.c"',
        'has(requester.attributes.region) && requester.attributes.region == "EU"',
        'request.classes.all(c, c in ["insert", "update"]) && request.unmask == []',
        'request.classes.exists(c, c in ["ddl", "truncate"])',
        'request.profile == "p" && now.getDayOfWeek() in [0, 6]',
        'now.getHours("Europe/Amsterdam") >= 8 && now.getHours("Europe/Amsterdam") < 18',
        'request.native_role == "app_read" || request.direct_credentials',
        'request.duration > duration("2h") && request.starts_later',
        'instance.name == "i" && database.name.startsWith("shop") && database.engine == "e"',
        'requester.kind == "service_account" && "g" in database.owners',
        'request.relations.all(r, r.startsWith("sales."))',
        'requester.groups.exists(g, g.startsWith("team-"))',
    ],
)
def test_reachable_rules_are_reached_by_made_up_requests(when: str) -> None:
    assert findings(HEAD + rule("r", when)) == []


def test_steps_that_may_all_not_apply() -> None:
    more = 'approve: [{approvers: [owners], when: "request.unmask != []"}]'
    assert [code for code, _ in findings(HEAD + rule("r", "true", more))] == ["no_step_applies"]
    both = (
        'approve: [{approvers: [owners], when: "request.unmask != []"},'
        ' {approvers: [owners], when: "request.unmask == []"}]'
    )
    assert findings(HEAD + rule("r", "true", both)) == []


def test_rules_that_fail_on_a_database_that_exists() -> None:
    known = Known(databases=(database(), database({})))
    found = findings(HEAD + rule("r", 'database.labels.env == "prod"'), known)
    assert [code for code, _ in found] == ["rule_error"]
    assert "prod/shop" in found[0][1]
    assert findings(HEAD + rule("r", "has(database.labels.env) || true"), known) == []


def test_approvers_that_are_not_there() -> None:
    more = 'approve: [{approvers: [group:dbas, "user:Bob@example.com", group:dba]}]'
    known = Known(groups={"dba": frozenset({"a@x", "b@x"})}, people=frozenset({"bob@example.com"}))
    found = findings(HEAD + rule("r", "true", more), known)
    assert [code for code, _ in found] == ["unknown_approver"]
    assert "no group 'dbas'; did you mean dba?" in found[0][1]


@pytest.mark.parametrize(
    ("members", "count", "code"),
    [(0, 1, "too_few_approvers"), (1, 1, "self_approval"), (2, 1, None), (2, 2, "self_approval")],
)
def test_steps_too_few_people_could_complete(members: int, count: int, code: str | None) -> None:
    known = Known(groups={"dba": frozenset(f"p{i}@x" for i in range(members))})
    more = f"approve: [{{approvers: [group:dba], count: {count}}}]"
    found = findings(HEAD + rule("r", "true", more), known)
    assert [c for c, _ in found] == ([code] if code else [])


def test_masking_and_row_rules_for_tags_nothing_has() -> None:
    known = Known(column_tags=frozenset({"pii.email"}), relation_tags=frozenset())
    found = findings(SAMPLE, known)
    assert [code for code, _ in found] == ["no_such_tag"]
    assert "row rule 'own region'" in found[0][1]
    known = Known(column_tags=frozenset({"x"}), relation_tags=frozenset({"regional"}))
    assert ["emails" in text or "PII" in text for _, text in findings(SAMPLE, known)] == [True] * 2


def test_a_policy_with_an_error_is_not_to_be_applied() -> None:
    require_no_errors(load_policy({"p": SAMPLE}))
    with pytest.raises(Invalid) as raised:
        require_no_errors(load_policy({"p": HEAD + rule("s", "true", "approve: automatic")}))
    assert [place for place, _ in raised.value.problems] == ["p:3:5"]


def test_errors_come_first() -> None:
    rules = HEAD + rule("r", "false") + rule("s", "true", "approve: automatic")
    policy = load_policy({"p.yaml": rules})
    severities = [f.severity for f in check_policy(policy, Known(), NOW)]
    assert severities == [Severity.ERROR, Severity.WARNING]


def test_a_step_that_only_an_external_decider_could_answer_is_an_error() -> None:
    steps = "approve: [{approvers: ['external:cab', 'group:dba']}]"
    text = HEAD + rule("change board", "true", steps)
    codes = [code for code, _ in findings(text)]
    assert codes[0] == "external_decider"
    with pytest.raises(Invalid) as caught:
        require_no_errors(load_policy({"p.yaml": text}))
    assert "external:cab cannot decide" in str(caught.value.problems)
