"""What policy hides from one person on one database: masks of columns and filters of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daypass.domain.catalog import ColumnName, Relation, RelationName
from daypass.domain.masks import FullMask, Mask
from daypass.domain.principal import Principal
from daypass.domain.scope import LeftOut, LiteralValue, RowFilter
from daypass.domain.statement_class import StatementClass
from daypass.policy.conditions import Condition, Situation, Truth
from daypass.policy.derivation import (
    NO_TAGS,
    STORED_VIEWS,
    ClassifiedCatalog,
    ClassifiedColumn,
    spread,
)
from daypass.policy.facts import (
    DatabaseFacts,
    class_names,
    column_values,
    database_values,
    relation_values,
    requester_values,
)
from daypass.policy.rules import UNCLASSIFIED_RULE, Policy, RowRule

_LOCAL = ("relation.", "column.")


@dataclass(frozen=True, slots=True)
class ColumnGuard:
    """How a column is shown without any unmask: `rule` decided; `why` says how, for people."""

    mask: Mask | None
    rule: str | None
    why: str


@dataclass(frozen=True, slots=True)
class RowGuard:
    """How the rows of a relation are shown: filtered, or not at all when `left_out` is set."""

    filters: tuple[RowFilter, ...] = ()
    left_out: LeftOut | None = None


class Answers:
    """Answers of masking and row conditions for one person, kept by the values they depend on."""

    def __init__(
        self, principal: Principal, database: DatabaseFacts, classes: frozenset[StatementClass]
    ) -> None:
        self._subject = requester_values(principal) | database_values(database)
        self._subject["request.classes"] = class_names(classes)
        self._kept: dict[int, tuple[tuple[str, ...], dict[tuple[object, ...], Truth]]] = {}

    def ask(self, condition: Condition, local: Mapping[str, object]) -> Truth:
        """Evaluate a condition; `local` are the names of the relation and column."""
        kept = self._kept.get(id(condition))
        if kept is None:
            names = tuple(sorted(n for n in condition.uses if n.startswith(_LOCAL)))
            kept = self._kept[id(condition)] = (names, {})
        names, answers = kept
        key = tuple(_hashable(local[name]) for name in names)
        answer = answers.get(key)
        if answer is None:
            answer = answers[key] = self._situation(condition, local, names).ask(condition)
        return answer

    def why_not(self, condition: Condition, local: Mapping[str, object]) -> str:
        """Say why a condition cannot be evaluated."""
        names = tuple(n for n in condition.uses if n.startswith(_LOCAL))
        return self._situation(condition, local, names).why_not(condition)

    def _situation(
        self, condition: Condition, local: Mapping[str, object], names: tuple[str, ...]
    ) -> Situation:
        values = {n: v for n, v in self._subject.items() if n in condition.uses}
        return Situation(condition.subject, values | {n: local[n] for n in names})


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class Guards:
    """Masks and row filters of one person on one classified catalog; each is found once."""

    def __init__(
        self,
        policy: Policy,
        principal: Principal,
        database: DatabaseFacts,
        classes: frozenset[StatementClass],
        catalog: ClassifiedCatalog,
        accepted: frozenset[str] = frozenset(),
    ) -> None:
        self._policy = policy
        self._principal = principal
        self._catalog = catalog
        self._accepted = accepted
        self._answers = Answers(principal, database, classes)
        self._local_names = frozenset[str]().union(
            *(r.columns.uses | (r.reveal.uses if r.reveal else frozenset()) for r in policy.masking)
        )
        self._kept: dict[tuple[object, ...], ColumnGuard] = {}
        self._own: dict[RelationName, tuple[ColumnGuard, ...]] = {}
        masked: dict[ColumnName, frozenset[tuple[Mask, str]]] = {}
        for name, relation in catalog.relations.items():
            local = relation_values(relation, catalog.relation_tags.get(name, NO_TAGS))
            columns = catalog.columns[name]
            guards = self._own[name] = tuple(self._own_guard(c, local) for c in columns)
            for column, guard in zip(columns, guards, strict=True):
                if column.linked and guard.mask is not None:
                    masked[column.name] = frozenset({(guard.mask, guard.rule or "")})
        self._sources = spread(catalog.column_edges, masked)
        self._row_rules = self._match_row_rules()

    def columns(self, relation: RelationName) -> tuple[ColumnGuard, ...]:
        """Return how the columns of a relation of the catalog are shown, in their order.

        A column computed from others is never clearer than any of them: where they and its own rule
        differ in their masks, it is hidden entirely.
        """
        return tuple(
            self._derived(column, own) if column.name in self._catalog.column_edges else own
            for column, own in zip(
                self._catalog.columns[relation], self._own[relation], strict=True
            )
        )

    def _derived(self, column: ClassifiedColumn, own: ColumnGuard) -> ColumnGuard:
        found = self._sources.get(column.name, frozenset())
        if column.classified:
            # Somebody looked at this column itself, or at all it comes from.
            found = frozenset(pair for pair in found if pair[1] != UNCLASSIFIED_RULE)
        masks = {mask for mask, _ in found} | ({own.mask} if own.mask is not None else set())
        others = sorted({rule for _, rule in found})
        if not masks or (own.mask is not None and masks == {own.mask}):
            return own
        rule = own.rule if own.mask is not None else others[0]
        why = f"computed from what {' and '.join(map(repr, others))} hides"
        return ColumnGuard(masks.pop() if len(masks) == 1 else FullMask(), rule, why)

    def relation_is_guarded(self, relation: Relation) -> bool:
        """Say whether anything of the relation is hidden from the person."""
        rows = self.rows(relation)
        return (
            bool(rows.filters)
            or rows.left_out is not None
            or any(guard.mask is not None for guard in self.columns(relation.name))
        )

    def _own_guard(
        self, column: ClassifiedColumn, relation_local: Mapping[str, object]
    ) -> ColumnGuard:
        """Return the guard by the rules alone, kept by the values that the rules look at."""
        local = column_values(column.column, column.tags)
        local.update(relation_local)
        key = (
            column.classified,
            *(_hashable(v) for n, v in local.items() if n in self._local_names),
        )
        guard = self._kept.get(key)
        if guard is None:
            guard = self._kept[key] = self._first_match(column, local)
        return guard

    def _first_match(self, column: ClassifiedColumn, local: Mapping[str, object]) -> ColumnGuard:
        for rule in self._policy.masking:
            truth = self._answers.ask(rule.columns, local)
            if truth is Truth.NO:
                continue
            if truth is Truth.ERROR:
                why = self._answers.why_not(rule.columns, local)
                return ColumnGuard(
                    FullMask(), rule.name, f"{rule.name!r} cannot be evaluated: {why}"
                )
            if rule.reveal is not None:
                revealed = self._answers.ask(rule.reveal, local)
                if revealed is Truth.YES:
                    return ColumnGuard(None, rule.name, f"{rule.name!r} reveals it")
                if revealed is Truth.ERROR:
                    why = self._answers.why_not(rule.reveal, local)
                    return ColumnGuard(
                        rule.mask, rule.name, f"reveal of {rule.name!r} cannot be evaluated: {why}"
                    )
            return ColumnGuard(rule.mask, rule.name, f"{rule.name!r} is the first that matches")
        if self._policy.defaults.mask_unclassified and not column.classified:
            return ColumnGuard(FullMask(), UNCLASSIFIED_RULE, "nobody has classified it yet")
        return ColumnGuard(None, None, "no masking rule matches")

    def _match_row_rules(self) -> dict[RelationName, frozenset[int]]:
        """Return the row rules (by index) that filter each relation or anything it comes from."""
        found = {
            relation.name: self._matching(
                relation, self._catalog.relation_tags.get(relation.name, NO_TAGS)
            )
            for relation in self._catalog.relations.values()
        }
        return spread(self._catalog.relation_edges, found)

    def _matching(self, relation: Relation, tags: frozenset[str]) -> frozenset[int]:
        """Return the row rules that match; one that cannot be evaluated counts as matching."""
        local = relation_values(relation, tags)
        return frozenset(
            index
            for index, rule in enumerate(self._policy.row)
            if self._answers.ask(rule.relation, local) is not Truth.NO
        )

    def rows(self, relation: Relation) -> RowGuard:
        """Return the filters of a relation of the catalog, or why it is left out.

        A partition and its parent have each other's. A view of the customer's may mix rows that a
        filter hides into any row of its own, so it needs row rules of its own, or acceptance.
        """
        rules = self._row_rules.get(relation.name, frozenset())
        if relation.kind in STORED_VIEWS:
            sources = frozenset[int]().union(
                *(
                    self._row_rules.get(source, frozenset())
                    for source in self._catalog.relation_edges.get(relation.name, ())
                )
            )
            all_tags = self._catalog.relation_tags.get(relation.name, NO_TAGS)
            own_tags = self._catalog.own_relation_tags.get(relation.name, NO_TAGS)
            own = self._matching(relation, own_tags) | (
                self._matching(relation, all_tags) - sources
            )
            accepted = f"derived_from_filtered:{relation.name}" in self._accepted
            if not (sources <= own or own - sources or accepted):
                return RowGuard(left_out=self._unfiltered_view(relation, sources - own))
            rules = own
        return self._filters(relation, rules)

    def _unfiltered_view(self, relation: Relation, rules: frozenset[int]) -> LeftOut:
        names = ", ".join(repr(self._policy.row[i].name) for i in sorted(rules))
        return LeftOut(
            str(relation.name),
            "derived_from_filtered",
            f"its query reads rows that row rule {names} filters, and could show hidden ones",
            "write a row rule that matches the view itself, tag it, or accept it as its owner",
        )

    def _filters(self, relation: Relation, rules: frozenset[int]) -> RowGuard:
        filters = []
        tags = self._catalog.relation_tags.get(relation.name, NO_TAGS)
        local = relation_values(relation, tags)
        for index in sorted(rules):
            rule = self._policy.row[index]
            if self._answers.ask(rule.relation, local) is Truth.ERROR:
                why = self._answers.why_not(rule.relation, local)
                return RowGuard(
                    left_out=LeftOut(
                        str(relation.name),
                        "row_rule_error",
                        f"row rule {rule.name!r} cannot be evaluated: {why}",
                        "have the rule or the missing fact corrected",
                    )
                )
            values = tuple(_value(self._principal, name) for name in rule.values)
            missing = [n for n, v in zip(rule.values, values, strict=True) if v is None]
            if missing:
                return RowGuard(left_out=self._value_missing(relation, rule, missing))
            filters.append(RowFilter(rule.text, values, rule.name))
        return RowGuard(tuple(filters))

    def _value_missing(self, relation: Relation, rule: RowRule, missing: list[str]) -> LeftOut:
        return LeftOut(
            str(relation.name),
            "row_value_missing",
            f"row rule {rule.name!r} needs {', '.join(missing)}, which "
            f"{self._principal.email or self._principal.name} does not have",
            "have the attribute set for the person",
        )


def _value(principal: Principal, name: str) -> LiteralValue:
    match name:
        case "requester.id":
            return int(principal.id)
        case "requester.name":
            return principal.name
        case "requester.email":
            return principal.email
        case "requester.groups":
            return tuple(sorted(principal.groups))
        case _:
            return principal.attributes.get(name.removeprefix("requester.attributes."))
