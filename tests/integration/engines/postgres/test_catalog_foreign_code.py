"""Which of the customer's functions run with a statement, and which can be deceived."""

from collections.abc import Iterator

import pytest

from daypass.domain.catalog import ForeignCode
from daypass.embedded import Cluster
from tests.integration.engines.postgres.odd_database import OddDatabase, odd_database

READ = {"select", "export"}
INSERT = {"insert", "copy_in"}
WRITE = INSERT | {"update"}
ALL = READ | WRITE | {"delete"}

FUNCTIONS = """
create schema s;
create function s.loose(t text) returns boolean language plpgsql immutable
  as $$ begin return t <> ''; end $$;
create function s.fixed(t text) returns boolean language plpgsql immutable
  set search_path = s, pg_temp as $$ begin return t <> ''; end $$;
create function s.bound(t text) returns boolean language sql immutable
  begin atomic select t <> ''; end;
create function s.bound_to_loose(t text) returns boolean language sql immutable
  begin atomic select s.loose(t); end;
create function s.loose_trigger() returns trigger language plpgsql
  as $$ begin return new; end $$;
create function s.fixed_trigger() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp as $$ begin return new; end $$;
create table s.t (id int primary key, email text);
"""


@pytest.fixture
def database(target_cluster: Cluster) -> Iterator[OddDatabase]:
    with odd_database(target_cluster) as made:
        made.run(FUNCTIONS)
        yield made


async def code(database: OddDatabase, relation: str = "s.t") -> dict[str, ForeignCode]:
    return {each.name: each for each in (await database.relation(relation)).foreign_code}


@pytest.mark.parametrize(
    ("function", "unsafe"),
    [("loose", True), ("fixed", False), ("bound", False), ("bound_to_loose", True)],
)
async def test_a_check_runs_its_function_with_writes(
    database: OddDatabase, function: str, unsafe: bool
) -> None:
    database.run(f"alter table s.t add constraint c check (s.{function}(email))")
    found = (await code(database))["c"]
    assert (found.via, found.function, found.unsafe) == ("check", f"s.{function}(text)", unsafe)
    assert set(found.on) == WRITE


@pytest.mark.parametrize(
    ("path", "unsafe"),
    [
        ("s, pg_temp", False),
        ('s, "pg_temp"', False),
        ("pg_temp", True),
        ("pg_temp, s", True),
        ("s", True),
        ("open, pg_temp", True),
    ],
)
async def test_only_a_path_that_ends_in_pg_temp_is_safe(
    database: OddDatabase, path: str, unsafe: bool
) -> None:
    database.run(
        "create schema open; grant create on schema open to public;"
        f"alter function s.loose(text) set search_path = {path};"
        "alter table s.t add constraint c check (s.loose(email))"
    )
    assert (await code(database))["c"].unsafe is unsafe


@pytest.mark.parametrize(
    ("events", "on"),
    [
        ("before insert", INSERT),
        ("after update of email", {"update"}),
        ("before delete", {"delete"}),
        ("after insert or update or delete", ALL - READ),
    ],
)
async def test_triggers_run_with_their_events(
    database: OddDatabase, events: str, on: set[str]
) -> None:
    database.run(
        f"create trigger g {events} on s.t for each row execute function s.loose_trigger();"
        "create trigger h after truncate on s.t execute function s.fixed_trigger();"
        "create trigger off before insert on s.t for each row execute function s.loose_trigger();"
        "alter table s.t disable trigger off;"
    )
    found = await code(database)
    assert found.keys() == {"g", "h"}
    assert (found["g"].via, found["g"].unsafe, set(found["g"].on)) == ("trigger", True, on)
    assert (found["h"].unsafe, found["h"].on) == (False, ("truncate",))


async def test_a_trigger_s_condition_counts(database: OddDatabase) -> None:
    database.run(
        "create trigger g before insert on s.t for each row when (s.loose(new.email))"
        " execute function s.fixed_trigger()"
    )
    relation = await database.relation("s.t")
    assert {(c.function, c.unsafe) for c in relation.foreign_code} == {
        ("s.fixed_trigger()", False),
        ("s.loose(text)", True),
    }


@pytest.mark.parametrize(
    ("command", "on"),
    [
        ("all", ALL),
        ("select", ALL),
        ("insert", INSERT),
        ("update", {"update"}),
        ("delete", {"delete"}),
    ],
)
async def test_policies_run_by_command_once_they_are_enabled(
    database: OddDatabase, command: str, on: set[str]
) -> None:
    clause = "with check" if command == "insert" else "using"
    database.run(f"create policy p on s.t for {command} {clause} (s.loose(email))")
    assert await code(database) == {}
    database.run("alter table s.t enable row level security")
    found = (await code(database))["p"]
    assert (found.via, found.unsafe, set(found.on)) == ("policy", True, on)
    assert (await database.relation("s.t")).row_security


