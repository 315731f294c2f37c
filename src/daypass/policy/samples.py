"""Requests made up from what a rule's condition mentions, to see which requests reach the rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Final

from daypass.domain.catalog import ColumnName, RelationName
from daypass.domain.ids import PrincipalId
from daypass.domain.limits import ExactStatement
from daypass.domain.principal import Principal, PrincipalKind
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import WRITES, StatementClass
from daypass.policy.condition_text import Mentioned, mentioned
from daypass.policy.facts import DatabaseFacts, RequestFacts
from daypass.policy.rules import AccessRule

_KINDS: Final = frozenset(k.value for k in PrincipalKind)
_CLASSES: Final = frozenset(c.value for c in StatementClass)
_SELECT = StatementClass.SELECT
_EXPLAIN = StatementClass.EXPLAIN
_CLASS_SETS: Final = (
    frozenset({_SELECT}),
    frozenset({_EXPLAIN}),
    frozenset({_EXPLAIN, _SELECT}),
    frozenset({_SELECT}) | WRITES,
    frozenset({StatementClass.DDL}),
    frozenset({StatementClass.EXPORT, _SELECT}),
    frozenset(StatementClass),
)
_SOME_RELATION: Final = RelationName("some_schema", "some_relation")
_SOME_COLUMN: Final = ColumnName(_SOME_RELATION, "some_column")
_VALUE_LIMIT: Final = 4
_SOME_STATEMENT: Final = ExactStatement("select 1")


def requests_for(
    rule: AccessRule, databases: Sequence[DatabaseFacts], now: datetime
) -> Iterator[RequestFacts]:
    """Yield up to some hundreds of requests the rule might be meant for, likeliest first."""
    said = mentioned(rule.when.text)
    for person, database, classes, unmask in product(
        _people(said),
        _databases(said, databases),
        _classes(said),
        ((), (_SOME_COLUMN,)),
    ):
        relations = _relations(said)
        asked = AskedScope(
            classes,
            tuple(str(r) for r in relations),
            tuple(str(c) for c in unmask),
            settings={key: values[0] for key, values in _entries(said, "request.settings")},
        )
        base = RequestFacts(
            person,
            database,
            asked,
            min(timedelta(minutes=5), rule.max_duration or timedelta(minutes=5)),
            relations,
            unmask,
            reason="a reason",
            ticket=_first(said, "request.ticket"),
            profile=_first(said, "request.profile"),
            break_glass=rule.break_glass,
        )
        role = _first(said, "request.native_role")
        if role:
            yield replace(base, asked=replace(asked, native_role=role), relations=(), unmask=())
        yield base
        yield from _particular(rule, base, now)


def moments(rule: AccessRule, now: datetime) -> list[datetime]:
    """Return the moments to ask a rule at: many within a week where it looks at the clock."""
    if "now" not in rule.when.uses:
        return [now]
    midnight = now.replace(hour=0, minute=30, second=0, microsecond=0)
    return [now, *(midnight + timedelta(hours=h) for h in range(0, 7 * 24, 5))]


def _particular(rule: AccessRule, base: RequestFacts, now: datetime) -> Iterator[RequestFacts]:
    """Vary what the condition mentions of the request itself, one thing at a time."""
    text = rule.when.text
    most = max(rule.max_duration, timedelta(minutes=1))
    variants: dict[str, Callable[[RequestFacts], RequestFacts]] = {
        "direct_credentials": lambda f: replace(f, direct_credentials=True),
        "break_glass": lambda f: replace(f, break_glass=True),
        "starts_later": lambda f: replace(f, starts_at=now + timedelta(hours=1)),
        "native_role": lambda f: replace(
            f, asked=replace(f.asked, native_role="some_role"), relations=()
        ),
        "request.statements": lambda f: replace(
            f, asked=replace(f.asked, statements=(_SOME_STATEMENT,))
        ),
    }
    together = base
    for word, change in variants.items():
        if word in text:
            yield change(base)
            together = change(together)
    yield together
    if "duration" in text:
        for each in (base, together):
            yield replace(each, duration=most)
            yield replace(each, duration=timedelta(days=30))


def _first(said: Mentioned, name: str) -> str:
    return (said.values.get(name) or [""])[0]


def _entries(said: Mentioned, name: str) -> list[tuple[str, list[str]]]:
    return list(said.entries.get(name, {}).items())


def _people(said: Mentioned) -> list[Principal]:
    groups = said.values.get("requester.groups", [])
    kinds = [PrincipalKind(k) for k in said.values.get("requester.kind", []) if k in _KINDS]
    plain = Principal(
        PrincipalId(1),
        (kinds or [PrincipalKind.PERSON])[0],
        _first(said, "requester.name") or "Some One",
        _first(said, "requester.email") or "someone@example.com",
        manager=_first(said, "requester.manager") or None,
        attributes={key: values[0] for key, values in _entries(said, "requester.attributes")},
    )
    sets = [frozenset(groups), *(frozenset({g}) for g in groups[:_VALUE_LIMIT]), frozenset()]
    people = [replace(plain, groups=each) for each in dict.fromkeys(sets)]
    people += [replace(p, kind=PrincipalKind.SERVICE_ACCOUNT) for p in people[:1]]
    return list(people)


def _databases(said: Mentioned, known: Sequence[DatabaseFacts]) -> list[DatabaseFacts]:
    labels = said.entries.get("database.labels", {})
    made = DatabaseFacts(
        _first(said, "database.name") or "some_database",
        _first(said, "instance.name") or _first(said, "database.instance") or "some_instance",
        _first(said, "database.engine") or "some_engine",
        {key: values[0] for key, values in labels.items()},
        frozenset(said.values.get("database.owners", [])),
        {key: values[0] for key, values in _entries(said, "instance.labels")},
    )
    found = [made]
    for key, values in labels.items():
        found += [
            replace(made, labels={**made.labels, key: value})
            for value in (*values[1:_VALUE_LIMIT], "other")
        ]
    return [*found, *known[:_VALUE_LIMIT]]


def _classes(said: Mentioned) -> list[frozenset[StatementClass]]:
    known = [StatementClass(c) for c in said.values.get("request.classes", []) if c in _CLASSES]
    sets = [frozenset(known)] if known else []
    sets += [frozenset({c}) for c in known]
    return list(dict.fromkeys((*sets, *_CLASS_SETS)))


def _relations(said: Mentioned) -> tuple[RelationName, ...]:
    values = said.values.get("request.relations", [])
    whole = [
        f"{v.removesuffix('.')}.some_relation" if v.find(".") in (-1, len(v) - 1) else v
        for v in values
    ]
    found = [RelationName.parse(v) for v in whole]
    return tuple(found[:1]) or (_SOME_RELATION,)
