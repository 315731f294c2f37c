"""The store's schema is what its migrations make, and says what each table is."""

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from daypass.domain.errors import Invalid, Unavailable
from daypass.domain.secret import Secret
from daypass.domain.states import GRANT_TRANSITIONS, REQUEST_TRANSITIONS, SESSION_TRANSITIONS
from daypass.embedded import Cluster, find_binaries
from daypass.store.migrate import head_revision, migrate
from tests.servers import drop_database, make_database
from tests.store_schema import SCHEMA_FILE, schema_of


@pytest.fixture(scope="module")
def migrated(store_cluster: Cluster) -> str:
    """Return a connection string to a migrated store."""
    conninfo = make_database(store_cluster)
    migrate(Secret(conninfo))
    return conninfo


def test_the_schema_file_equals_all_migrations_applied(migrated: str) -> None:
    wanted = Path(SCHEMA_FILE).read_text(encoding="utf-8")
    found = schema_of(migrated, find_binaries())
    assert found == wanted, "run: .venv/bin/python -m tests.store_schema"


def test_migrating_again_changes_nothing(store_cluster: Cluster, migrated: str) -> None:
    before = schema_of(migrated, find_binaries())
    migrate(Secret(migrated))
    assert schema_of(migrated, find_binaries()) == before
    with psycopg.connect(migrated) as connection:
        row = connection.execute("select version_num from alembic_version").fetchone()
    assert row == (head_revision(),)
    other = make_database(store_cluster)
    try:
        migrate(Secret(other))
        assert schema_of(other, find_binaries()) == before
    finally:
        drop_database(store_cluster, other)


def test_every_table_has_a_comment(migrated: str) -> None:
    with psycopg.connect(migrated) as connection:
        rows = connection.execute(
            """
            select relname from pg_class
            where relnamespace = 'public'::regnamespace and relkind = 'r'
              and relname !~ '^(procrastinate|alembic)' and obj_description(oid, 'pg_class') is null
            """
        ).fetchall()
    assert rows == []


def test_constraints_have_names_of_their_own(migrated: str) -> None:
    with psycopg.connect(migrated) as connection:
        rows = connection.execute(
            """
            select conname from pg_constraint
            where connamespace = 'public'::regnamespace and contype in ('c', 'u')
              and conname ~ '(_check[0-9]*|_key[0-9]*)$'
              and conname !~ '^(procrastinate|idempotency)'
            """
        ).fetchall()
    assert rows == []


@pytest.mark.parametrize(
    ("table", "transitions"),
    [
        ("request_transition", REQUEST_TRANSITIONS),
        ("grant_transition", GRANT_TRANSITIONS),
        ("session_transition", SESSION_TRANSITIONS),
    ],
)
def test_transitions_are_those_of_the_domain(
    migrated: str, table: str, transitions: tuple[tuple[str, str], ...]
) -> None:
    with psycopg.connect(migrated) as connection:
        rows = connection.execute(f"select from_state, to_state from {table}".encode()).fetchall()
    assert sorted(rows) == sorted(transitions)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"host": "127.0.0.1", "port": 1}, "connection refused"),
        ({"host": "nowhere.invalid"}, "not known"),
        ({"dbname": "no_such"}, 'database "no_such" does not exist'),
        ({"password": "top-secret"}, "password"),
    ],
)
def test_a_store_that_cannot_be_reached_is_said_in_a_line(
    store_cluster: Cluster, parts: dict[str, str | int], said: str
) -> None:
    conninfo = make_conninfo(store_cluster.conninfo("postgres"), **parts)
    with pytest.raises(Unavailable) as caught:
        migrate(Secret(conninfo))
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.next_step
    assert "top-secret" not in caught.value.message


def test_what_is_no_address_of_a_store_is_not_quoted() -> None:
    with pytest.raises(Invalid) as caught:
        migrate(Secret("top-secret of nothing"))
    assert "top-secret" not in caught.value.message
    assert caught.value.__suppress_context__