async def test_defaults_generated_columns_and_indexes(database: OddDatabase) -> None:
    database.run(
        "alter table s.t add column d boolean default s.loose('x');"
        "alter table s.t add column g boolean generated always as (s.loose(email)) stored;"
        "create index by_looks on s.t (s.loose(email));"
        "create index partial on s.t (id) where s.fixed(email);"
    )
    found = await code(database)
    assert {name: (c.via, c.unsafe, set(c.on)) for name, c in found.items()} == {
        "d": ("default", True, INSERT),
        "g": ("default", True, WRITE),
        "by_looks": ("index", True, WRITE),
        "partial": ("index", False, WRITE),
    }


async def test_domains_operators_casts_and_aggregates_are_followed(database: OddDatabase) -> None:
    database.run(
        "create domain s.mail as text constraint looks check (s.loose(value));"
        "create domain s.inner_mail as s.mail;"
        "alter table s.t add column m s.inner_mail;"
        "create function s.same(a text, b int) returns boolean language plpgsql immutable"
        " as $$ begin return true; end $$;"
        "create operator s.=== (leftarg = text, rightarg = int, function = s.same);"
        "alter table s.t add constraint by_operator check (email operator(s.===) id);"
        "create function s.step(a boolean, b text) returns boolean language plpgsql"
        " as $$ begin return true; end $$;"
        "create aggregate s.agg(text) (sfunc = s.step, stype = boolean);"
        "create view s.v as select s.agg(email) as a from s.t;"
    )
    found = await code(database)
    assert (found["looks"].via, found["looks"].function) == ("check", "s.loose(text)")
    assert found["by_operator"].function == "s.same(text,integer)"
    assert found["by_operator"].unsafe
    relation = await database.relation("s.v")
    by_function = {c.function: c for c in relation.foreign_code}
    assert by_function["s.agg(text)"].unsafe
    assert "select" in by_function["s.agg(text)"].on


async def test_views_bring_their_functions_and_those_of_what_they_show(
    database: OddDatabase,
) -> None:
    database.run(
        "alter table s.t enable row level security;"
        "create policy p on s.t using (s.loose(email));"
        "create view s.calls as select s.bound_to_loose(email) as ok from s.t;"
        "create view s.over as select ok from s.calls;"
        "create materialized view s.copy as select s.loose(email) as ok from s.t;"
        "create view s.plain as select relname from pg_class;"
    )
    calls = await code(database, "s.calls")
    assert calls.keys() == {"_RETURN", "p on s.t"}
    assert calls["_RETURN"].unsafe
    assert set(calls["_RETURN"].on) >= READ
    over = await code(database, "s.over")
    assert over.keys() == {"_RETURN on s.calls", "p on s.t"}
    assert "select" in over["p on s.t"].on
    # A copy runs nothing when it is read.
    assert await code(database, "s.copy") == {}
    assert await code(database, "s.plain") == {}


async def test_partitions_children_and_cascades_bring_theirs(database: OddDatabase) -> None:
    database.run(
        "create table s.p (id int, email text) partition by list (id);"
        "create table s.p1 partition of s.p for values in (1);"
        "alter table s.p1 add constraint only_here check (s.loose(email));"
        "alter table s.p1 alter email set default s.loose('x')::text;"
        "create table s.child () inherits (s.t);"
        "create trigger g after delete on s.child for each row execute function s.loose_trigger();"
        "create table s.line (id int references s.t on delete cascade on update set null);"
        "create trigger l after delete on s.line for each row execute function s.loose_trigger();"
        "create trigger u after update on s.line for each row execute function s.loose_trigger();"
    )
    parent = await code(database, "s.p")
    assert parent.keys() == {"only_here on s.p1"}
    assert set(parent["only_here on s.p1"].on) == WRITE
    found = await code(database)
    assert {name: set(c.on) for name, c in found.items()} == {
        "g on s.child": {"delete"},
        "l on s.line": {"delete"},
        "u on s.line": {"update"},
    }


async def test_rules_bring_what_their_actions_run(database: OddDatabase) -> None:
    database.run(
        "create table s.log (email text);"
        "create trigger g after insert on s.log for each row execute function s.loose_trigger();"
        "create rule also as on delete to s.t do also"
        " insert into s.log select old.email where s.fixed(old.email)"
    )
    found = await code(database)
    assert (found["also"].via, found["also"].on, found["also"].unsafe) == (
        "rule",
        ("delete",),
        False,
    )
    assert found["g on s.log"].on == ("delete",)
    assert found["g on s.log"].unsafe


async def test_what_belongs_to_the_server_is_safe(database: OddDatabase) -> None:
    database.run(
        "alter table s.t add constraint c check (length(lower(email)) > 0);"
        "create table s.other (id int references s.t on delete cascade);"
        "alter table s.t add column v tsvector;"
        "create trigger g before insert on s.t for each row execute function"
        " tsvector_update_trigger(v, 'pg_catalog.simple', email);"
    )
    assert await code(database) == {}
