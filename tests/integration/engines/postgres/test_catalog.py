"""What is read of a database by an admin that is no superuser."""

import json
import time
from collections.abc import Iterator

import psycopg
import pytest

from daypass.domain.catalog import RelationKind, RelationName
from daypass.embedded import Cluster
from daypass.engines.postgres.catalog import read_catalog
from tests.integration.engines.postgres.odd_database import OddDatabase, odd_database

SCHEMA = """
create schema s;
comment on schema s is 'not read';
create type s.mood as enum ('good', 'bad');
create domain s.mail as varchar(80) check (value like '%@%');
create domain s.work_mail as s.mail;
create type s.place as (street text, city text);
create table s.people (
  id bigint generated always as identity primary key,
  "E-Mail" s.work_mail not null,
  mood s.mood default 'good',
  home s.place,
  tags text[],
  born date,
  seen timestamptz(3),
  pay numeric(10, 2),
  ratio real,
  small smallint,
  ok bool,
  doc jsonb,
  raw bytea,
  uid uuid,
  code char(3),
  addr inet,
  gone int,
  shout text generated always as (upper("E-Mail")) stored
);
alter table s.people drop column gone;
comment on table s.people is 'All of them';
comment on column s.people.born is 'as they say';
create view s.v as select id from s.people;
create materialized view s.m as select id from s.people;
create table s.parts (id int, at date, primary key (id, at)) partition by range (at);
create table s.parts_1 partition of s.parts for values from ('2020-01-01') to ('2021-01-01');
create table s.parts_2 partition of s.parts for values from ('2021-01-01') to ('2022-01-01')
  partition by list (id);
create table s.parts_2_1 partition of s.parts_2 default;
create table s.old (id int);
create table s.new (more text) inherits (s.old);
create foreign data wrapper w;
create server far foreign data wrapper w;
create foreign table s.remote (id int) server far;
create schema daypass; create table daypass.own (id int);
create schema dp_v_0123456789abcdef_s; create view dp_v_0123456789abcdef_s.v as select 1 as one;
create temporary table passing (id int);
"""


@pytest.fixture
def database(target_cluster: Cluster) -> Iterator[OddDatabase]:
    with odd_database(target_cluster) as made:
        yield made


async def test_reads_relations_of_every_kind_and_nothing_of_daypass(database: OddDatabase) -> None:
    database.run(SCHEMA)
    catalog = await database.catalog()
    assert {str(r.name): r.kind for r in catalog.relations} == {
        "s.m": RelationKind.MATERIALIZED_VIEW,
        "s.new": RelationKind.TABLE,
        "s.old": RelationKind.TABLE,
        "s.parts": RelationKind.PARTITIONED,
        "s.parts_1": RelationKind.PARTITION,
        "s.parts_2": RelationKind.PARTITION,
        "s.parts_2_1": RelationKind.PARTITION,
        "s.people": RelationKind.TABLE,
        "s.remote": RelationKind.FOREIGN_TABLE,
        "s.v": RelationKind.VIEW,
    }
    parents = {str(r.name): str(r.parent) for r in catalog.relations if r.parent}
    assert parents == {
        "s.new": "s.old",
        "s.parts_1": "s.parts",
        "s.parts_2": "s.parts",
        "s.parts_2_1": "s.parts_2",
    }
    assert [s.name for s in catalog.schemas] == ["public", "s"]
    assert catalog.engine == "postgres"


