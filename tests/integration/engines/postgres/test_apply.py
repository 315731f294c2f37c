"""Applying scopes: what is made, that it holds, that nothing is left when it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from daypass.domain.catalog import RelationName
from daypass.domain.errors import Conflict, Invalid
from daypass.domain.ids import ScopeHash
from daypass.domain.masks import EmailMask, FullMask, NullMask, RegexMask
from daypass.domain.scope import RowFilter, ScopedColumn, ScopedRelation
from daypass.domain.statement_class import StatementClass
from daypass.engines.postgres.target import PostgresTarget
from tests.integration.engines.postgres.conftest import (
    ADMIN,
    CUSTOMERS,
    INSTALLATION,
    NOTES,
    OWNER,
    READS,
    WRITES,
    Shop,
    customers,
    own_region,
    scoped,
)

C = StatementClass
ALL_NOTES = "id customer body"


_CATALOG = """
select oid, rolname from pg_roles order by 1;
select roleid, member, grantor from pg_auth_members order by 1, 2, 3;
select nspname, nspowner from pg_namespace where nspname !~ '^pg_' order by 1;
select relnamespace, relname from pg_class
  where oid >= 16384 and relnamespace <> 'pg_toast'::regnamespace order by 1, 2;
select classid, objid, refobjid, deptype from pg_shdepend order by 1, 2, 3, 4;
select a.grantee::regrole, c.relname, a.privilege_type from pg_class c, aclexplode(c.relacl) a
  where c.relname in ('customers', 'notes') and a.grantee <> c.relowner order by 1, 2, 3
"""


def _everything(shop: Shop) -> list[list[tuple[object, ...]]]:
    """Return every row of the catalog that Daypass could have changed."""
    return [shop.superuser(each) for each in _CATALOG.split(";")]


async def test_a_scope_is_made_once_and_removed_wholly(shop: Shop) -> None:
    first = await shop.plan(customers(WRITES, email=FullMask()), scoped(NOTES, ALL_NOTES))
    # Once, for what stays: the views' owner and the schema of Daypass's own.
    await shop.target.apply(first)
    await shop.target.remove_scope(shop.database, first.scope_hash)
    before = _everything(shop)
    await shop.target.apply(first)
    made = shop.steps.count("create view")
    assert made == 4
    await shop.target.apply(first)
    assert shop.steps.count("create view") == made
    assert (await shop.target.verify(first)).problems == ()
    inventory = await shop.target.inventory()
    assert inventory.scopes == {(shop.database, first.scope_hash)}
    for _ in range(2):
        await shop.target.remove_scope(shop.database, first.scope_hash)
    assert (await shop.target.inventory()).scopes == frozenset()
    assert _everything(shop) == before


async def test_equal_scopes_share_a_hash_and_others_do_not(shop: Shop) -> None:
    plan = await shop.plan(customers(email=FullMask()))
    again = await shop.plan(customers(email=FullMask()))
    assert again.scope_hash == plan.scope_hash
    assert len(plan.scope_hash) == 16
    others = [
        await shop.plan(customers(email=NullMask())),
        await shop.plan(customers(WRITES, email=FullMask())),
        await shop.plan(customers(email=FullMask(), filters=own_region())),
        await shop.plan(customers(email=FullMask(), filters=own_region("US"))),
        await shop.plan(customers(email=FullMask()), settings=(("app.tenant", "1"),)),
    ]
    shop.owner("alter table sales.customers alter email type varchar(70)")
    others.append(await shop.plan(customers(email=FullMask())))
    assert len({plan.scope_hash, *(each.scope_hash for each in others)}) == 7


async def test_sessions_read_and_write_through_views_alone(shop: Shop) -> None:
    classes = READS | {C.UPDATE, C.DELETE}
    plan = await shop.applied(customers(classes, email=EmailMask(), filters=own_region()))
    async with shop.session(plan) as session:

        async def run(statement: str) -> tuple[str, tuple[tuple[str | None, ...], ...]]:
            result = await session.execute(statement)
            return result.sqlstate, result.rows

        assert await run("select count(*) from customers") == ("", (("50",),))
        assert await run("select email from customers where id = 2") == ("", (("u***@***.com",),))
        assert await run("select * from sales.customers") == ("42501", ())
        assert await run("select * from sales.notes") == ("42501", ())
        assert await run("update customers set name = 'x' where id = 1 returning id") == ("", ())
        assert await run("update customers set name = 'x' where id = 2 returning id, email") == (
            "",
            (("2", "u***@***.com"),),
        )
        # A row cannot be moved out of the filter.
        assert (await run("update customers set region = 'US' where id = 2"))[0] == "44000"
        assert (await run("update customers set email = 'x'"))[0] == "0A000"
        assert (await session.execute("delete from customers where id in (2, 3)")).row_count == 1
    assert shop.owner("select name from sales.customers where id = 1") == [("Name 1",)]


async def test_rows_outside_of_a_filter_cannot_be_made(shop: Shop) -> None:
    classes = READS | {C.INSERT}
    plan = await shop.applied(customers(classes, email=EmailMask(), filters=own_region()))
    async with shop.session(plan) as session:
        result = await session.execute("insert into customers (name, region) values ('n', 'US')")
        assert result.sqlstate == "44000"
        result = await session.execute(
            "insert into customers (name, region) values ('new', 'EU') returning name, email"
        )
        assert (result.sqlstate, result.rows) == ("", (("new", None),))


async def test_classes_are_privileges_on_the_views(shop: Shop) -> None:
    plan = await shop.applied(scoped(NOTES, ALL_NOTES, frozenset({C.SELECT, C.INSERT})))
    async with shop.session(plan) as session:
        assert (await session.execute("select * from notes")).sqlstate == ""
        assert (await session.execute("insert into notes values (50)")).sqlstate == ""
        assert (await session.execute("update notes set body = ''")).sqlstate == "42501"
        assert (await session.execute("delete from notes")).sqlstate == "42501"
        assert (await session.execute("truncate sales.notes")).sqlstate == "42501"


async def test_a_writable_view_keeps_its_deadline_on_insert(shop: Shop) -> None:
    """Without CHECK OPTION an INSERT never looks at the view's condition."""
    plan = await shop.applied(scoped(NOTES, ALL_NOTES, frozenset({C.SELECT, C.INSERT})))
    async with shop.session(plan) as session:
        shop.superuser(f"alter role {session.account} valid until 'epoch'")
        assert (await session.execute("insert into notes values (50)")).sqlstate == "57D01"


