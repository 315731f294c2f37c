"""Loading: the blueprint's sample as it stands, and every problem of every file at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daypass.domain.decision import ApproverSpec, StepSpec
from daypass.domain.errors import Invalid
from daypass.domain.limits import Parameters
from daypass.domain.masks import EmailMask, FullMask, NullMask
from daypass.domain.statement_class import StatementClass
from daypass.policy.load import hash_sources, load_policy
from daypass.policy.rules import Limits, Recording
from tests.unit.policy.sample import SAMPLE

GLASS = "break_glass: true\nreview: {approvers: [owners], within: 1d}"
DEFAULTS = "defaults: {unclassified: full}\n"


def problems_of(text: str, name: str = "p.yaml") -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as raised:
        load_policy({name: text})
    assert raised.value.detail_code == "invalid_policy"
    return list(raised.value.problems)


def access(body: str) -> str:
    return DEFAULTS + "access:\n  - name: a rule\n" + "".join(
        f"    {line}\n" for line in body.split("\n")
    )  # fmt: skip


def test_the_blueprints_sample_loads_as_it_stands() -> None:
    policy = load_policy({"policy.yaml": SAMPLE})
    first, second, third = policy.access
    assert policy.defaults.mask_unclassified
    assert (first.automatic, first.on_connect, first.max_duration) == (
        True,
        True,
        timedelta(hours=8),
    )
    assert second.require.reason
    assert second.require.ticket is not None
    assert second.require.ticket.matches("INC-42")
    assert not second.require.ticket.matches("INC-42\n")
    assert third.steps is not None
    assert [step.spec for step in third.steps] == [
        StepSpec((ApproverSpec("group", "dba"), ApproverSpec("owners"))),
        StepSpec((ApproverSpec("group", "security"),)),
    ]
    assert third.pending_ttl == timedelta(hours=24)
    emails, rest = policy.masking
    assert (emails.mask, rest.mask) == (EmailMask(), FullMask())
    assert rest.reveal is not None
    assert (policy.row[0].text, policy.row[0].values) == (
        "region = {1}",
        ("requester.attributes.region",),
    )
    assert str(emails.place) == "policy.yaml:26:5"


def test_every_problem_is_reported_at_once_in_order() -> None:
    text = (
        SAMPLE.replace("requester.groups && request.classes", "requester.groupz && request.classes")
        .replace("&& request.classes.all", "&& request.clases.all")
        .replace("mask: email", "mask: emial")
        .replace("on_connect: true", "on_conect: true")
        .replace("{requester.attributes.region}", "{requester.region}")
        .replace("unclassified: full ", "unclassified: maybe")
        .replace("max_duration: 2h", "max_duration: soon")
    )
    assert [place for place, _ in problems_of(text)] == [
        "p.yaml:3:17",
        "p.yaml:6:28",
        "p.yaml:9:5",
        "p.yaml:13:10",
        "p.yaml:14:19",
        "p.yaml:26:78",
        "p.yaml:31:24",
    ]


@pytest.mark.parametrize(
    ("body", "place", "says"),
    [
        ("when: 'true'\nmax_duration: 1h", "p.yaml:3:5", "needs 'approve'"),
        ("when: 'true'\napprove: automatic", "p.yaml:3:5", "needs 'max_duration'"),
        ("max_duration: 1h\napprove: automatic", "p.yaml:3:5", "needs 'when'"),
        ("when: 'true'\nmax_duration: 1h\napprove: auto", "p.yaml:6:14", "automatic or a list"),
        ("when: 'true'\nmax_duration: 1h\napprove: []", "p.yaml:6:14", "automatic or a list"),
        ("when: [x]\nmax_duration: 1h\napprove: automatic", "p.yaml:4:11", "not a list"),
        ("when: 'true'\nmax_duration: 3\napprove: automatic", "p.yaml:5:19", "write it like"),
        ("when: 'true'\nmax_duration: 0s\napprove: automatic", "p.yaml:5:19", "not a duration"),
        (
            "when: 'true'\nmax_duration: 1h\napprove: automatic\nallow_unmask: yes",
            "p.yaml:7:19",
            "true or false, not 'yes'",
        ),
        (
            "when: 'true'\nmax_duration: 1h\non_connect: true\napprove:\n  - {approvers: [owners]}",
            "p.yaml:6:17",
            "only with 'approve: automatic'",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove:\n  - {approvers: [dba]}",
            "p.yaml:7:22",
            "'dba' is not an approver",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove:\n  - {approvers: [owner]}",
            "p.yaml:7:22",
            "did you mean owners?",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove:\n  - {approvers: []}",
            "p.yaml:7:21",
            "nobody could approve",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove:\n  - {approvers: ['user:a@b'], count: 2}",
            "p.yaml:7:42",
            "can never come from 1",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove:\n  - {approvers: [owners, owners]}",
            "p.yaml:7:30",
            "twice",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove:\n  - {approvers: [owners], any_of: [owners]}",
            "p.yaml:7:39",
            "write one of them",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove:\n  - {approvers: [owners], when: 'x'}",
            "p.yaml:7:38",
            "unknown name 'x'",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove:\n  - {approvers: [owners], count: 0}",
            "p.yaml:7:38",
            "from 1 to 20",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove: automatic\nrequire: {ticket: '('}",
            "p.yaml:7:23",
            "not a regular expression",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove: automatic\nbreak_glass: true",
            "p.yaml:3:5",
            "needs 'review'",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove: automatic\n" + GLASS + "\nallow_unmask: true",
            "p.yaml:9:19",
            "never lifts a mask",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove: automatic\n" + GLASS.split("\n")[1],
            "p.yaml:7:13",
            "only with 'break_glass: true'",
        ),
        ("when: 'true'\ndeny: no\nmax_duration: 1h", "p.yaml:6:19", "cannot have 'max_duration'"),
        ("when: 'true'\ndeny: false", "p.yaml:5:11", "omits it"),
        (
            "when: 'true'\nmax_duration: 1h\napprove: automatic\nlimits: {rows: many}",
            "p.yaml:7:20",
            "whole number",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove: automatic\nrecord: {parameters: some}",
            "p.yaml:7:26",
            "full or hash or none",
        ),
        (
            "when: 'true'\nmax_duration: 1h\napprove: automatic\nrecord: {strict: maybe}",
            "p.yaml:7:22",
            "true or false",
        ),
    ],
)
def test_a_wrong_access_rule_is_named_with_its_place(body: str, place: str, says: str) -> None:
    found = problems_of(access(body))
    assert (place, True) in [(p, says in text) for p, text in found]


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("access: []\n", "p.yaml:1:1", "'unclassified: full' or 'unclassified: clear'"),
        ("defaults: {duration: 1h}\n", "p.yaml:1:11", "needs 'unclassified'"),
        ("defaults: {unclassified: full}\nacess: []\n", "p.yaml:2:1", "did you mean access?"),
        (DEFAULTS + "access: {}\n", "p.yaml:2:9", "must be a list, not a mapping"),
        (DEFAULTS + "access: [x]\n", "p.yaml:2:10", "lists mappings, not 'x'"),
        (
            DEFAULTS + "masking:\n  - {name: m, columns: 'true'}\n",
            "p.yaml:3:5",
            "needs 'mask'",
        ),
        (
            DEFAULTS + "masking:\n" + 2 * "  - {name: m, columns: 'true', mask: full}\n",
            "p.yaml:4:5",
            "the first is at p.yaml:3:5",
        ),
        (
            DEFAULTS + "row:\n  - {name: r, relation: 'column.name == \"x\"', filter: a}\n",
            "p.yaml:3:26",
            "masking rules only",
        ),
        (
            DEFAULTS
            + "row:\n  - {name: r, relation: 'true', filter: \"a = '{requester.email}'\"}\n",
            "p.yaml:3:46",
            "braces inside quotes",
        ),
        (
            DEFAULTS + "row:\n  - {name: r, relation: 'true', filter: 'a = {requester.emial}'}\n",
            "p.yaml:3:46",
            "did you mean requester.email?",
        ),
        (
            DEFAULTS + "row:\n  - {name: r, relation: 'true', filter: 'a = {'}\n",
            "p.yaml:3:46",
            "a single '{'",
        ),
        (DEFAULTS + "row:\n  - {name: r, relation: 'true', filter: ' '}\n", "p.yaml:3:41", "empty"),
        (
            DEFAULTS + "profiles:\n  - {name: p, classes: [selct]}\n",
            "p.yaml:3:25",
            "did you mean select?",
        ),
        (
            DEFAULTS + "profiles:\n  - {name: p, classes: [select], relations: [sales]}\n",
            "p.yaml:3:46",
            "schema.relation",
        ),
        (
            DEFAULTS
            + "profiles:\n  - {name: p, classes: [select], native_role: r, unmask: [a.b.c]}\n",
            "p.yaml:3:58",
            "has no 'unmask'",
        ),
        (
            DEFAULTS + "profiles:\n  - {name: p, classes: [select], settings: {'a b': x}}\n",
            "p.yaml:3:45",
            "not the name of a setting",
        ),
    ],
)
def test_other_wrong_sections_are_named_with_their_place(text: str, place: str, says: str) -> None:
    found = problems_of(text)
    assert (place, True) in [(p, says in t) for p, t in found]


def test_a_mask_cut_by_a_comma_says_to_quote_it() -> None:
    found = problems_of(
        DEFAULTS + "masking:\n  - {name: m, columns: 'true', mask: partial(1, 2)}\n"
    )
    assert any("quote it" in text for _, text in found)


def test_null_is_the_null_mask_without_quotes() -> None:
    policy = load_policy({"p": DEFAULTS + "masking:\n  - {name: m, columns: 'true', mask: null}\n"})
    assert policy.masking[0].mask == NullMask()


def test_several_files_follow_on_in_order_of_name() -> None:
    rule = "access:\n  - {{name: {0}, when: 'true', max_duration: 1h, approve: automatic}}\n"
    files = {"b.yaml": rule.format("late"), "a.yaml": DEFAULTS + rule.format("early")}
    policy = load_policy(files)
    assert [r.name for r in policy.access] == ["early", "late"]
    assert policy.source_hash == hash_sources(dict(sorted(files.items())))
    with pytest.raises(Invalid) as raised:
        load_policy({**files, "c.yaml": DEFAULTS + rule.format("early")})
    assert [place for place, _ in raised.value.problems] == ["c.yaml:1:11", "c.yaml:3:5"]


def test_texts_cannot_be_moved_between_files_under_one_hash() -> None:
    assert hash_sources({"a": "xy", "b": ""}) != hash_sources({"a": "x", "b": "y"})


def test_too_much_policy_is_refused_before_it_is_read() -> None:
    with pytest.raises(Invalid, match="at most 100 files"):
        load_policy({f"{i}.yaml": "" for i in range(101)})
    with pytest.raises(Invalid, match="Ki characters"):
        load_policy({f"{i}.yaml": "#" * 200_000 for i in range(6)})


def test_everything_an_access_rule_may_say() -> None:
    policy = load_policy(
        {
            "p": access(
                "description: d\nwhen: 'true'\nmax_duration: 1h30m\napprove:\n"
                "  - {any_of: [requester.manager, 'user:a@b.c', 'external:cab'], count: 2}\n"
                "require: {reason: true, ticket: true}\nallow_unmask: false\n"
                "native_roles: ['app_*']\nsettings: [app.*]\ndirect_credentials: true\n"
                "limits: {statement_timeout: 30s, rows: 1000, bytes: 1000000}\n"
                "record: {parameters: hash, strict: true}"
            )
        }
    )
    rule = policy.access[0]
    assert rule.limits == Limits(timedelta(seconds=30), 1000, 1_000_000)
    assert rule.record == Recording(Parameters.HASH, strict=True)
    assert rule.steps is not None
    assert str(rule.steps[0].spec) == "2 of requester.manager, user:a@b.c, external:cab"
    assert (rule.native_roles, rule.setting_globs) == (("app_*",), ("app.*",))
    assert not rule.may_unmask
    assert rule.require.ticket is not None
    assert rule.require.ticket.matches("x")


def test_a_profile_says_a_scope() -> None:
    policy = load_policy(
        {
            "p": DEFAULTS + "profiles:\n  - name: p\n    classes: [select, explain]\n"
            "    relations: [sales.*]\n    unmask: [sales.orders.note]\n"
            "    row_filters: {sales.orders: total > 10}\n    settings: {app.tenant: '7'}\n"
            "    duration: 30m\n"
        }
    )
    profile = policy.profiles[0]
    assert profile.classes == {StatementClass.SELECT, StatementClass.EXPLAIN}
    assert profile.row_filters == {"sales.orders": "total > 10"}
    assert profile.duration == timedelta(minutes=30)
