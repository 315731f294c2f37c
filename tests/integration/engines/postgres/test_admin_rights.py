"""What an admin credential lacks or has too many of, and that the SQL shown mends it."""

from collections.abc import Iterator

import psycopg
import pytest

from daypass.domain.exposure import Exposure, Severity
from daypass.embedded import Cluster
from daypass.engines.postgres.admin_facts import AdminFacts
from daypass.engines.postgres.admin_rights import check_admin, judge_admin
from tests.integration.engines.postgres.odd_database import OddDatabase, odd_database


@pytest.fixture
def database(target_cluster: Cluster) -> Iterator[OddDatabase]:
    with odd_database(target_cluster) as made:
        made.run(
            "grant pg_signal_backend to @admin;"
            "create schema s authorization @owner; create role @other;"
            "grant create on schema s to @other"
        )
        made.run("create table s.mine (id int)", role="owner")
        yield made


async def found(database: OddDatabase) -> dict[str, Exposure]:
    async with database.signed_in("admin") as connection:
        exposures = await check_admin(connection, connection.info.dbname)
    named = {each.key.replace(database.prefix, "@"): each for each in exposures}
    # How full the shared server is at the moment is no matter of this test.
    return {key: each for key, each in named.items() if "connection" not in key}


async def test_a_well_made_admin_lacks_nothing(database: OddDatabase) -> None:
    assert await found(database) == {}


@pytest.mark.parametrize(
    ("made", "key", "severity", "blocks"),
    [
        ("alter role @admin nocreaterole", "admin_rights:createrole", Severity.HIGH, True),
        ("alter role @admin bypassrls", "admin_rights:bypassrls", Severity.MEDIUM, False),
        ("alter role @admin replication", "admin_rights:replication", Severity.MEDIUM, False),
        ("alter role @admin createdb", "admin_rights:createdb", Severity.LOW, False),
        (
            "revoke pg_signal_backend from @admin",
            "admin_rights:pg_signal_backend",
            Severity.LOW,
            False,
        ),
        (
            "grant pg_read_server_files to @admin",
            "admin_rights:pg_read_server_files",
            Severity.MEDIUM,
            False,
        ),
        (
            'create table s."Their Own" (id int); alter table s."Their Own" owner to @other',
            "admin_rights:grant for @other",
            Severity.MEDIUM,
            False,
        ),
        (
            'create table s."Their Own" (id int)',
            "admin_rights:grant for postgres",
            Severity.MEDIUM,
            False,
        ),
        (
            (
                'create schema "Closed One"; create table "Closed One".t (id int);'
                'alter table "Closed One".t owner to @owner'
            ),
            "admin_rights:grant for postgres",
            Severity.MEDIUM,
            False,
        ),
        ("revoke @owner from @admin", "admin_rights:grant for @owner", Severity.MEDIUM, False),
    ],
)
async def test_finds_each_and_its_own_sql_mends_it(
    database: OddDatabase, made: str, key: str, severity: Severity, blocks: bool
) -> None:
    database.run(made)
    exposures = await found(database)
    assert exposures.keys() == {key}
    assert (exposures[key].severity, exposures[key].blocks) == (severity, blocks)
    database.run(exposures[key].mend)
    assert await found(database) == {}


async def test_missing_create_on_the_database(database: OddDatabase) -> None:
    with psycopg.connect(database.conninfo) as connection:
        name = connection.info.dbname
    # By way of the owner the admin would still have it.
    database.run(f"revoke create on database {name} from @admin, @owner")
    key = f"admin_rights:create on database {name}"
    exposures = await found(database)
    assert exposures.keys() == {key}
    assert exposures[key].blocks
    database.run(exposures[key].mend)
    assert await found(database) == {}


async def test_a_superuser_is_too_much(database: OddDatabase) -> None:
    database.run("alter role @admin superuser")
    exposures = await found(database)
    assert exposures.keys() == {"admin_rights:superuser"}


async def test_grant_options_are_enough_to_hand_on(database: OddDatabase) -> None:
    database.run(
        "revoke @owner from @admin; grant usage on schema s to @admin with grant option;"
        "grant select on s.mine to @admin with grant option"
    )
    assert await found(database) == {}


SOUND = AdminFacts(
    name="a",
    superuser=False,
    createrole=True,
    createdb=False,
    bypassrls=False,
    replication=False,
    inherit=True,
    connection_limit=-1,
    may_create=True,
    may_connect=True,
    may_signal=True,
    powers=[],
    max_connections=100,
    reserved=3,
    connected=10,
    database_limit=-1,
    check_interval="1s",
    password_encryption="scram-sha-256",
    open_large_objects="off",
    private_line=True,
    standby=False,
)


@pytest.mark.parametrize(
    ("facts", "key"),
    [
        ({"check_interval": "0"}, "client_connection_check_interval"),
        ({"password_encryption": "md5"}, "password_encryption"),
        ({"open_large_objects": "on"}, "lo_compat_privileges"),
        ({"private_line": False}, "ssl"),
        ({"connected": 80}, "max_connections"),
        ({"connection_limit": 5}, "connection limit of the admin"),
        ({"database_limit": 5}, "connection limit of shop"),
        ({"standby": True}, "standby"),
    ],
)
def test_settings_of_the_server(facts: dict[str, object], key: str) -> None:
    values = {name: getattr(SOUND, name) for name in AdminFacts.__slots__}
    [exposure] = judge_admin(AdminFacts(**{**values, **facts}), [], "shop", 160000)
    assert exposure.key == f"server_setting:{key}"
    assert judge_admin(SOUND, [], "shop", 160000) == ()