async def test_filters_are_behind_a_barrier(shop: Shop) -> None:
    plan = await shop.applied(customers(filters=own_region()))
    async with shop.session(plan) as session:
        # A cheap function of the session's own would run before the filter and see hidden rows.
        made = await session.execute(
            "create function pg_temp.tell(text) returns bool language plpgsql cost 0.0001 as"
            " $$begin raise notice '%', $1; return true; end$$"
        )
        assert made.sqlstate == ""
        result = await session.execute("select count(*) from customers where pg_temp.tell(name)")
        assert len(result.notices) == 50


async def test_the_deadline_costs_nothing_a_row(shop: Shop) -> None:
    plan = await shop.applied(customers(email=FullMask()))
    async with shop.session(plan) as session:
        result = await session.execute("explain (costs off) select * from customers where id = 5")
        text = "\n".join(str(row[0]) for row in result.rows)
        assert "One-Time Filter" in text
        assert "Index Scan using customers_pkey" in text


async def test_a_scope_that_was_changed_by_hand_is_made_again(shop: Shop) -> None:
    plan = await shop.applied(customers(email=FullMask()))
    schema = plan.view_schema("sales")
    shop.superuser(
        f"create or replace view {schema}.customers as select id, name, email, contact, region,"
        " born, salary, profile from sales.customers"
    )
    [problem] = (await shop.target.verify(plan)).problems
    assert problem.code == "not_applied"
    await shop.target.apply(plan)
    assert (await shop.target.verify(plan)).problems == ()
    async with shop.session(plan) as session:
        assert (await session.execute("select distinct email from customers")).rows == (("***",),)
    shop.superuser(f"drop schema {schema} cascade")
    await shop.target.apply(plan)
    assert (await shop.target.verify(plan)).problems == ()


async def test_verify_finds_what_was_opened_since(shop: Shop) -> None:
    plan = await shop.applied(customers(email=FullMask()))
    shop.owner("grant select (email) on sales.customers to public")
    codes = [each.code for each in (await shop.target.verify(plan)).problems]
    assert codes == ["readable_around"]
    shop.owner("revoke select (email) on sales.customers from public")
    shop.superuser("create role strong; grant strong to dp_views")
    shop.superuser(f"grant strong to {plan.role}")
    shop.superuser("grant select on daypass.pads to public")
    shop.owner("create schema extra; grant usage on schema extra to public")
    codes = [each.code for each in (await shop.target.verify(plan)).problems]
    assert codes == ["views_owner_changed", "extra_membership", "pads_readable", "schema_open"]


