"""Conditions are checked when loaded, with the place of what is wrong, and fail closed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daypass.domain.errors import Invalid
from daypass.policy.conditions import Condition, Situation, Subject, Truth, compile_condition
from daypass.policy.document import Problems, Scalar, read_document
from daypass.policy.facts import RequestFacts
from daypass.policy.judge import situation_of
from tests.unit.policy.sample import NOW, ask, database, person


def scalar_of(text: str) -> Scalar:
    document = read_document("p.yaml", text, Problems())
    assert document is not None
    scalar = document.entries[0][1]
    assert isinstance(scalar, Scalar)
    return scalar


def compiled(text: str, subject: Subject = Subject.ACCESS) -> Condition:
    problems = Problems()
    source = "when: |-\n" + "\n".join(f"  {line}" for line in text.split("\n")) + "\n"
    condition = compile_condition(scalar_of(source), subject, problems)
    problems.raise_if_any("wrong")
    assert condition is not None
    return condition


def wrong(yaml_text: str, subject: Subject = Subject.ACCESS) -> list[tuple[str, str]]:
    problems = Problems()
    assert compile_condition(scalar_of(yaml_text), subject, problems) is None
    with pytest.raises(Invalid) as raised:
        problems.raise_if_any("wrong")
    return list(raised.value.problems)


def asked(text: str, facts: RequestFacts) -> Truth:
    return situation_of(facts, NOW).ask(compiled(text))


@pytest.mark.parametrize(
    ("source", "place", "says"),
    [
        ("when: requester.groupz == []\n", "p.yaml:1:7", "did you mean requester.groups?"),
        ("when: 'true && requester.groupz == []'\n", "p.yaml:1:16", "requester.groupz"),
        ("when: >-\n  true\n  && (foo == 1)\n", "p.yaml:3:7", "unknown name 'foo'"),
        ("when: |\n  true &&\n    bar == 1\n", "p.yaml:3:5", "unknown name 'bar'"),
        ('when: "\\"é😀\\" == foo"\n', "p.yaml:1:18", "unknown name 'foo'"),
        ('when: request.classes == "select"\n', "p.yaml:1:23", "list(string), string"),
        ("when: request.duration\n", "p.yaml:1:7", "duration"),
        ("when: '1 + 1'\n", "p.yaml:1:8", "int"),
        ("when: requester.attributes.vip\n", "p.yaml:1:7", "compare it"),
        ("when: requester\n", "p.yaml:1:7", "name one of its attributes: id, name"),
        ("when: 'request.classes == [\"a\"'\n", "p.yaml:1:31", "Syntax error"),
        ("when: '   '\n", "p.yaml:1:7", "empty condition"),
        ("when: 'request.duration < duration(\"2 hours\")'\n", "p.yaml:1:36", '"2 hours"'),
        ("when: 'now > timestamp(\"tomorrow\")'\n", "p.yaml:1:24", '"tomorrow"'),
        ("when: 'request.ticket.matches(\"(\")'\n", "p.yaml:1:31", "missing )"),
        ('when: relation.name == "x"\n', "p.yaml:1:7", "row rules only"),
        ("when: '" + "(" * 200 + "true" + ")" * 200 + "'\n", "p.yaml:1:7", "recursion limit"),
        ("when: '" + "true && " * 600 + "true'\n", "p.yaml:1:7", "longer than"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(source: str, place: str, says: str) -> None:
    found = wrong(source)
    assert found[0][0] == place
    assert says in found[0][1]


def test_every_unknown_name_is_reported_at_once() -> None:
    found = wrong("when: >-\n  foo == 1 &&\n  bar == 2\n")
    assert [place for place, _ in found] == ["p.yaml:2:3", "p.yaml:3:3"]


@pytest.mark.parametrize("name", ["now", "request.unmask", "request.reason", "request.duration"])
def test_a_mask_may_not_depend_on_what_changes_while_a_grant_lives(name: str) -> None:
    found = wrong(f"columns: {name} == {name}\n", Subject.COLUMN)
    assert "must hold while the grant lives" in found[0][1]


def test_a_text_that_looks_like_a_call_is_left_alone() -> None:
    assert asked("request.reason != 'duration(\"x\")'", ask()) is Truth.YES


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ('"a" in requester.groups', Truth.YES),
        ('requester.email == "alice@example.com" && requester.kind == "person"', Truth.YES),
        ("requester.manager == ''", Truth.YES),
        ('requester.attributes.region == "EU" && requester.attributes.level > 2', Truth.YES),
        ('"x" in requester.attributes.teams', Truth.YES),
        ('requester.attributes.region == "US"', Truth.NO),
        ('database.labels.env == "prod" && instance.name == "prod"', Truth.YES),
        ('"shop-team" in database.owners && database.engine == "any"', Truth.YES),
        ('request.classes == ["explain", "select"]', Truth.YES),
        ('request.duration <= duration("1h") && !request.starts_later', Truth.YES),
        ('request.relations == ["sales.orders"] && request.unmask == []', Truth.YES),
        ('now.getHours("Europe/Amsterdam") == 11', Truth.YES),
        ('request.profile == "" && request.native_role == "" && !request.break_glass', Truth.YES),
        ("requester.attributes.nothing == 1", Truth.ERROR),
        ("requester.attributes.region > 3", Truth.ERROR),
        ("requester.attributes.region.foo == 1", Truth.ERROR),
        ('requester.groups[9] == "a"', Truth.ERROR),
        ("1 / 0 == 1", Truth.ERROR),
        ("false && requester.attributes.nothing == 1", Truth.NO),
        ("has(requester.attributes.nothing)", Truth.NO),
        ("!has(database.labels.nothing)", Truth.YES),
    ],
)
def test_conditions_see_the_facts(text: str, truth: Truth) -> None:
    alice = person("alice", "a", attributes={"region": "EU", "level": 3, "teams": ("x", "y")})
    assert asked(text, ask(requester=alice)) is truth


def test_an_endless_condition_is_an_error_not_an_answer() -> None:
    alice = person("alice", *(f"g{i}" for i in range(400)))
    text = "requester.groups.all(a, requester.groups.all(b, a != 'x' && b != 'y'))"
    facts = ask(requester=alice)
    assert asked(text, facts) is Truth.ERROR
    assert "Iteration budget" in situation_of(facts, NOW).why_not(compiled(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('database.labels.env == "x"', "has(database.labels.env) && …"),
        ('database.labels["team-x"] == "x"', '"team-x" in database.labels && …'),
        ('requester.attributes.region == "x"', "requester.attributes.region is missing"),
    ],
)
def test_a_missing_attribute_is_named_with_what_to_write(text: str, says: str) -> None:
    situation = situation_of(ask(on=database({})), NOW)
    assert situation.ask(compiled(text)) is Truth.ERROR
    assert says in situation.why_not(compiled(text))


def test_the_order_classes_were_asked_in_does_not_matter() -> None:
    facts = ask(duration=timedelta(minutes=1))
    assert asked('request.classes == ["explain", "select"]', facts) is Truth.YES


def test_a_condition_knows_at_least_the_names_it_uses() -> None:
    text = '"x" in column . tags || relation.name == "y" // column.type'
    assert compiled(text, Subject.COLUMN).uses >= {"column.tags", "relation.name"}


@pytest.mark.parametrize(
    ("text", "used", "unused"),
    [
        ('column.tags.exists(t, t == "pii.email")', "column.tags", "requester.email"),
        ('"\\"" == column.name', "column.name", "column.type"),
        ("'''it's \"''' == column.name || column.type == \"x\"", "column.type", "column.tags"),
    ],
)
def test_names_in_texts_are_told_apart_only_where_that_is_safe(
    text: str, used: str, unused: str
) -> None:
    uses = compiled(text, Subject.COLUMN).uses
    assert used in uses
    assert unused not in uses


@pytest.mark.parametrize(
    "facts",
    [
        ask("dba\0x"),
        ask(reason="x\0y"),
        ask(requester=person("a", attributes={"team": ("dba\0x",)})),
        ask(requester=person("a", attributes={"team\0": "dba"})),
        ask(on=database({"env": "prod\0"})),
    ],
)
def test_a_text_is_never_taken_for_its_part_before_nul(facts: RequestFacts) -> None:
    """The library ends texts there."""
    assert asked('"dba" in requester.groups', facts) is Truth.ERROR
    assert "NUL" in situation_of(facts, NOW).why_not(compiled("true"))


def test_a_situation_without_a_value_is_an_error() -> None:
    empty = Situation(Subject.ACCESS, {})
    assert empty.ask(compiled('"x" in requester.groups')) is Truth.ERROR
    assert empty.ask(compiled('!("x" in requester.groups)')) is Truth.ERROR
