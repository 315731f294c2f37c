"""Lineage of views as each major version writes them, against real views."""

from collections.abc import Iterator

import psycopg
import pytest

from daypass.domain.catalog import Catalog, RelationName
from daypass.embedded import Cluster
from daypass.engines.postgres.catalog import read_catalog
from tests.servers import drop_database, make_database

TABLES = """
create schema s;
create type s.address as (street text, city text);
create domain s.mail as text check (value like '%@%');
create table s.people (
  id int primary key, name text, email s.mail, home s.address, doc jsonb, boss int,
  loud text generated always as (upper(email)) stored
);
create table s.jobs (id int primary key, person int, title text, pay numeric);
create table s.gone (a int, b text, c text);
alter table s.gone drop column a;
create table s.part (id int, email text, at date) partition by range (at);
create table s.part_1 partition of s.part for values from ('2020-01-01') to ('2021-01-01');
create table s.base (id int, email text);
create table s.child (extra text) inherits (s.base);
create function s.shout(t text) returns text language sql immutable
  begin atomic select upper(t); end;
"""

EVERYTHING = "people.boss people.doc people.email people.home people.id people.loud people.name"

VIEWS = {
    "plain": (
        "select id, email as e from s.people where name = 'x'",
        {"id": "people.id", "e": "people.email"},
    ),
    "star": ("select * from s.gone", {"b": "gone.b", "c": "gone.c"}),
    "whole": (
        "select p as r, row_to_json(p) as j from s.people p",
        {
            "r": EVERYTHING,
            "j": EVERYTHING,
        },
    ),
    "field": (
        "select (home).street as st, doc #>> '{a,b}' as ab, s.shout(name) as n from s.people",
        {"st": "people.home", "ab": "people.doc", "n": "people.name"},
    ),
    "merged": (
        "select * from s.people full join s.jobs using (id)",
        {
            "id": "jobs.id people.id",
            "name": "people.name",
            "email": "people.email",
            "home": "people.home",
            "doc": "people.doc",
            "boss": "people.boss",
            "loud": "people.loud",
            "person": "jobs.person",
            "title": "jobs.title",
            "pay": "jobs.pay",
        },
    ),
    "joined": (
        (
            "select j.k, j.t from (s.people a join s.jobs b on a.id = b.person)"
            " as j(k, n, e, h, d, bo, lo, i, p, t, m)"
        ),
        {"k": "people.id", "t": "jobs.title"},
    ),
    "selfjoin": (
        "select a.name, b.name as boss from s.people a left join s.people b on b.id = a.boss",
        {"name": "people.name", "boss": "people.name"},
    ),
    "grouped": (
        (
            "select title, count(*) as n, sum(pay) as s, string_agg(p.email, ',' order by p.name)"
            " as m"
            " from s.jobs join s.people p on p.id = person group by grouping sets ((title), ())"
            " having max(pay) > 3"
        ),
        {"title": "jobs.title", "n": "", "s": "jobs.pay", "m": "people.email people.name"},
    ),
    "united": (
        (
            "select id, email from s.people union select id, title from s.jobs"
            " except select 1, 'x' order by 1"
        ),
        {"id": "jobs.id people.id", "email": "jobs.title people.email"},
    ),
    "lateral": (
        (
            "select p.id, x.t, k.key, k.value, g from s.people p,"
            " lateral (select title || p.email as t from s.jobs where person = p.id limit 1) x,"
            " jsonb_each_text(p.doc) k, generate_series(1, 2) g"
        ),
        {
            "id": "people.id",
            "t": "jobs.title people.email",
            "key": "people.doc",
            "value": "people.doc",
            "g": "",
        },
    ),
    "scalar": (
        (
            "select p.id, (select max(pay) from s.jobs j where j.person = p.id) as pay,"
            " array(select title from s.jobs) as ts, exists (select from s.jobs) as e"
            " from s.people p"
        ),
        {"id": "people.id", "pay": "jobs.pay", "ts": "jobs.title", "e": ""},
    ),
    "windowed": (
        (
            "select id, rank() over (order by pay) as r, lag(title) over w as l from s.jobs"
            " window w as (partition by person)"
        ),
        {"id": "jobs.id", "r": "jobs.pay", "l": "jobs.person jobs.title"},
    ),
    "recursive": (
        (
            "with recursive up(id, path) as (select id, name from s.people where boss is null"
            " union all"
            " select p.id, up.path || p.email from s.people p join up on up.id = p.boss)"
            " select * from up"
        ),
        {"id": "people.id", "path": "people.email people.name"},
    ),
    "searched": (
        (
            "with recursive up(id, b) as (select id, boss from s.people union all"
            " select p.id, p.boss from s.people p join up on up.id = p.boss)"
            " search depth first by id set o cycle id set c using cp"
            " select id, c::text as o from up"
        ),
        {"id": "people.boss people.id", "o": "people.boss people.id"},
    ),
    "cte": (
        (
            "with a as materialized (select email as m, id from s.people), b as (select m from a)"
            " select b.m, (select max(id) from a) as i from b"
        ),
        {"m": "people.email", "i": "people.id"},
    ),
    "nested": (
        "select q.m from (select r.m from (select email as m from s.people) r) q",
        {"m": "people.email"},
    ),
    "listed": ("select * from (values (1, 'a')) v(x, y)", {"x": "", "y": ""}),
    "server": ("select relname, oid from pg_catalog.pg_class", {"relname": "", "oid": ""}),
    "sampled": ("select email from s.people tablesample system (50)", {"email": "people.email"}),
    "of_view": ("select e from s.plain", {"e": "plain.e"}),
    "with_xml": (
        "select x.v, p.id from s.people p, xmltable('/r' passing (p.name::xml) columns v text) x",
        {"v": "people.name", "id": "people.id"},
    ),
    "distinct_on": (
        "select distinct on (email) id, coalesce(name, email) as n from s.people order by email",
        {"id": "people.id", "n": "people.email people.name"},
    ),
}


