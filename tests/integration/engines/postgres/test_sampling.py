"""Sampling reads a little, as text, and runs none of the customer's code."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from daypass.domain.catalog import RelationName
from daypass.embedded import Cluster
from daypass.engines.postgres.sampling import sample
from tests.integration.engines.postgres.odd_database import OddDatabase, odd_database

BASE = """
create schema s authorization @owner;
create type s.place as (street text, city text);
create table s."Odd ""Table" (
  id int, "E-Mail" text, home s.place, doc jsonb, "select" text[]
);
insert into s."Odd ""Table" values
  (1, 'a.b.example', row('High Street', 'Town'), '{"k": [1]}', '{x,"y z"}'),
  (2, null, null, null, null);
create table s.big (id int, pad text);
insert into s.big select n, repeat('x', 20) from generate_series(1, 100000) n;
analyze s.big;
create table s.long (t text); insert into s.long values (repeat('é', 5000));
create table s.touched (who text);
create function s.spy(t text) returns text language plpgsql
  as $$ begin insert into s.touched values (current_user); return t; end $$;
create view s.spying as select s.spy(pad) as pad from s.big;
create table s.ruled (id int); insert into s.ruled values (1);
alter table s.ruled enable row level security, force row level security;
create policy p on s.ruled using (s.spy('x') is not null);
create table s.closed (id int);
"""


@pytest.fixture
def database(target_cluster: Cluster) -> Iterator[OddDatabase]:
    with odd_database(target_cluster) as made:
        made.run(BASE)
        for table in ('"Odd ""Table"', "big", "long", "spying", "ruled"):
            made.run(f"alter table s.{table} owner to @owner")
        yield made


async def read(
    database: OddDatabase, relation: str, columns: list[str], rows: int = 10
) -> tuple[tuple[str | None, ...], ...]:
    async with database.signed_in("admin") as connection:
        found = await sample(connection, RelationName("s", relation), columns, rows)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    return found


async def test_reads_values_as_the_server_writes_them(database: OddDatabase) -> None:
    columns = ["select", "E-Mail", "home", "doc"]
    assert await read(database, 'Odd "Table', columns) == (
        ('{x,"y z"}', "a.b.example", '("High Street",Town)', '{"k": [1]}'),
        (None, None, None, None),
    )


async def test_reads_as_many_rows_as_asked_from_all_over(database: OddDatabase) -> None:
    found = await read(database, "big", ["id"], 50)
    assert len(found) == 50
    assert max(int(row[0] or 0) for row in found) > 1000


async def test_cuts_long_values(database: OddDatabase) -> None:
    [(value,)] = await read(database, "long", ["t"])
    assert value == "é" * 2000


@pytest.mark.parametrize("relation", ["spying", "ruled", "closed", "missing"])
async def test_reads_nothing_where_code_would_run_or_rights_lack(
    database: OddDatabase, relation: str
) -> None:
    column = "pad" if relation == "spying" else "id"
    assert await read(database, relation, [column]) == ()
    with psycopg.connect(database.conninfo) as connection:
        assert connection.execute("select count(*) from s.touched").fetchone() == (0,)


async def test_gives_way_to_a_lock(database: OddDatabase) -> None:
    with psycopg.connect(database.conninfo) as connection:
        connection.execute("lock table s.big")
        started = time.perf_counter()
        assert await read(database, "big", ["id"]) == ()
        assert time.perf_counter() - started < 2