async def test_reads_columns_with_their_families(database: OddDatabase) -> None:
    database.run(SCHEMA)
    people = await database.relation("s.people")
    assert people.comment == "All of them"
    assert [(c.name, c.type, c.type_family) for c in people.columns] == [
        ("id", "bigint", "integer"),
        ("E-Mail", "s.work_mail", "text"),
        ("mood", "s.mood", "text"),
        ("home", "s.place", "other"),
        ("tags", "text[]", "other"),
        ("born", "date", "date"),
        ("seen", "timestamp(3) with time zone", "timestamp"),
        ("pay", "numeric(10,2)", "decimal"),
        ("ratio", "real", "float"),
        ("small", "smallint", "integer"),
        ("ok", "boolean", "boolean"),
        ("doc", "jsonb", "json"),
        ("raw", "bytea", "bytes"),
        ("uid", "uuid", "uuid"),
        ("code", "character(3)", "text"),
        ("addr", "inet", "other"),
        ("shout", "text", "text"),
    ]
    by_name = {c.name: c for c in people.columns}
    assert by_name["id"].identity
    assert by_name["id"].primary_key
    assert by_name["E-Mail"].not_null
    assert by_name["mood"].has_default
    assert by_name["born"].comment == "as they say"
    assert by_name["shout"].generated
    assert not by_name["shout"].has_default
    assert [c.position for c in people.columns] == [*range(1, 17), 18]


async def test_reads_what_public_and_others_may(database: OddDatabase) -> None:
    database.run(
        SCHEMA + "create role @reader; create role @other;"
        "grant select, insert on s.old to public;"
        "grant select (id, mood), update (mood) on s.people to public;"
        "grant select on s.v to @reader; grant select (id) on s.m to @other;"
        "grant update on s.new to @other;"
        "create schema open; grant usage on schema open to public;"
        "create schema wide; grant usage, create on schema wide to public;"
    )
    catalog = await database.catalog()
    by_name = {r.name.name: r for r in catalog.relations}
    assert by_name["old"].public == ("insert", "select")
    assert by_name["people"].public == ("select", "update")
    assert by_name["new"].public == ()
    assert by_name["v"].readers == (database.role("reader"),)
    assert by_name["m"].readers == (database.role("other"),)
    assert by_name["new"].readers == ()
    schemas = {s.name: (s.public_usage, s.public_create) for s in catalog.schemas}
    assert schemas["s"] == (False, False)
    assert schemas["open"] == (True, False)
    assert schemas["wide"] == (True, True)


async def test_reads_functions(database: OddDatabase) -> None:
    database.run(
        "create schema f;"
        "create function f.definer(a int, b text) returns int language sql security definer"
        " as 'select 1';"
        "create function f.closed() returns int language sql stable as 'select 1';"
        "revoke execute on function f.closed() from public;"
        'create procedure f."Do It"() language plpgsql as $$ begin end $$;'
        "create function f.fires() returns trigger language plpgsql security definer"
        " as $$ begin return new; end $$;"
        "create operator f.=== (leftarg = int, rightarg = text, function = f.definer);"
        "create aggregate f.agg(text) (sfunc = f.definer, stype = int, initcond = '0');"
    )
    catalog = await database.catalog()
    functions = {f.signature: f for f in catalog.functions}
    assert functions.keys() == {
        "f.definer(integer,text)",
        "f.closed()",
        'f."Do It"()',
        "f.fires()",
        "f.agg(text)",
    }
    definer = functions["f.definer(integer,text)"]
    assert (definer.security_definer, definer.public_execute, definer.volatile) == (True,) * 3
    closed = functions["f.closed()"]
    assert (closed.security_definer, closed.public_execute, closed.volatile) == (False,) * 3
    assert json.loads(catalog.facts["definers_used_by"]) == [
        ["f.definer(integer,text)", "aggregate f.agg(text)"],
        ["f.definer(integer,text)", "operator f.===(integer,text)"],
    ]
    assert json.loads(catalog.facts["trigger_definers"]) == ["f.fires()"]


