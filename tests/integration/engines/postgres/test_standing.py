"""Standing logins: how much each could do, and what kind of owner it seems to have."""

from collections.abc import Iterator

import psycopg
import pytest

from daypass.embedded import Cluster
from daypass.engines.contract import StandingLogin
from daypass.engines.postgres.standing import standing_logins
from tests.integration.engines.postgres.odd_database import OddDatabase, odd_database

BASE = """
create schema s authorization @owner;
create table s.one (id int, email text); create table s.two (id int);
create table s.three (id int); create table s.four (id int);
alter table s.one owner to @owner; alter table s.two owner to @owner;
alter table s.three owner to @owner; alter table s.four owner to @owner;
create role @readers; grant usage on schema s to @readers; grant select on s.one to @readers;
create role @ann_smith login; create role @nightly_batch login; create role @nobody_at_all login;
"""


@pytest.fixture
def database(target_cluster: Cluster) -> Iterator[OddDatabase]:
    with odd_database(target_cluster) as made:
        made.run(BASE)
        yield made


async def logins(database: OddDatabase) -> dict[str, StandingLogin]:
    async with database.signed_in("admin") as connection:
        found = await standing_logins(connection)
    assert [each.score for each in found] == sorted((e.score for e in found), reverse=True)
    return {each.name.removeprefix(database.prefix): each for each in found}


async def score(database: OddDatabase, statements: str, name: str = "ann_smith") -> int:
    database.run(statements)
    return (await logins(database))[name].score


async def test_a_login_that_can_do_nothing_scores_nothing(database: OddDatabase) -> None:
    found = (await logins(database))["ann_smith"]
    assert (found.score, found.kind) == (0, "human")
    assert found.reasons == ("can sign in, and read nothing of this database", "never expires")


async def test_more_rights_score_more(database: OddDatabase) -> None:
    scores = [
        await score(database, "select 1"),
        await score(database, "grant @readers to @ann_smith"),
        await score(database, "grant select on s.two, s.three to @readers"),
        await score(database, "grant insert on s.two to @readers"),
        await score(database, "alter role @ann_smith createrole"),
        await score(database, "grant pg_execute_server_program to @ann_smith"),
    ]
    assert scores == sorted(set(scores))
    assert scores[-1] == 100


@pytest.mark.parametrize("attribute", ["superuser", "replication", "bypassrls", "createrole"])
async def test_attributes_count(database: OddDatabase, attribute: str) -> None:
    database.run(f"alter role @ann_smith {attribute}")
    found = (await logins(database))["ann_smith"]
    assert found.score >= 15
    assert attribute in found.privileges
    assert (found.score == 100) == (attribute == "superuser")


async def test_rights_come_by_roles_of_roles_public_and_columns(database: OddDatabase) -> None:
    database.run(
        "create role @outer; grant @readers to @outer; grant @outer to @ann_smith;"
        "grant select (id) on s.two to @ann_smith;"
        "grant select on s.three to public;"
    )
    found = (await logins(database))["ann_smith"]
    assert "read 3 of 4 relations" in found.privileges
    assert f"role {database.role('readers')}" in found.privileges
    # Without USAGE on the schema, the table's grant is none.
    assert (await logins(database))["nobody_at_all"].score == 0


async def test_a_role_one_may_become_counts_like_an_inherited_one(database: OddDatabase) -> None:
    database.run("grant @readers to @ann_smith; alter role @ann_smith noinherit")
    with psycopg.connect(database.conninfo) as connection:
        if connection.info.server_version >= 160000:
            database.run("grant @readers to @ann_smith with inherit false, set true")
    found = (await logins(database))["ann_smith"]
    assert "read 1 of 4 relations" in found.privileges


async def test_one_that_is_only_handed_on_does_not_count(database: OddDatabase) -> None:
    with psycopg.connect(database.conninfo) as connection:
        if connection.info.server_version < 160000:
            pytest.skip("memberships have no options before 16")
    database.run("grant @readers to @ann_smith with admin true, inherit false, set false")
    assert (await logins(database))["ann_smith"].score == 0


async def test_an_expired_login_does_not_count(database: OddDatabase) -> None:
    granted = "grant @owner to @ann_smith"
    assert await score(database, granted) > 50
    assert await score(database, "alter role @ann_smith valid until 'epoch'") == 0


async def test_one_that_expires_scores_less(database: OddDatabase) -> None:
    for_ever = await score(database, "grant @owner to @ann_smith")
    assert await score(database, "alter role @ann_smith valid until '2099-01-01'") < for_ever


async def test_kinds_and_who_is_connected(database: OddDatabase) -> None:
    database.run("create role @jan login")
    found = await logins(database)
    kinds = {name: each.kind for name, each in found.items()}
    assert kinds["admin"] == "admin"
    assert kinds["postgres"] == "system"
    assert kinds["nightly_batch"] == "program"
    assert kinds["nobody_at_all"] == "program"
    assert kinds["jan"] == kinds["ann_smith"] == "human"
    assert found["admin"].last_seen is not None
    assert "is connected now" in found["admin"].reasons
    assert found["ann_smith"].last_seen is None


async def test_accounts_of_sessions_are_left_out(database: OddDatabase) -> None:
    database.run("create role dp_g_9_9 login; create role dp_forgotten login")
    try:
        found = await logins(database)
    finally:
        database.run("drop role dp_g_9_9; drop role dp_forgotten")
    assert "dp_g_9_9" not in found
    assert "dp_forgotten" in found