@pytest.fixture
def conninfo(target_cluster: Cluster) -> Iterator[str]:
    conninfo = make_database(target_cluster)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(TABLES)
        for name, (text, _) in VIEWS.items():
            connection.execute(f"create view s.{name} as {text}")
    yield conninfo
    drop_database(target_cluster, conninfo)


async def read(conninfo: str) -> Catalog:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        return await read_catalog(connection)


def derived(catalog: Catalog, name: str) -> dict[str, str]:
    relation = catalog.relation(RelationName("s", name))
    assert relation is not None
    return {
        c.name: " ".join(f"{d.relation.name}.{d.name}" for d in c.derived_from)
        for c in relation.columns
    }


async def test_every_kind_of_view(conninfo: str) -> None:
    catalog = await read(conninfo)
    found = {name: derived(catalog, name) for name in VIEWS}
    assert found == {name: expected for name, (_, expected) in VIEWS.items()}


async def test_lineage_survives_renames_and_dropped_columns(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("alter table s.people rename column email to mail_address")
        connection.execute(
            "alter table s.jobs add column id2 int; alter table s.jobs rename to work"
        )
        connection.execute("alter view s.selfjoin rename column boss to chief")
    catalog = await read(conninfo)
    assert derived(catalog, "plain") == {"id": "people.id", "e": "people.mail_address"}
    assert derived(catalog, "selfjoin") == {"name": "people.name", "chief": "people.name"}
    assert derived(catalog, "merged")["id"] == "people.id work.id"
    assert derived(catalog, "merged")["email"] == "people.mail_address"
    assert derived(catalog, "joined") == {"k": "people.id", "t": "work.title"}


async def test_generated_columns_partitions_and_children(conninfo: str) -> None:
    catalog = await read(conninfo)
    assert derived(catalog, "people")["loud"] == "people.email"
    assert derived(catalog, "people")["email"] == ""
    assert derived(catalog, "part_1") == {"id": "part.id", "email": "part.email", "at": "part.at"}
    assert derived(catalog, "child") == {"id": "base.id", "email": "base.email", "extra": ""}


async def test_a_view_knows_what_it_reads_for_any_purpose(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("create view s.counted as select count(*) as n from s.jobs")
        connection.execute(
            "create materialized view s.having_jobs as select id from s.people p"
            " where exists (select from s.jobs j where j.person = p.id)"
        )
    catalog = await read(conninfo)
    reads = {r.name.name: " ".join(n.name for n in r.reads) for r in catalog.relations}
    assert (reads["counted"], reads["having_jobs"]) == ("jobs", "jobs people")
    assert (reads["of_view"], reads["people"], reads["part_1"]) == ("plain", "", "")