async def test_verify_finds_a_function_that_was_changed(shop: Shop) -> None:
    plan = await shop.applied(customers(email=FullMask()))
    shop.superuser(
        "create or replace function daypass.live(scope oid) returns bool language plpgsql"
        " volatile parallel safe as 'begin return true; end'"
    )
    codes = [each.code for each in (await shop.target.verify(plan)).problems]
    assert "live_changed" in codes
    # The next apply mends it.
    await shop.target.apply(plan)
    assert (await shop.target.verify(plan)).problems == ()


async def test_a_catalog_that_moved_on_is_noticed(shop: Shop) -> None:
    plan = await shop.plan(customers(email=FullMask()))
    # The name stays, what is behind it does not.
    shop.owner(
        "alter table sales.customers rename name to old_name;"
        " alter table sales.customers rename email to name;"
        " alter table sales.customers rename old_name to email"
    )
    with pytest.raises(Conflict) as error:
        await shop.target.apply(plan)
    assert error.value.detail_code == "catalog_changed"
    shop.owner("drop table sales.customers")
    with pytest.raises(Conflict) as error:
        await shop.target.apply(plan)
    assert error.value.detail_code == "catalog_changed"
    assert (await shop.target.inventory()).scopes == frozenset()


async def test_bad_patterns_and_filters_are_told(shop: Shop) -> None:
    for pattern in ("(", r"\d*"):
        with pytest.raises(Invalid) as error:
            await shop.applied(customers(email=RegexMask(pattern, "x")))
        assert error.value.detail_code == "invalid_mask"
    with pytest.raises(Invalid) as error:
        await shop.applied(customers(filters=(RowFilter("region = {1}", ("Mars",), "rule"),)))
    assert error.value.detail_code == "invalid_filter"


async def test_another_installation_is_refused(
    shop: Shop, make_target: Callable[..., PostgresTarget]
) -> None:
    plan = await shop.applied(customers())
    other = make_target(installation="other")
    with pytest.raises(Conflict) as error:
        await other.apply(plan)
    assert error.value.detail_code == "other_installation"
    assert INSTALLATION in error.value.message
    with pytest.raises(Conflict):
        await other.remove_scope(shop.database, plan.scope_hash)
    inventory = await other.inventory()
    assert inventory.scopes == frozenset()
    assert f"role {plan.role}" in inventory.strangers


async def test_a_squatted_name_is_refused(shop: Shop) -> None:
    shop.superuser("create role dp_views login")
    with pytest.raises(Conflict) as error:
        await shop.applied(customers())
    assert error.value.detail_code == "foreign_object"


async def test_many_at_once_make_one(
    shop: Shop, make_target: Callable[..., PostgresTarget]
) -> None:
    plans = [await shop.plan(customers(filters=own_region(region))) for region in ("EU", "US")]
    targets = [make_target() for _ in range(3)]
    await asyncio.gather(*(t.apply(p) for t in targets for p in plans for _ in range(2)))
    assert (await shop.target.inventory()).scopes == {
        (shop.database, each.scope_hash) for each in plans
    }
    await asyncio.gather(
        *(t.remove_scope(shop.database, plans[0].scope_hash) for t in targets),
        *(t.apply(plans[1]) for t in targets),
    )
    assert (await shop.target.verify(plans[1])).problems == ()
    async with shop.session(plans[1]) as session:
        assert (await session.execute("select count(*) from customers")).rows == (("50",),)


async def test_sessions_lose_their_access_with_the_scope(shop: Shop) -> None:
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        await shop.target.remove_scope(shop.database, plan.scope_hash)
        assert (await session.execute("select * from customers")).sqlstate in ("42P01", "57D01")


async def test_native_row_security_is_kept(shop: Shop) -> None:
    shop.owner(
        "alter table sales.notes enable row level security;"
        " create policy own on sales.notes"
        "  using (customer = current_setting('app.customer', true)::bigint)"
    )
    plan = await shop.applied(scoped(NOTES, ALL_NOTES, WRITES), settings=(("app.customer", "3"),))
    async with shop.session(plan) as session:
        assert (await session.execute("select id from notes")).rows == (("3",),)
        assert (await session.execute("insert into notes values (77, 4)")).sqlstate == "42501"


