"""Compiling scopes: pure, deterministic, and what is left out says why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from daypass.domain.catalog import (
    Catalog,
    Column,
    ColumnName,
    ForeignCode,
    Function,
    NativeRole,
    Relation,
    RelationKind,
    RelationName,
    Schema,
)
from daypass.domain.masks import EmailMask, FullMask, Mask
from daypass.domain.scope import LeftOut, RowFilter, Scope, ScopedColumn, ScopedRelation
from daypass.domain.statement_class import StatementClass as C
from daypass.engines.postgres import PostgresEngine
from daypass.engines.postgres.names import scope_of_role, scope_of_schema, view_schemas
from daypass.engines.postgres.plan import PostgresPlan

_T = RelationName("s", "t")
_U = RelationName("s", "u")
_READ = frozenset({C.SELECT, C.EXPLAIN})
_HIDDEN = FullMask()
_WRITE = _READ | {C.INSERT, C.UPDATE, C.DELETE}


def _relation(name: RelationName = _T, **more: object) -> Relation:
    columns = (
        Column("id", 1, "bigint", "integer", not_null=True, has_default=True),
        Column("mail", 2, "text", "text"),
    )
    return Relation(name, RelationKind.TABLE, "owner", columns, **more)  # type: ignore[arg-type]


def _catalog(*relations: Relation, **more: object) -> Catalog:
    defaults: dict[str, object] = {
        "schemas": (Schema("s", "owner", public_usage=False, public_create=False),),
        "functions": (),
        "roles": (NativeRole("owner", can_login=False, superuser=False, grantable=True),),
        "facts": {"public_temporary": "true", "public_create": "false"},
    }
    return Catalog("postgres", "18.0", relations=relations, **{**defaults, **more})  # type: ignore[arg-type]


def _scoped(
    name: RelationName = _T,
    classes: frozenset[C] = _READ,
    mask: Mask | None = _HIDDEN,
    filters: tuple[RowFilter, ...] = (),
) -> ScopedRelation:
    columns = (ScopedColumn("id"), ScopedColumn("mail", mask, "rule"))
    return ScopedRelation(name, classes, columns, filters)


def _plan(
    catalog: Catalog, *relations: ScopedRelation, accepted: Iterable[str] = (), **more: object
) -> PostgresPlan:
    classes = frozenset[C]().union(*(each.classes for each in relations))
    scope = Scope(**{"classes": classes, "relations": relations, **more})  # type: ignore[arg-type]
    return PostgresEngine().compile(scope, catalog, "db", frozenset(accepted))


def _codes(plan: PostgresPlan) -> list[tuple[str, str]]:
    return [(each.name, each.code) for each in plan.left_out]


def test_compiling_twice_is_the_same() -> None:
    catalog = _catalog(_relation(), _relation(_U))
    one = _plan(catalog, _scoped(), _scoped(_U))
    assert one == _plan(catalog, _scoped(), _scoped(_U))
    assert one.describe() == _plan(catalog, _scoped(), _scoped(_U)).describe()
    assert (
        PostgresEngine().compile(Scope(_READ, (_scoped(),)), catalog, "other").scope_hash
        != PostgresEngine().compile(Scope(_READ, (_scoped(),)), catalog, "db").scope_hash
    )


@pytest.mark.parametrize(
    "changed",
    [
        replace(_relation(), owner="else"),
        _relation(public=("insert",)),
        replace(
            _relation(),
            columns=(_relation().columns[0], Column("mail", 3, "text", "text")),
        ),
        _relation(foreign_code=(ForeignCode("trigger", "x", "s.x()", False, ("insert",)),)),
        replace(_relation(), kind=RelationKind.PARTITIONED),
    ],
    ids=["owner", "public", "position", "code", "kind"],
)
def test_the_hash_holds_the_facts_it_rests_on(changed: Relation) -> None:
    assert (
        _plan(_catalog(changed), _scoped()).scope_hash
        != _plan(_catalog(_relation()), _scoped()).scope_hash
    )


def test_views_carry_deadline_mask_barrier_and_check() -> None:
    filters = (RowFilter("id < {1}", (5,), "r1"), RowFilter("id > 1 or id = 0", (), "r2"))
    plan = _plan(_catalog(_relation()), _scoped(classes=_WRITE, filters=filters))
    [view] = [each for each in plan.describe() if each.startswith("create view")]
    assert ' with (security_barrier) as select b."id", ' in view
    assert 'as "mail" from "s"."t" as b where (select "daypass"."live"(0::' in view
    assert view.endswith(" and (id < (5)) and (id > 1 or id = 0) with cascaded check option")
    [read] = [
        each
        for each in _plan(_catalog(_relation()), _scoped()).describe()
        if each.startswith("create view")
    ]
    assert "security_barrier" not in read
    assert "check option" not in read


def test_relations_are_left_out_with_reasons() -> None:
    unsafe = ForeignCode("policy", "p", "s.p()", True, ("select", "update"))
    cases: list[tuple[Catalog, ScopedRelation, list[tuple[str, str]]]] = [
        (_catalog(), _scoped(), [("s.t", "gone")]),
        (
            _catalog(replace(_relation(), columns=_relation().columns[:1])),
            _scoped(),
            [("s.t.mail", "gone")],
        ),
        (_catalog(_relation(foreign_code=(unsafe,))), _scoped(), [("s.t", "foreign_code")]),
        (
            _catalog(replace(_relation(), kind=RelationKind.FOREIGN_TABLE)),
            _scoped(),
            [("s.t", "foreign_table")],
        ),
        (
            _catalog(replace(_relation(), kind=RelationKind.MATERIALIZED_VIEW)),
            _scoped(classes=_READ | {C.DELETE}),
            [("s.t: delete", "not_writable")],
        ),
        (
            _catalog(_relation()),
            _scoped(filters=(RowFilter("mail = 'x'"),)),
            [("s.t", "filter_on_masked")],
        ),
        (
            _catalog(
                replace(
                    _relation(),
                    columns=(
                        _relation().columns[0],
                        Column("mail", 2, "text", "text", not_null=True),
                    ),
                )
            ),
            _scoped(classes=_WRITE),
            [("s.t: insert", "masked_required")],
        ),
        (
            _catalog(_relation()),
            _scoped(
                classes=frozenset({C.SELECT, C.TRUNCATE, C.COPY_IN}),
                filters=(RowFilter("id = 1", (), "r"),),
            ),
            [("s.t: copy_in", "row_filter"), ("s.t: truncate", "row_filter")],
        ),
    ]
    for catalog, scoped, expected in cases:
        plan = _plan(catalog, scoped)
        assert _codes(plan) == expected
        assert all(each.reason for each in plan.left_out)


def test_policys_own_reasons_come_first() -> None:
    before = LeftOut("s.x", "unclassified", "why")
    plan = _plan(_catalog(), _scoped(), left_out=(before,))
    assert plan.left_out[0] == before
    assert plan.left_out[1].code == "gone"


def test_unsafe_code_passes_where_sessions_can_create_nothing() -> None:
    unsafe = ForeignCode("trigger", "x", "s.x()", True, ("insert",))
    relation = _relation(foreign_code=(unsafe,))
    assert _codes(_plan(_catalog(relation), _scoped(classes=_WRITE))) == [
        ("s.t: insert", "foreign_code")
    ]
    facts = {"public_temporary": "false", "public_create": "false"}
    assert _codes(_plan(_catalog(relation, facts=facts), _scoped(classes=_WRITE))) == []
    assert _codes(_plan(_catalog(relation, facts={}), _scoped(classes=_WRITE))) != []
    accepted = _plan(_catalog(relation), _scoped(classes=_WRITE), accepted={"foreign_code:s.t"})
    assert _codes(accepted) == []


def test_schemas_open_only_where_nothing_else_shows() -> None:
    public = _relation(_U, public=("select",))
    definer = Function("s", "f", "s.f()", "sql", True, True, False)
    assert _plan(_catalog(_relation()), _scoped()).granted_schemas == ("s",)
    assert _plan(_catalog(_relation(), public), _scoped()).granted_schemas == ()
    assert _plan(_catalog(_relation(), functions=(definer,)), _scoped()).granted_schemas == ()
    assert _plan(
        _catalog(_relation(), functions=(definer,)),
        _scoped(),
        accepted={"definer_function:s.f()"},
    ).granted_schemas == ("s",)
    both = _plan(_catalog(_relation(), public), _scoped(), _scoped(_U, mask=None))
    assert both.granted_schemas == ("s",)
    assert both.blocked == ()


def test_what_everybody_reaches_blocks() -> None:
    opened = (Schema("s", "owner", public_usage=True, public_create=False),)
    definer = Function("s", "f", "s.f()", "sql", True, True, False)
    public = _relation(public=("select",))

    def keys(plan: PostgresPlan) -> list[str]:
        assert all(each.blocks and each.mend for each in plan.blocked)
        return [each.key for each in plan.blocked]

    assert keys(_plan(_catalog(public, schemas=opened), _scoped())) == ["public_grant:s.t"]
    # pg_stats shows it without any USAGE.
    assert keys(_plan(_catalog(public), _scoped())) == ["public_grant:s.t"]
    assert keys(_plan(_catalog(public, schemas=opened), _scoped(mask=None))) == []
    assert keys(_plan(_catalog(public), _scoped(_U, mask=None), guarded_elsewhere=(_T,))) == [
        "public_grant:s.t"
    ]
    child = replace(public, name=_U, parent=_T, kind=RelationKind.PARTITION)
    assert keys(_plan(_catalog(_relation(), child), _scoped())) == ["public_grant:s.u"]
    assert keys(_plan(_catalog(_relation(), schemas=opened, functions=(definer,)), _scoped())) == [
        "definer_function:s.f()"
    ]
    used = {"definers_used_by": '[["s.f()", "cast (a as b)"]]'}
    assert keys(_plan(_catalog(_relation(), functions=(definer,), facts=used), _scoped())) == [
        "definer_function:s.f()"
    ]
    assert (
        keys(
            _plan(
                _catalog(public, schemas=opened, functions=(definer,)),
                _scoped(),
                accepted={"definer_function:s.f()", "public_grant:s.t"},
            )
        )
        == []
    )


def test_ddl_needs_a_role_that_can_be_granted() -> None:
    scoped = _scoped(classes=frozenset({C.SELECT, C.DDL}))
    plan = _plan(_catalog(_relation()), scoped)
    assert (plan.owners, plan.heir) == (("owner",), "owner")
    assert plan.timed_by_gateway == {C.DDL}
    for role in (
        NativeRole("owner", can_login=False, superuser=True, grantable=True),
        NativeRole("owner", can_login=False, superuser=False, grantable=False),
    ):
        plan = _plan(_catalog(_relation(), roles=(role,)), scoped)
        assert plan.owners == ()
        assert plan.timed_by_gateway == frozenset()
        assert _codes(plan) == [("role owner", "role_not_grantable")]


def test_a_native_role_is_timed_by_the_gateway_wholly() -> None:
    plan = _plan(_catalog(), classes=_READ, native_role="owner")
    assert plan.owners == ("owner",)
    assert plan.timed_by_gateway == _READ


def test_call_adds_routines_but_no_definers() -> None:
    functions = (
        Function("s", "p", "s.p()", "sql", False, False, True),
        Function("s", "d", "s.d()", "sql", True, False, True),
        Function("s", "o", "s.o()", "sql", False, True, True),
    )
    plan = _plan(
        _catalog(_relation(), functions=functions),
        _scoped(classes=frozenset({C.SELECT, C.CALL}), mask=EmailMask()),
    )
    assert plan.callable == ("s.p()",)
    assert _codes(plan) == [("s.d()", "definer_function")]


def test_settings_of_daypasss_own_cannot_be_given() -> None:
    settings = (("app.tenant", "1"), ("search_path", "x"), ("bad name", "x"), ("ROLE", "x"))
    plan = _plan(_catalog(_relation()), _scoped(), settings=settings)
    assert plan.settings == (("app.tenant", "1"),)


@pytest.mark.parametrize(
    "setting",
    [
        ("standard_conforming_strings", "off"),
        ("Standard_Conforming_Strings", "off"),
        ("client_encoding", "SJIS"),
        ("backslash_quote", "on"),
        ("local_preload_libraries", "evil"),
        ("session_replication_role", "replica"),
        ("daypass.reason", "x"),
    ],
)
def test_nobody_asks_for_a_setting_that_a_session_may_not_set(setting: tuple[str, str]) -> None:
    plan = _plan(_catalog(_relation()), _scoped(), settings=(setting,))
    assert plan.settings == ()
    assert [each.code for each in plan.left_out] == ["setting_denied"]
    assert {code for _, code in _codes(plan)} == {"setting_denied"}


def test_search_paths_put_views_first_and_temporary_objects_last() -> None:
    schemas = tuple(Schema(n, "owner", n != "s", False) for n in ("s", "public", "a"))
    plan = _plan(
        _catalog(_relation(), _relation(RelationName("public", "x")), schemas=schemas),
        _scoped(),
        _scoped(RelationName("public", "x")),
    )
    h = plan.scope_hash
    assert plan.search_path == (
        f"dp_v_{h}_public",
        f"dp_v_{h}_s",
        "public",
        "a",
        "s",
        "pg_temp",
    )


def test_names_fit_and_are_told_apart() -> None:
    plan = _plan(_catalog(_relation()), _scoped())
    long = [("é" * 31) + end for end in ("a", "b")]
    made = view_schemas(plan.scope_hash, ["s", *long])
    assert made["s"] == f"dp_v_{plan.scope_hash}_s"
    assert len(set(made.values())) == 3
    assert all(len(each.encode()) <= 63 for each in made.values())
    assert all(scope_of_schema(each) == plan.scope_hash for each in made.values())
    assert scope_of_role(plan.role) == plan.scope_hash
    assert scope_of_role("dp_s_x") is None


def test_views_that_read_as_their_reader_are_left_out() -> None:
    """Inside a view of Daypass's they are still checked for the session, which has nothing."""
    facts = {"security_invoker_views": '["s.u"]'}
    invoker = replace(_relation(_U), kind=RelationKind.VIEW)
    above = replace(
        _relation(),
        kind=RelationKind.VIEW,
        columns=(
            _relation().columns[0],
            Column("mail", 2, "text", "text", derived_from=(ColumnName(_U, "mail"),)),
        ),
    )
    plan = _plan(_catalog(above, invoker, facts=facts), _scoped(), _scoped(_U))
    assert _codes(plan) == [("s.t", "invoker_view"), ("s.u", "invoker_view")]
    assert _codes(_plan(_catalog(above, invoker), _scoped(), _scoped(_U))) == []
