"""Policy's own test cases, written beside its rules: who asks for what, and what must come out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from daypass.domain.decision import Outcome
from daypass.domain.ids import PrincipalId
from daypass.domain.limits import ExactStatement
from daypass.domain.principal import Principal, PrincipalKind
from daypass.domain.scope import AskedScope, LiteralValue
from daypass.domain.statement_class import StatementClass
from daypass.policy.document import Entries, Items, Node, Place, Problems, Scalar, read_document
from daypass.policy.facts import DatabaseFacts
from daypass.policy.fields import Fields, did_you_mean, kind_of
from daypass.policy.load import SECTIONS

_CASE_KEYS: Final = ("name", "requester", "database", "request", "at", "expect")
_REQUEST_KEYS: Final = (
    "profile", "classes", "relations", "unmask", "row_filters", "settings", "native_role",
    "statements", "duration", "reason", "ticket", "break_glass", "direct_credentials", "starts_at",
)  # fmt: skip
_EXPECT_KEYS: Final = (
    "outcome", "rule", "steps", "reasons", "masked", "clear", "rows", "left_out",
)  # fmt: skip
_CLASSES: Final = tuple(c.value for c in StatementClass)
_OUTCOMES: Final = tuple(o.value for o in Outcome)
_INTEGER = re.compile(r"-?\d{1,18}")
_DEFAULT_AT: Final = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come out; what is None is not looked at.

    `steps` are texts such as `1 of group:dba, owners`, `reasons` codes that must be among them,
    `masked` and `clear` globs of columns, `rows` the row rules by relation, `left_out` relations.
    """

    outcome: Outcome | None = None
    rule: str | None = None
    steps: tuple[str, ...] | None = None
    reasons: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One case: `requester` and `database` are facts written in it, or names to look up."""

    name: str
    place: Place
    requester: Principal | str
    database: DatabaseFacts | str
    expect: Expected
    at: datetime = _DEFAULT_AT
    profile: str = ""
    asked: AskedScope = field(default_factory=lambda: AskedScope(frozenset()))
    duration: timedelta | None = None
    reason: str = ""
    ticket: str = ""
    break_glass: bool = False
    direct_credentials: bool = False
    starts_at: datetime | None = None


def load_cases(files: Mapping[str, str]) -> tuple[Case, ...]:
    """Read the sections `cases` of policy files. Raises `Invalid` with every problem."""
    problems = Problems()
    cases: list[Case] = []
    for name in sorted(files):
        document = read_document(name, files[name], problems)
        if document is None:
            continue
        for node in Fields(document, SECTIONS, "a policy file", problems).mappings("cases"):
            case = _read_case(node, problems)
            if case is not None:
                cases.append(case)
    problems.raise_if_any("the policy's cases have problems")
    return tuple(cases)


def _read_case(node: Entries, problems: Problems) -> Case | None:
    before = len(problems)
    fields = Fields(node, _CASE_KEYS, "a case", problems)
    fields.require("name", "requester", "database", "request", "expect")
    expect = fields.nested("expect", lambda n: _read_expected(n, problems))
    request_node = fields.node("request")
    empty = Entries((), node.source, node.start)
    request = Fields(
        request_node if isinstance(request_node, Entries) else empty,
        _REQUEST_KEYS,
        "a case's request",
        problems,
    )
    if request_node is not None and not isinstance(request_node, Entries):
        problems.add(
            request_node.place, f"'request' must be a mapping, not {kind_of(request_node)}"
        )
    if "classes" not in request and "profile" not in request:
        problems.add(request.place, "a case's request needs 'classes' or 'profile'")
    case = Case(
        fields.name(),
        node.place,
        _read_requester(fields, problems),
        _read_database(fields, problems),
        expect or Expected(),
        _read_time(fields, "at", problems) or _DEFAULT_AT,
        request.text("profile"),
        AskedScope(
            _read_classes(request, problems),
            _values(request, "relations") or ("*.*",),
            _values(request, "unmask"),
            {k.value: v.value for k, v in request.pairs("row_filters")},
            {k.value: v.value for k, v in request.pairs("settings")},
            request.text("native_role") or None,
            tuple(ExactStatement(each) for each in _values(request, "statements")),
        ),
        request.duration("duration"),
        request.text("reason"),
        request.text("ticket"),
        request.boolean("break_glass") or False,
        request.boolean("direct_credentials") or False,
        _read_time(request, "starts_at", problems),
    )
    return case if len(problems) == before else None


def _values(fields: Fields, key: str) -> tuple[str, ...]:
    return tuple(scalar.value for scalar in fields.texts(key))


def _read_classes(fields: Fields, problems: Problems) -> frozenset[StatementClass]:
    found = set()
    for scalar in fields.texts("classes"):
        if scalar.value in _CLASSES:
            found.add(StatementClass(scalar.value))
        else:
            hint = did_you_mean(scalar.value, _CLASSES)
            problems.add(scalar.place, f"no class is called {scalar.value!r}{hint}")
    return frozenset(found)


def _read_time(fields: Fields, key: str, problems: Problems) -> datetime | None:
    scalar = fields.scalar(key, "a time")
    if scalar is None:
        return None
    try:
        moment = datetime.fromisoformat(scalar.value)
    except ValueError:
        problems.add(scalar.place, f"{scalar.value!r} is not a time such as 2026-01-05T10:00:00Z")
        return None
    if moment.tzinfo is None:
        problems.add(scalar.place, "a time needs its zone, such as Z or +01:00")
        return None
    return moment


def _read_requester(fields: Fields, problems: Problems) -> Principal | str:
    node = fields.node("requester")
    if not isinstance(node, Entries):
        return fields.text("requester")
    person = Fields(
        node, ("name", "email", "kind", "groups", "manager", "attributes"), "a requester", problems
    )
    person.require("email")
    email = person.text("email")
    kind = person.choice("kind", tuple(k.value for k in PrincipalKind)) if "kind" in person else ""
    return Principal(
        PrincipalId(0),
        PrincipalKind(kind) if kind else PrincipalKind.PERSON,
        person.text("name", email.partition("@")[0]),
        email,
        groups=frozenset(_values(person, "groups")),
        attributes=_read_attributes(person.node("attributes"), problems),
        manager=person.text("manager") or None,
    )


def _read_attributes(node: Node | None, problems: Problems) -> dict[str, LiteralValue]:
    if node is None:
        return {}
    if not isinstance(node, Entries):
        problems.add(node.place, f"'attributes' must be a mapping, not {kind_of(node)}")
        return {}
    return {key.value: _literal(value, problems) for key, value in node.entries}


def _literal(node: Node, problems: Problems) -> LiteralValue:
    match node:
        case Items():
            return tuple(_literal(item, problems) for item in node.items)
        case Scalar(value=value) if node.plain and value in ("true", "false"):
            return value == "true"
        case Scalar(value=value) if node.plain and value in ("null", "~", ""):
            return None
        case Scalar(value=value) if node.plain and _INTEGER.fullmatch(value):
            return int(value)
        case Scalar(value=value):
            return value
        case _:
            problems.add(node.place, "an attribute is a text, a number, true, false or a list")
            return None


def _read_database(fields: Fields, problems: Problems) -> DatabaseFacts | str:
    node = fields.node("database")
    if not isinstance(node, Entries):
        return fields.text("database")
    inner = Fields(
        node,
        ("name", "instance", "engine", "labels", "owners", "instance_labels"),
        "a database",
        problems,
    )
    inner.require("name", "instance")
    return DatabaseFacts(
        inner.text("name"),
        inner.text("instance"),
        inner.text("engine", "any"),
        {k.value: v.value for k, v in inner.pairs("labels")},
        frozenset(_values(inner, "owners")),
        {k.value: v.value for k, v in inner.pairs("instance_labels")},
    )


def _read_expected(node: Entries, problems: Problems) -> Expected:
    fields = Fields(node, _EXPECT_KEYS, "'expect'", problems)
    if not node.entries:
        problems.add(node.place, "'expect' expects nothing")
    outcome = fields.choice("outcome", _OUTCOMES)
    rows: dict[str, tuple[str, ...]] = {}
    rows_node = fields.node("rows")
    if isinstance(rows_node, Entries):
        inner = Fields(rows_node, tuple(k.value for k, _ in rows_node.entries), "'rows'", problems)
        rows = {k.value: _values(inner, k.value) for k, _ in rows_node.entries}
    elif rows_node is not None:
        problems.add(rows_node.place, "'rows' must be a mapping of relations to lists of row rules")
    return Expected(
        Outcome(outcome) if outcome else None,
        fields.text("rule") or None,
        _values(fields, "steps") if "steps" in fields else None,
        _values(fields, "reasons"),
        _values(fields, "masked"),
        _values(fields, "clear"),
        rows,
        _values(fields, "left_out"),
    )