async def test_reads_roles(database: OddDatabase) -> None:
    database.run(
        "create role @person login valid until '2030-01-02 03:04:05+00'; create role @team;"
        "create role @super superuser; grant @team to @person; grant @team to @admin"
        " with admin option; grant pg_monitor to @person;"
        "create role dp_s_00000000000000aa; create role dp_g_7_1; grant @team to dp_g_7_1;"
        "create role dp_customers_own;"
    )
    try:
        catalog = await database.catalog()
    finally:
        database.run(
            "drop role dp_s_00000000000000aa; drop role dp_g_7_1; drop role dp_customers_own"
        )
    roles = {r.name: r for r in catalog.roles}
    assert not {name for name in roles if name.startswith("dp_")} - {"dp_customers_own"}
    assert "dp_customers_own" in roles
    team = roles[database.role("team")]
    assert team.members == (database.role("admin"), database.role("person"))
    assert team.grantable
    person = roles[database.role("person")]
    assert person.can_login
    assert person.valid_until == "2030-01-02T03:04:05Z"
    assert person.has_password is None
    assert database.role("person") in roles["pg_monitor"].members
    assert "pg_read_server_files" not in roles
    assert roles[database.role("super")].superuser
    assert not roles[database.role("super")].grantable
    assert not roles[database.role("admin")].grantable
    # Until 15 a role that may make roles grants every one of them.
    async with database.signed_in("admin") as connection:
        assert person.grantable == (connection.info.server_version < 160000)


async def test_a_superuser_sees_who_has_a_password(database: OddDatabase) -> None:
    database.run("create role @without login; create role @with login password 'x'")
    async with await psycopg.AsyncConnection.connect(database.conninfo) as connection:
        roles = {r.name: r for r in (await read_catalog(connection)).roles}
    assert roles[database.role("with")].has_password is True
    assert roles[database.role("without")].has_password is False


async def test_knows_facts_of_the_database(database: OddDatabase) -> None:
    database.run(
        "create schema s; alter default privileges for role @owner in schema s"
        " grant select on tables to public;"
        "create view s.v with (security_invoker = true) as select 1 as one;"
        "create view s.w with (security_invoker = false) as select 1 as one;"
    )
    facts = (await database.catalog()).facts
    assert facts["public_temporary"] == "true"
    assert facts["public_create"] == "false"
    assert facts["admin"] == database.role("admin")
    assert "plpgsql" in json.loads(facts["extensions"])
    assert json.loads(facts["security_invoker_views"]) == ["s.v"]
    assert json.loads(facts["default_public"]) == [
        {"role": database.role("owner"), "schema": "s", "objects": "r", "privilege": "select"}
    ]
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(f"revoke temporary on database {connection.info.dbname} from public")
    assert (await database.catalog()).facts["public_temporary"] == "false"


async def test_works_on_a_connection_without_autocommit_and_leaves_it_idle(
    database: OddDatabase,
) -> None:
    database.run(SCHEMA)
    async with await psycopg.AsyncConnection.connect(database.conninfo) as connection:
        first = await read_catalog(connection)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        database.run("create table s.later (id int)")
        second = await read_catalog(connection)
        await connection.execute("create table s.still_writes (id int)")
    assert len(second.relations) == len(first.relations) + 1
    assert second.relation(RelationName("s", "later")) is not None


@pytest.mark.parametrize("relations", [2000])
async def test_reads_many_relations_in_about_a_second(
    database: OddDatabase, relations: int
) -> None:
    made = [f"create table many.t{n} (id int, email text, name text)" for n in range(relations)]
    made += [
        f"create view many.v{n} as select email || name as e from many.t{n}"
        for n in range(0, relations, 4)
    ]
    database.run("create schema many")
    # In portions: a transaction's locks have room for so many only.
    for at in range(0, len(made), 500):
        database.run(";".join(made[at : at + 500]))
    started = time.perf_counter()
    catalog = await database.catalog()
    # Ten times what a quiet machine takes: only a query for each relation would be slower.
    assert time.perf_counter() - started < 10
    assert len(catalog.relations) == relations + relations // 4
    view = catalog.relation(RelationName("many", "v4"))
    assert view is not None
    assert [str(c) for c in view.columns[0].derived_from] == ["many.t4.email", "many.t4.name"]
