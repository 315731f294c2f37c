"""Scopes: masks and filters follow data into whatever is computed from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daypass.domain.catalog import (
    Catalog,
    Column,
    ColumnName,
    NativeRole,
    Relation,
    RelationKind,
    RelationName,
    Tags,
)
from daypass.domain.errors import Invalid
from daypass.domain.masks import EmailMask, FullMask, HashMask, Mask
from daypass.domain.principal import Principal
from daypass.domain.scope import AskedScope, LiteralValue, RowFilter, Scope
from daypass.domain.statement_class import StatementClass
from daypass.policy.derivation import classify, spread
from daypass.policy.load import load_policy
from daypass.policy.rules import UNCLASSIFIED_RULE, Policy
from daypass.policy.scope import pin_unmask, resolve, resolve_scope
from tests.unit.policy.sample import READ, SAMPLE, database, person

SELECT = frozenset({StatementClass.SELECT})
POLICY = load_policy({"policy.yaml": SAMPLE})
CLEAR = load_policy({"policy.yaml": SAMPLE.replace("unclassified: full", "unclassified: clear")})
EU = {"region": "EU"}


def col(name: str, *sources: str, family: str = "text") -> Column:
    return Column(name, 1, family, family, derived_from=tuple(column(s) for s in sources))


def column(text: str) -> ColumnName:
    schema, relation, name = text.split(".")
    return ColumnName(RelationName(schema, relation), name)


def rel(
    name: str,
    *columns: Column,
    kind: RelationKind = RelationKind.TABLE,
    parent: str | None = None,
) -> Relation:
    up = RelationName.parse(parent) if parent else None
    return Relation(RelationName.parse(name), kind, "owner", columns, parent=up)


def view(name: str, *columns: Column, stored: bool = False) -> Relation:
    kind = RelationKind.MATERIALIZED_VIEW if stored else RelationKind.VIEW
    return rel(name, *columns, kind=kind)


def catalog(*relations: Relation, roles: tuple[NativeRole, ...] = ()) -> Catalog:
    return Catalog("any", "1", (), relations, (), roles)


def tags(
    columns: Mapping[str, str] | None = None,
    relations: Mapping[str, str] | None = None,
    classified: Iterable[str] = (),
) -> Tags:
    by_column = {column(k): frozenset({v}) for k, v in (columns or {}).items()}
    return Tags(
        {RelationName.parse(k): frozenset({v}) for k, v in (relations or {}).items()},
        by_column,
        frozenset(by_column) | {column(c) for c in classified},
    )


CUSTOMERS = rel("sales.customers", col("id"), col("email"), col("phone"), col("region"))
CONTACTS = view(
    "sales.contacts", col("address", "sales.customers.email"), col("id", "sales.customers.id")
)
MIX = view("sales.mix", col("both", "sales.customers.email", "sales.customers.phone"))
LATER = view("sales.later", col("x", "sales.contacts.address"), stored=True)
WHOLE = catalog(CUSTOMERS, CONTACTS, MIX, LATER)
TAGGED = tags(
    {"sales.customers.email": "pii.email", "sales.customers.phone": "pii.phone"},
    classified=["sales.customers.id", "sales.customers.region"],
)


def scope_of(
    asked: AskedScope | None = None,
    *groups: str,
    policy: Policy = POLICY,
    who: Principal | None = None,
    on: Catalog = WHOLE,
    with_tags: Tags = TAGGED,
    accepted: frozenset[str] = frozenset(),
    missing_ok: bool = False,
) -> Scope:
    return resolve_scope(
        policy,
        asked or AskedScope(READ),
        who or person("alice", *groups, attributes=EU),
        database(),
        on,
        with_tags,
        accepted=accepted,
        missing_ok=missing_ok,
    )


def mask_of(scope: Scope, name: str) -> tuple[Mask | None, str | None]:
    wanted = column(name)
    found = scope.relation(wanted.relation)
    assert found is not None
    return next((c.mask, c.rule) for c in found.columns if c.name == wanted.name)


def test_the_first_rule_that_matches_masks() -> None:
    scope = scope_of()
    assert mask_of(scope, "sales.customers.email") == (EmailMask(), "emails")
    assert mask_of(scope, "sales.customers.phone") == (FullMask(), "the rest of PII")
    assert mask_of(scope, "sales.customers.id") == (None, None)


def test_columns_keep_their_order_and_relations_are_sorted() -> None:
    scope = scope_of()
    assert [c.name for c in scope.relations[1].columns] == ["id", "email", "phone", "region"]
    assert list(scope.relations) == sorted(scope.relations, key=lambda r: r.name)


def test_reveal_lifts_its_own_mask_only() -> None:
    scope = scope_of(None, "fraud")
    assert mask_of(scope, "sales.customers.phone") == (None, "the rest of PII")
    assert mask_of(scope, "sales.customers.email") == (EmailMask(), "emails")


def test_a_view_is_masked_as_what_it_shows() -> None:
    scope = scope_of()
    assert mask_of(scope, "sales.contacts.address") == (EmailMask(), "emails")
    assert mask_of(scope, "sales.later.x") == (EmailMask(), "emails")
    assert mask_of(scope, "sales.contacts.id") == (None, None)


def test_a_column_of_two_kinds_is_hidden_entirely_even_if_one_is_revealed() -> None:
    assert mask_of(scope_of(), "sales.mix.both") == (FullMask(), "emails")
    mixed, _ = mask_of(scope_of(None, "fraud"), "sales.mix.both")
    assert mixed == EmailMask()  # the phone is clear to them; the e-mail is not


def test_a_reveal_of_the_first_tag_does_not_reveal_the_second() -> None:
    policy = load_policy(
        {
            "p": "defaults: {unclassified: clear}\nmasking:\n"
            "  - {name: a, columns: '\"pii.email\" in column.tags', mask: email, reveal: 'true'}\n"
            "  - {name: b, columns: '\"pii.phone\" in column.tags', mask: hash}\n"
        }
    )
    scope = scope_of(policy=policy)
    assert mask_of(scope, "sales.customers.email") == (None, "a")
    assert mask_of(scope, "sales.mix.both") == (HashMask(), "b")


def test_a_mask_by_name_follows_the_data_too() -> None:
    policy = load_policy(
        {
            "p": "defaults: {unclassified: clear}\nmasking:\n"
            "  - {name: n, columns: 'column.name == \"email\"', mask: email}\n"
        }
    )
    scope = scope_of(policy=policy, with_tags=tags())
    assert mask_of(scope, "sales.contacts.address") == (EmailMask(), "n")
    assert mask_of(scope, "sales.later.x") == (EmailMask(), "n")


def test_unclassified_columns_are_hidden_or_clear_as_stated() -> None:
    bare = tags()
    assert mask_of(scope_of(with_tags=bare), "sales.customers.id") == (
        FullMask(),
        UNCLASSIFIED_RULE,
    )
    assert mask_of(scope_of(with_tags=bare, policy=CLEAR), "sales.customers.id") == (None, None)


def test_what_comes_from_classified_columns_alone_is_classified() -> None:
    half = tags(classified=["sales.customers.id"])
    scope = scope_of(with_tags=half)
    assert mask_of(scope, "sales.contacts.id") == (None, None)
    assert mask_of(scope, "sales.contacts.address") == (FullMask(), UNCLASSIFIED_RULE)
    assert mask_of(scope, "sales.mix.both") == (FullMask(), UNCLASSIFIED_RULE)


def test_what_mixes_a_revealed_and_an_unclassified_column_is_hidden() -> None:
    half = tags({"sales.customers.phone": "pii.phone"})
    assert mask_of(scope_of(None, "fraud", with_tags=half), "sales.customers.phone")[0] is None
    assert mask_of(scope_of(None, "fraud", with_tags=half), "sales.mix.both")[0] == FullMask()
    looked_at = tags({"sales.customers.phone": "pii.phone"}, classified=["sales.mix.both"])
    assert mask_of(scope_of(None, "fraud", with_tags=looked_at), "sales.mix.both")[0] is None


def test_circles_of_derivation_end_and_stay_hidden() -> None:
    a = view("s.a", col("x", "s.b.x"))
    b = view("s.b", col("x", "s.a.x"))
    tagged = classify(catalog(a, b), tags({"s.a.x": "pii.email"})).columns
    (of_b,) = tagged[b.name]
    assert (set(of_b.tags), of_b.classified) == ({"pii.email"}, True)
    for (only,) in classify(catalog(a, b), tags()).columns.values():
        assert not only.classified


def test_a_column_derived_from_one_that_is_not_there_is_unclassified() -> None:
    lone = view("s.v", col("x", "gone.t.x"))
    scope = scope_of(on=catalog(lone), with_tags=tags())
    assert mask_of(scope, "s.v.x") == (FullMask(), UNCLASSIFIED_RULE)


PARENT = rel("s.orders", col("id"), col("note"), kind=RelationKind.PARTITIONED)
JANUARY = rel(
    "s.orders_1",
    col("id", "s.orders.id"),
    col("note", "s.orders.note"),
    kind=RelationKind.PARTITION,
    parent="s.orders",
)
FEBRUARY = rel("s.orders_2", col("id"), col("note"), kind=RelationKind.PARTITION, parent="s.orders")
PARTED = catalog(PARENT, JANUARY, FEBRUARY)


@pytest.mark.parametrize("where", ["s.orders.note", "s.orders_1.note", "s.orders_2.note"])
def test_a_tag_anywhere_in_a_partitioned_table_counts_everywhere(where: str) -> None:
    scope = scope_of(policy=CLEAR, on=PARTED, with_tags=tags({where: "pii.email"}))
    for name in ("s.orders.note", "s.orders_1.note", "s.orders_2.note"):
        assert mask_of(scope, name) == (EmailMask(), "emails")


@pytest.mark.parametrize("where", ["s.orders", "s.orders_2"])
def test_a_row_rule_on_a_part_or_the_whole_filters_both(where: str) -> None:
    scope = scope_of(policy=CLEAR, on=PARTED, with_tags=tags(relations={where: "regional"}))
    expected = (RowFilter("region = {1}", ("EU",), "own region"),)
    assert [r.filters for r in scope.relations] == [expected] * 3


def test_a_rule_that_cannot_be_evaluated_hides_the_column() -> None:
    policy = load_policy(
        {
            "p": "defaults: {unclassified: clear}\nmasking:\n"
            "  - {name: broken, columns: 'requester.attributes.level > 3', mask: email}\n"
        }
    )
    assert mask_of(scope_of(policy=policy), "sales.customers.id") == (FullMask(), "broken")


def test_a_reveal_that_cannot_be_evaluated_reveals_nothing() -> None:
    policy = load_policy(
        {
            "p": "defaults: {unclassified: clear}\nmasking:\n"
            "  - {name: m, columns: 'true', mask: email,"
            " reveal: 'requester.attributes.level > 3'}\n"
        }
    )
    assert mask_of(scope_of(policy=policy), "sales.customers.id") == (EmailMask(), "m")


def test_a_granted_unmask_goes_before_everything_and_no_further() -> None:
    asked = AskedScope(READ, unmask=("sales.customers.em*", "sales.customers.id"))
    found = resolve(POLICY, asked, person("a", attributes=EU), database(), classify(WHOLE, TAGGED))
    assert found.unmask == (column("sales.customers.email"),)
    assert mask_of(found.scope, "sales.customers.email") == (None, None)
    assert mask_of(found.scope, "sales.contacts.address") == (EmailMask(), "emails")


def test_a_pinned_unmask_does_not_grow_with_later_tags() -> None:
    asked = AskedScope(READ, unmask=("sales.customers.*",))
    who = person("a", attributes=EU)
    pinned = pin_unmask(asked, resolve(POLICY, asked, who, database(), classify(WHOLE, TAGGED)))
    assert pinned.unmask == ("sales.customers.email", "sales.customers.phone")
    later = tags({**{str(k): next(iter(v)) for k, v in TAGGED.columns.items()},
                  "sales.customers.region": "pii.place"})  # fmt: skip
    again = resolve(POLICY, pinned, who, database(), classify(WHOLE, later), missing_ok=True)
    assert mask_of(again.scope, "sales.customers.region") == (FullMask(), "the rest of PII")
    assert mask_of(again.scope, "sales.customers.email") == (None, None)


REGIONAL = tags(
    classified=[f"sales.customers.{c}" for c in ("id", "email", "phone", "region")],
    relations={"sales.customers": "regional"},
)


def test_values_enter_row_filters_as_values() -> None:
    hostile = "'; drop table x --"
    scope = scope_of(
        AskedScope(READ, ("sales.customers",)),
        who=person("a", attributes={"region": hostile}),
        with_tags=REGIONAL,
    )
    assert scope.relations[0].filters == (RowFilter("region = {1}", (hostile,), "own region"),)


@pytest.mark.parametrize("attributes", [{}, {"region": None}])
def test_a_missing_value_leaves_the_relation_out(attributes: dict[str, LiteralValue]) -> None:
    scope = scope_of(who=person("a", attributes=attributes), with_tags=REGIONAL)
    assert scope.relation(CUSTOMERS.name) is None
    codes = {entry.name: entry.code for entry in scope.left_out}
    assert codes["sales.customers"] == "row_value_missing"
    assert CUSTOMERS.name in scope.guarded_elsewhere


def test_a_row_rule_that_cannot_be_evaluated_leaves_the_relation_out() -> None:
    policy = load_policy(
        {
            "p": "defaults: {unclassified: clear}\nrow:\n"
            "  - {name: r, relation: 'requester.attributes.level > 3', filter: 'true'}\n"
        }
    )
    scope = scope_of(AskedScope(READ, ("sales.customers",)), policy=policy)
    assert scope.relations == ()
    assert [entry.code for entry in scope.left_out] == ["row_rule_error"]


def test_every_kind_of_value_and_every_rule_that_matches() -> None:
    policy = load_policy(
        {
            "p": "defaults: {unclassified: clear}\nrow:\n"
            "  - {name: r1, relation: 'true',\n"
            "     filter: 'a = {requester.id} or b = {requester.email}'}\n"
            "  - {name: r2, relation: 'true', filter: 'c = any({requester.groups})'}\n"
            "  - {name: r3, relation: 'false', filter: 'd'}\n"
        }
    )
    who = person("a", "y", "x", number=7)
    filters = scope_of(AskedScope(READ, ("sales.customers",)), policy=policy, who=who).relations
    assert filters[0].filters == (
        RowFilter("a = {1} or b = {2}", (7, "a@example.com"), "r1"),
        RowFilter("c = any({1})", (("x", "y"),), "r2"),
    )


def test_views_of_filtered_relations_are_left_out_unless_ruled_tagged_or_accepted() -> None:
    scope = scope_of(with_tags=REGIONAL)
    left = {entry.name: entry.code for entry in scope.left_out}
    assert left == dict.fromkeys(
        ["sales.contacts", "sales.mix", "sales.later"], "derived_from_filtered"
    )
    assert CONTACTS.name in scope.guarded_elsewhere
    own = Tags(
        {**REGIONAL.relations, CONTACTS.name: frozenset({"regional"})},
        REGIONAL.columns,
        REGIONAL.classified,
    )
    tagged = scope_of(with_tags=own).relation(CONTACTS.name)
    assert tagged is not None
    assert [f.rule for f in tagged.filters] == ["own region"]
    accepted = scope_of(
        with_tags=REGIONAL, accepted=frozenset({"derived_from_filtered:sales.contacts"})
    ).relation(CONTACTS.name)
    assert accepted is not None
    assert accepted.filters == ()


def test_a_view_that_only_counts_or_asks_for_filtered_rows_is_left_out_too() -> None:
    counting = replace(view("sales.count", col("n")), reads=(CUSTOMERS.name,))
    above = replace(view("sales.above", col("n", "sales.count.n")), reads=(counting.name,))
    scope = scope_of(on=catalog(CUSTOMERS, counting, above), with_tags=REGIONAL)
    assert {entry.name: entry.code for entry in scope.left_out} == {
        "sales.count": "derived_from_filtered",
        "sales.above": "derived_from_filtered",
    }


def test_a_row_rule_written_for_the_view_lets_it_in() -> None:
    policy = load_policy(
        {
            "p": SAMPLE + "  - {name: the view, relation: 'relation.name == \"contacts\"',"
            " filter: 'id < 100'}\n"
        }
    )
    found = scope_of(policy=policy, with_tags=REGIONAL).relation(CONTACTS.name)
    assert found is not None
    assert [f.rule for f in found.filters] == ["the view"]


def test_a_request_may_narrow_and_its_filter_comes_last() -> None:
    asked = AskedScope(
        READ, ("sales.customers",), row_filters={"sales.*": "id < 10", "*.customers": "id > 5"}
    )
    scope = scope_of(asked, with_tags=REGIONAL)
    assert [(f.text, f.rule) for f in scope.relations[0].filters] == [
        ("region = {1}", "own region"),
        ("id > 5", None),
        ("id < 10", None),
    ]


@pytest.mark.parametrize(
    ("asked", "glob", "says"),
    [
        (AskedScope(READ, ("sale.*",)), "sale.*", "no relation matches"),
        (AskedScope(READ, ("sales.custmers",)), "sales.custmers", "did you mean sales.customers"),
        (AskedScope(READ, ("customers",)), "customers", "did you mean sales.customers?"),
        (AskedScope(READ, ("a.b.c",)), "a.b.c", "not of the form schema.name"),
        (AskedScope(READ, ('sales."x',)), 'sales."x', "not of the form"),
        (AskedScope(READ, ("",)), "", "not of the form"),
        (
            AskedScope(READ, unmask=("sales.customers.emial",)),
            "sales.customers.emial",
            "did you mean sales.customers.email",
        ),
        (AskedScope(READ, unmask=("email",)), "email", "not of the form"),
        (
            AskedScope(READ, ("sales.contacts",), unmask=("sales.customers.email",)),
            "sales.customers.email",
            "no column of the relations asked for",
        ),
        (AskedScope(READ, row_filters={"x.y": "true"}), "x.y", "no relation matches the row"),
        (AskedScope(READ, row_filters={"*.*": " "}), "*.*", "not a predicate"),
        (AskedScope(READ, row_filters={"*.*": "id = {1}"}), "*.*", "not a predicate"),
        (AskedScope(READ, native_role="app_raed"), "app_raed", "did you mean app_read?"),
    ],
)
def test_what_matches_nothing_is_named_with_what_may_be_meant(
    asked: AskedScope, glob: str, says: str
) -> None:
    role = NativeRole("app_read", can_login=False, superuser=False)
    with pytest.raises(Invalid) as raised:
        scope_of(asked, on=catalog(CUSTOMERS, CONTACTS, roles=(role,)))
    assert raised.value.problems[0][0] == glob
    assert says in raised.value.problems[0][1]


def test_every_problem_of_a_request_is_named_at_once() -> None:
    asked = AskedScope(READ, ("x.y", "z"), unmask=("a.b.c",), row_filters={"q.r": "true"})
    with pytest.raises(Invalid) as raised:
        scope_of(asked)
    assert [where for where, _ in raised.value.problems] == ["x.y", "z", "a.b.c", "q.r"]


def test_no_class_is_no_scope() -> None:
    with pytest.raises(Invalid, match="no class"):
        scope_of(AskedScope(frozenset()))


def test_a_live_grant_only_loses_what_is_gone() -> None:
    asked = AskedScope(READ, ("sales.customers", "old.table"), unmask=("sales.customers.gone",))
    scope = scope_of(asked, missing_ok=True)
    assert [r.name for r in scope.relations] == [CUSTOMERS.name]
    assert {(e.name, e.code) for e in scope.left_out} == {
        ("old.table", "no_longer_there"),
        ("sales.customers.gone", "no_longer_there"),
    }


def test_a_native_role_has_no_relations() -> None:
    role = NativeRole("app_read", can_login=False, superuser=False)
    scope = scope_of(
        AskedScope(READ, native_role="app_read", settings={"b": "2", "a": "1"}),
        on=catalog(CUSTOMERS, roles=(role,)),
    )
    assert (scope.relations, scope.native_role) == ((), "app_read")
    assert scope.settings == (("a", "1"), ("b", "2"))


def test_kinds_that_can_only_be_read_are_only_read() -> None:
    classes = frozenset({StatementClass.SELECT, StatementClass.UPDATE})
    scope = scope_of(AskedScope(classes))
    assert {str(r.name): r.classes for r in scope.relations} == {
        "sales.contacts": SELECT,
        "sales.customers": classes,
        "sales.later": SELECT,
        "sales.mix": SELECT,
    }
    writing = scope_of(AskedScope(frozenset({StatementClass.INSERT})))
    assert [str(r.name) for r in writing.relations] == ["sales.customers"]
    assert {e.code for e in writing.left_out} == {"read_only"}


def test_classes_of_no_relation_bring_none() -> None:
    scope = scope_of(AskedScope(frozenset({StatementClass.CALL})))
    assert (scope.relations, scope.left_out) == ((), ())


def test_what_is_hidden_elsewhere_is_listed() -> None:
    scope = scope_of(AskedScope(READ, ("sales.mix",)))
    assert [str(n) for n in scope.guarded_elsewhere] == [
        "sales.contacts",
        "sales.customers",
        "sales.later",
    ]


@pytest.mark.parametrize(
    ("edges", "own", "expected"),
    [
        ({"a": ["b"]}, {"b": {1}}, {"a": {1}, "b": {1}}),
        ({"a": ["b"], "b": ["a", "c"]}, {"c": {1}, "a": {2}}, {"a": {1, 2}, "b": {1, 2}, "c": {1}}),
        ({"a": ["a"]}, {"a": {1}}, {"a": {1}}),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"]}, {"d": {1}, "c": {2}},
         {"a": {1, 2}, "b": {1}, "c": {1, 2}, "d": {1}}),
    ],
)  # fmt: skip
def test_values_spread_along_edges(
    edges: dict[str, list[str]], own: dict[str, set[int]], expected: dict[str, set[int]]
) -> None:
    found = spread(edges, {k: frozenset(v) for k, v in own.items()})
    assert {k: set(v) for k, v in found.items()} == expected


def test_a_very_long_chain_of_views_is_no_problem() -> None:
    edges = {i: [i + 1] for i in range(20_000)}
    assert spread(edges, {20_000: frozenset({"t"})})[0] == {"t"}


_NODES = st.integers(0, 7)
_EDGES = st.dictionaries(_NODES, st.lists(_NODES, max_size=4), max_size=8)


@given(_EDGES, st.dictionaries(_NODES, st.frozensets(st.integers(0, 3))))
def test_spreading_is_reachability(
    edges: dict[int, list[int]], own: dict[int, frozenset[int]]
) -> None:
    found = spread(edges, own)
    for node in edges:
        seen, work = {node}, [node]
        while work:
            for to in edges.get(work.pop(), ()):
                if to not in seen:
                    seen.add(to)
                    work.append(to)
        assert found[node] == frozenset().union(*(own.get(n, frozenset()) for n in seen))


_TAG = st.sampled_from(["pii.email", "pii.phone", "other"])
_BASES = [f"sales.customers.{c}" for c in ("id", "email", "phone", "region")]


@given(
    st.dictionaries(st.sampled_from(_BASES), _TAG),
    st.lists(st.lists(st.sampled_from(_BASES), max_size=3), min_size=1, max_size=4),
    st.sampled_from([(), ("fraud",)]),
    st.lists(st.sampled_from(_BASES), max_size=2),
    st.booleans(),
)
def test_nothing_is_clear_that_comes_from_something_hidden(
    tagged: dict[str, str],
    derived: list[list[str]],
    groups: tuple[str, ...],
    unmask: list[str],
    strict: bool,
) -> None:
    views = [
        view(f"v.v{i}", col("x", *sources), col("y", *sources[:1]))
        for i, sources in enumerate(derived)
    ]
    scope = scope_of(
        AskedScope(READ, unmask=tuple(unmask)),
        *groups,
        policy=POLICY if strict else CLEAR,
        on=catalog(CUSTOMERS, *views),
        with_tags=tags(tagged),
    )
    plain = scope_of(
        AskedScope(READ),
        *groups,
        policy=POLICY if strict else CLEAR,
        on=catalog(CUSTOMERS, *views),
        with_tags=tags(tagged),
    )
    for base in _BASES:
        before, after = mask_of(plain, base)[0], mask_of(scope, base)[0]
        assert after == before or base in unmask
    for index, sources in enumerate(derived):
        masks = {mask_of(plain, source)[0] for source in sources}
        shown = mask_of(scope, f"v.v{index}.x")[0]
        if len(masks) > 1 or masks - {None}:
            assert shown is not None
        if len(masks - {None}) > 1:
            assert shown == FullMask()


@given(st.permutations([CUSTOMERS, CONTACTS, MIX, LATER]))
def test_the_order_of_the_catalog_makes_no_difference(relations: list[Relation]) -> None:
    assert scope_of(on=catalog(*relations)) == scope_of()


def test_a_filter_is_shown_with_its_values() -> None:
    found = RowFilter("region = {1} and id in {2} and {3}", ("O'Hara", (1, 2), True))
    assert found.shown == "region = 'O''Hara' and id in (1, 2) and true"
    assert RowFilter("note = {4}", ("x",)).shown == "note = {4}"