async def test_statistics_of_masked_columns_are_out_of_reach(shop: Shop) -> None:
    shop.superuser("analyze")
    plan = await shop.applied(customers(email=FullMask()))
    async with shop.session(plan) as session:
        assert (
            await session.execute("select * from pg_stats where schemaname = 'sales'")
        ).rows == ()


async def test_public_grants_block_even_without_usage(shop: Shop) -> None:
    """Statistics show common values to whoever has SELECT, with or without USAGE."""
    shop.superuser("analyze")
    shop.owner("grant select on sales.customers to public")
    plan = await shop.plan(customers(region=FullMask()))
    assert [each.key for each in plan.blocked] == [f"public_grant:{CUSTOMERS}"]
    shop.superuser("create role anybody")
    seen = shop.superuser(
        "set role anybody; select most_common_vals from pg_stats"
        " where tablename = 'customers' and attname = 'region'"
    )
    assert "EU" in str(seen)
    accepted = await shop.applied(
        customers(region=FullMask()), accepted=frozenset({f"public_grant:{CUSTOMERS}"})
    )
    assert accepted.blocked == ()
    assert (await shop.target.verify(accepted)).problems == ()


async def test_schemas_open_only_where_nothing_else_shows(shop: Shop) -> None:
    assert (await shop.plan(customers())).granted_schemas == ("sales",)
    shop.owner("grant select on sales.notes to public")
    assert (await shop.plan(customers())).granted_schemas == ()
    both = await shop.plan(customers(), scoped(NOTES, ALL_NOTES))
    assert both.granted_schemas == ("sales",)
    guarded = await shop.plan(customers(), scoped(NOTES, ALL_NOTES, body=FullMask()))
    assert guarded.granted_schemas == ()
    shop.owner(
        "revoke select on sales.notes from public;"
        " create function sales.all_mails() returns setof varchar language sql security definer"
        " as 'select email from sales.customers'"
    )
    plan = await shop.applied(customers(email=FullMask()))
    assert plan.granted_schemas == ()
    assert plan.blocked == ()
    async with shop.session(plan) as session:
        assert (await session.execute("select sales.all_mails()")).sqlstate == "42501"
    shop.owner("grant usage on schema sales to public")
    plan = await shop.plan(customers(email=FullMask()))
    assert [each.key for each in plan.blocked] == ["definer_function:sales.all_mails()"]


async def test_gateway_timed_classes_get_base_privileges(shop: Shop) -> None:
    shop.owner(
        "create procedure sales.tidy() language sql as 'select 1';"
        " revoke execute on procedure sales.tidy() from public"
    )
    classes = frozenset({C.SELECT, C.TRUNCATE, C.COPY_IN, C.CALL})
    plan = await shop.applied(scoped(NOTES, ALL_NOTES, classes))
    assert plan.left_out == ()
    assert plan.timed_by_gateway == {C.TRUNCATE, C.COPY_IN, C.CALL}
    async with shop.session(plan) as session:
        assert (await session.execute("call sales.tidy()")).sqlstate == ""
        assert (await session.execute("insert into sales.notes (id) values (90)")).sqlstate == ""
        assert (await session.execute("truncate sales.notes")).sqlstate == ""
        assert (await session.execute("select * from sales.notes")).sqlstate == "42501"
    filtered = await shop.plan(customers(classes, filters=own_region()))
    assert {each.code for each in filtered.left_out} == {"row_filter"}


async def test_ddl_is_the_owners_and_stays_the_owners(shop: Shop) -> None:
    classes = frozenset({C.SELECT, C.DDL})
    if shop.superuser("select current_setting('server_version_num')::int >= 160000") == [(True,)]:
        # A plain member may not pass it on.
        plan = await shop.plan(scoped(NOTES, ALL_NOTES, classes))
        assert [each.code for each in plan.left_out] == ["role_not_grantable"]
        shop.superuser(f"grant {OWNER} to {ADMIN} with admin option")
    plan = await shop.applied(scoped(NOTES, ALL_NOTES, classes))
    assert plan.owners == (OWNER,)
    assert plan.timed_by_gateway == {C.DDL}
    session = await shop.target.open_session(plan, shop.spec())
    assert (await session.execute("alter table sales.notes add extra int")).sqlstate == ""
    assert (await session.execute("create table sales.made (id int)")).sqlstate == ""
    await session.aclose()
    closure = await shop.target.close([session.account])
    assert closure.missing == ()
    assert shop.superuser("select tableowner from pg_tables where tablename = 'made'") == [(OWNER,)]


