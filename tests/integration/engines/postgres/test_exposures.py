"""Ways around that a catalog shows: each is found, and gone once its own SQL has mended it."""

from collections.abc import Iterator

import pytest

from daypass.domain.catalog import RelationName
from daypass.domain.exposure import Exposure, Severity
from daypass.embedded import Cluster
from daypass.engines.postgres.exposures import exposures
from tests.integration.engines.postgres.odd_database import OddDatabase, odd_database

BASE = """
create schema s; create schema "Open Schema"; grant usage on schema "Open Schema" to public;
create role @reader; create role @ann_smith login; create role @batch login;
create table s.people (id int primary key, email text);
create table "Open Schema"."Odd ""People" (id int primary key, "E-Mail" text);
create table s.harmless (id int);
"""
SENSITIVE = frozenset(
    {
        RelationName("s", "people"),
        RelationName("Open Schema", 'Odd "People'),
        RelationName("s", "v"),
    }
)


@pytest.fixture
def database(target_cluster: Cluster) -> Iterator[OddDatabase]:
    with odd_database(target_cluster) as made:
        made.run(BASE)
        yield made


async def found(database: OddDatabase) -> dict[str, Exposure]:
    catalog = await database.catalog()
    listed = exposures(catalog, SENSITIVE)
    assert len({each.key for each in listed}) == len(listed)
    return {each.key.replace(database.prefix, "@"): each for each in listed}


QUOTED = 'Open Schema.Odd "People'


@pytest.mark.parametrize(
    ("made", "key", "severity", "blocks"),
    [
        (
            'grant select on "Open Schema"."Odd ""People" to public',
            f"public_grant:{QUOTED}",
            Severity.HIGH,
            True,
        ),
        (
            'grant select ("E-Mail") on "Open Schema"."Odd ""People" to public',
            f"public_grant:{QUOTED}",
            Severity.HIGH,
            True,
        ),
        (
            'grant update on "Open Schema"."Odd ""People" to public',
            f"public_grant:{QUOTED}",
            Severity.HIGH,
            True,
        ),
        # Its statistics are everybody's even so.
        ("grant select on s.people to public", "public_grant:s.people", Severity.HIGH, True),
        ("grant insert on s.people to public", "public_grant:s.people", Severity.MEDIUM, False),
        (
            "create table s.child () inherits (s.people); grant select on s.child to public",
            "public_grant:s.child",
            Severity.HIGH,
            True,
        ),
        (
            (
                'alter default privileges for role @owner in schema "Open Schema"'
                " grant select on tables to public"
            ),
            "public_grant:select on new tables of @owner in schema Open Schema",
            Severity.MEDIUM,
            False,
        ),
        (
            "alter default privileges for role @owner grant usage on schemas to public",
            "public_grant:usage on new schemas of @owner",
            Severity.MEDIUM,
            False,
        ),
        (
            'grant create on schema "Open Schema" to public',
            "public_grant:create in schema Open Schema",
            Severity.MEDIUM,
            False,
        ),
        (
            (
                'create function "Open Schema"."Get It"(a text[], b int) returns text language sql'
                " security definer as 'select null::text'"
            ),
            'definer_function:"Open Schema"."Get It"(text[],integer)',
            Severity.HIGH,
            True,
        ),
        (
            "create procedure s.p() language sql security definer as 'select 1'",
            "definer_function:s.p()",
            Severity.MEDIUM,
            False,
        ),
        (
            (
                "create function s.f() returns trigger language plpgsql security definer"
                " as $$ begin return new; end $$"
            ),
            "definer_function:s.f()",
            Severity.LOW,
            False,
        ),
        (
            (
                "create function s.eq(a text, b int) returns boolean language sql security definer"
                " as 'select true'; create operator s.=== (leftarg = text, rightarg = int,"
                " function = s.eq)"
            ),
            "definer_function:s.eq(text,integer)",
            Severity.HIGH,
            True,
        ),
        (
            (
                "create view s.v as select upper(email) as e from s.people;"
                " grant select on s.v to @reader"
            ),
            "leaking_view:s.v",
            Severity.MEDIUM,
            False,
        ),
        (
            (
                "create materialized view s.m as select email from s.people;"
                "grant select on s.m to @reader, public"
            ),
            "leaking_view:s.m",
            Severity.MEDIUM,
            False,
        ),
        (
            (
                "create view s.inner_one as select email from s.people;"
                "create view s.outer_one as select email as e from s.inner_one;"
                "grant select (e) on s.outer_one to @reader"
            ),
            "leaking_view:s.outer_one",
            Severity.LOW,
            False,
        ),
        (
            (
                "create function s.loose() returns trigger language plpgsql"
                " as $$ begin return new; end $$;"
                "create trigger g before update on s.people for each row execute function s.loose()"
            ),
            "foreign_code:s.people",
            Severity.HIGH,
            True,
        ),
        (
            (
                "create function s.loose() returns trigger language plpgsql"
                " as $$ begin return new; end $$;"
                "create trigger g before update on s.harmless"
                " for each row execute function s.loose()"
            ),
            "foreign_code:s.harmless",
            Severity.LOW,
            True,
        ),
        (
            "grant pg_read_all_data to @batch",
            "standing_privilege:pg_read_all_data",
            Severity.HIGH,
            False,
        ),
        ("alter role @ann_smith createrole", "standing_login:@ann_smith", Severity.HIGH, False),
    ],
)
async def test_finds_each_and_its_own_sql_mends_it(
    database: OddDatabase, made: str, key: str, severity: Severity, blocks: bool
) -> None:
    before = await found(database)
    assert key not in before or key.startswith("standing_login")
    database.run(made)
    exposure = (await found(database))[key]
    assert (exposure.severity, exposure.blocks) == (severity, blocks)
    assert exposure.text
    database.run(exposure.mend)
    assert key not in await found(database)


async def test_what_is_harmless_is_not_listed(database: OddDatabase) -> None:
    database.run(
        "grant select on s.harmless to public;"
        "create view s.mine as select email from s.people;"
        "create view s.asks with (security_invoker = true) as select email from s.people;"
        "grant select on s.asks to @reader;"
        "create view s.counts as select count(*) as n from s.people; grant select on s.counts"
        " to @reader;"
        "create function s.closed() returns int language sql security definer as 'select 1';"
        "revoke execute on function s.closed() from public;"
        "create function s.mine() returns int language sql as 'select 1';"
    )
    keys = set(await found(database))
    assert keys == {"standing_login:@ann_smith"}


async def test_a_session_s_temporary_tables_matter_where_code_is_unsafe(
    database: OddDatabase,
) -> None:
    database.run(
        "create function s.loose() returns trigger language plpgsql as $$ begin return new; end $$;"
        "create trigger g before update on s.people for each row execute function s.loose()"
    )
    catalog = await database.catalog()
    key = f"public_grant:temporary in database {catalog.facts['database']}"
    exposure = (await found(database))[key]
    assert exposure.severity is Severity.LOW
    database.run(exposure.mend)
    assert key not in await found(database)


async def test_the_gravest_come_first_and_keys_are_steady(database: OddDatabase) -> None:
    database.run(
        "grant select on s.people to public; create procedure s.p() language sql security definer"
        " as 'select 1'"
    )
    catalog = await database.catalog()
    first, second = exposures(catalog, SENSITIVE), exposures(catalog, SENSITIVE)
    assert first == second
    order = [list(Severity).index(each.severity) for each in first]
    assert order == sorted(order)