async def test_a_native_role_is_what_it_is(shop: Shop) -> None:
    shop.superuser(
        "create role reporting; grant usage on schema sales to reporting;"
        " grant select on sales.notes to reporting"
    )
    shop.superuser(f"grant reporting to {ADMIN} with admin option")
    plan = await shop.applied(classes=READS, native_role="reporting")
    assert plan.timed_by_gateway == READS
    async with shop.session(plan) as session:
        assert (await session.execute("select count(*) from sales.notes")).rows == (("10",),)
    assert [
        each.code for each in (await shop.plan(classes=READS, native_role="postgres")).left_out
    ] == ["role_not_grantable"]


async def test_unsafe_foreign_code_leaves_out(shop: Shop) -> None:
    shop.owner(
        "create table sales.log (id bigint, email text);"
        " create function sales.note() returns trigger language plpgsql as"
        " $$begin insert into log values (new.id, new.email); return new; end$$;"
        " create trigger note before update on sales.customers"
        " for each row execute function sales.note()"
    )
    plan = await shop.plan(customers(WRITES, email=FullMask()))
    assert {(each.name, each.code) for each in plan.left_out} == {
        ("sales.customers: update", "foreign_code")
    }
    relation = plan.relation(CUSTOMERS)
    assert relation is not None
    assert relation.classes == WRITES - {C.UPDATE}
    accepted = await shop.plan(
        customers(WRITES, email=FullMask()), accepted=frozenset({"foreign_code:sales.customers"})
    )
    assert accepted.left_out == ()
    shop.owner("alter function sales.note() set search_path = sales, pg_temp")
    assert (await shop.plan(customers(WRITES, email=FullMask()))).left_out == ()


async def test_odd_names_and_shapes(shop: Shop) -> None:
    long = "s" * 63
    shop.owner(
        f'create schema "{long}"; create table "{long}"."T "" x" ("a b" text, "select" int);'
        f""" insert into "{long}"."T "" x" values ('secret', 1);"""
        ' create schema "Q; drop"; create table "Q; drop".t (x int) partition by list (x);'
        ' create table "Q; drop".t1 partition of "Q; drop".t for values in (1);'
        ' insert into "Q; drop".t values (1)'
    )
    odd = RelationName(long, 'T " x')
    plan = await shop.applied(
        ScopedRelation(odd, READS, (ScopedColumn("a b", FullMask()), ScopedColumn("select"))),
        scoped(RelationName("Q; drop", "t"), "x", WRITES),
    )
    assert plan.left_out == ()
    async with shop.session(plan) as session:
        assert (await session.execute('select * from "T "" x"')).rows == (("***", "1"),)
        assert (await session.execute("select * from t")).rows == (("1",),)
        assert (await session.execute("insert into t values (1)")).sqlstate == ""


async def test_inventory_sees_strangers(shop: Shop) -> None:
    shop.superuser("create role dp_s_0123456789abcdef; create role dp_g_x_1; create schema dp_v_x")
    inventory = await shop.target.inventory()
    assert set(inventory.strangers) == {
        "role dp_g_x_1",
        "role dp_s_0123456789abcdef",
        f"schema dp_v_x in {shop.database}",
    }
    with pytest.raises(Conflict):
        await shop.target.remove_scope(shop.database, ScopeHash("0123456789abcdef"))


async def test_databases_without_public_connect(shop: Shop) -> None:
    shop.superuser(f"revoke connect on database {shop.database} from public")
    shop.superuser(f"grant connect on database {shop.database} to {ADMIN} with grant option")
    plan = await shop.applied(customers())
    async with shop.session(plan) as session:
        assert (await session.execute("select count(*) from customers")).rows == (("100",),)
    await shop.target.remove_scope(shop.database, plan.scope_hash)


async def test_an_admin_without_rights_is_told(shop: Shop) -> None:
    shop.superuser(f"revoke {OWNER} from {ADMIN}")
    with pytest.raises(Conflict) as error:
        await shop.applied(customers())
    assert error.value.detail_code == "admin_rights"


async def test_views_that_read_as_their_reader_are_left_out(shop: Shop) -> None:
    shop.owner(
        "create view sales.mine with (security_invoker) as select id from sales.customers;"
        " create view sales.above as select id from sales.mine"
    )
    names = [RelationName("sales", "mine"), RelationName("sales", "above")]
    plan = await shop.plan(*(scoped(each, "id") for each in names), customers())
    assert [(each.name, each.code) for each in plan.left_out] == [
        ("sales.mine", "invoker_view"),
        ("sales.above", "invoker_view"),
    ]
