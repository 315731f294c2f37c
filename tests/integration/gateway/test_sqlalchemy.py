"""SQLAlchemy through the gateway, with psycopg and with asyncpg; and what asyncpg does alone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import asyncpg  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.client_desk import Desk, end_soon

pytestmark = pytest.mark.asyncio(loop_scope="module")

_DRIVERS = ("psycopg", "asyncpg")


class _Base(DeclarativeBase):
    pass


class _Product(_Base):
    __tablename__ = "products"
    __table_args__: ClassVar[dict[str, str]] = {"schema": "sales"}  # type: ignore[misc]

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
    name: Mapped[str]
    category: Mapped[str]
    price: Mapped[float] = mapped_column(sa.Numeric)
    cost: Mapped[float] = mapped_column(sa.Numeric)


def _engine(desk: Desk, kind: str, driver: str, **more: object) -> AsyncEngine:
    gate = desk.gate
    url = sa.URL.create(
        f"postgresql+{driver}",
        username="ada@example.com",
        password=desk.token,
        host=gate.running.host,
        port=gate.running.port,
        database="prod/shop",
    )
    if driver == "psycopg":
        arguments: dict[str, object] = {
            "sslmode": "verify-full",
            "sslrootcert": str(gate.certificate),
            "options": desk.options(kind),
        }
    else:
        arguments = {
            "ssl": ssl.create_default_context(cafile=str(gate.certificate)),
            "server_settings": {"daypass.grant": str(desk.grants[kind])},
        }
    return create_async_engine(url, connect_args=arguments, pool_size=2, **more)


def _direct(desk: Desk) -> AsyncEngine:
    cluster = desk.world.company.cluster
    url = sa.make_url("postgresql+psycopg://")
    from psycopg.conninfo import conninfo_to_dict

    given = conninfo_to_dict(cluster.conninfo("shop"))
    # As a session has it, behind the grant's views: names of types are written accordingly.
    return create_async_engine(
        url, connect_args={**given, "options": "-c search_path=sales,public"}
    )


def _explored(connection: sa.Connection) -> dict[str, Any]:
    """Return all an inspector tells of the schema."""
    found = sa.inspect(connection)
    tables = sorted(found.get_table_names("sales"))
    return {
        "schemas": [each for each in found.get_schema_names() if not each.startswith("dp_v_")],
        "tables": tables,
        "views": sorted(found.get_view_names("sales")),
        "sequences": sorted(found.get_sequence_names("sales")),
        "columns": {each: repr(found.get_columns(each, "sales")) for each in tables},
        "keys": {each: found.get_pk_constraint(each, "sales") for each in tables},
        "references": {each: found.get_foreign_keys(each, "sales") for each in tables},
        "indexes": {each: found.get_indexes(each, "sales") for each in tables},
        "unique": {each: found.get_unique_constraints(each, "sales") for each in tables},
        "checks": {each: found.get_check_constraints(each, "sales") for each in tables},
        "comments": {each: found.get_table_comment(each, "sales") for each in tables},
        "definition": found.get_view_definition("vip_contacts", "sales"),
        "enums": found.get_enums("sales"),  # type: ignore[attr-defined]
        "domains": found.get_domains("sales"),  # type: ignore[attr-defined]
    }


@pytest_asyncio.fixture(loop_scope="module", params=_DRIVERS)
async def driver(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Return the name of a driver under SQLAlchemy."""
    yield request.param


@pytest.mark.filterwarnings("ignore:Did not recognize type:sqlalchemy.exc.SAWarning")
async def test_inspection_and_reflection_are_the_database_s_own(desk: Desk, driver: str) -> None:
    through, direct = _engine(desk, "read", driver), _direct(desk)
    try:
        async with through.connect() as one, direct.connect() as other:
            seen = await one.run_sync(_explored)
            wanted = await other.run_sync(_explored)
            for what, value in wanted.items():
                # A column that a constraint's text names may belong to a table a view goes before.
                assert str(seen[what]).replace("sales.", "") == str(value).replace("sales.", ""), (
                    what
                )
            metadata = sa.MetaData()
            await one.run_sync(
                lambda connection: metadata.reflect(connection, schema="sales", only=["orders"])
            )
            orders = metadata.tables["sales.orders"]
            assert [key.column.table.fullname for key in orders.foreign_keys] == ["sales.customers"]
            rows = await one.execute(sa.select(orders.c.id, orders.c.status).limit(3))
            assert len(rows.all()) == 3
    finally:
        await through.dispose()
        await direct.dispose()


async def test_it_streams(desk: Desk, driver: str) -> None:
    engine = _engine(desk, "read", driver)
    try:
        async with engine.connect() as connection:
            text = sa.text("select id, email from sales.customers order by id")
            result = await connection.stream(text, execution_options={"yield_per": 50})
            rows = [row async for row in result]
            assert [row.id for row in rows] == list(range(1, 401))
            assert all("***" in row.email for row in rows)
    finally:
        await engine.dispose()


async def test_an_orm_writes_and_what_it_may_not_is_told(desk: Desk, driver: str) -> None:
    engine = _engine(desk, "write", driver)

    def work(connection: sa.Connection) -> None:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            made = [
                _Product(sku=f"s-{n}", name=f"Lamp {n}", category="lamps", price=n, cost=1)
                for n in range(1, 31)
            ]
            session.add_all(made)
            session.flush()
            assert len({each.id for each in made}) == 30
            made[0].name = "Lantern"
            session.flush()
            session.expire_all()
            assert session.get_one(_Product, made[0].id).name == "Lantern"
            again = sa.insert(_Product).values(sku="s-1", name="x", category="x", price=1, cost=1)
            with pytest.raises(IntegrityError) as twice, session.begin_nested():
                session.execute(again)
            assert _state(twice.value) == "23505"
            with pytest.raises(DBAPIError) as denied, session.begin_nested():
                session.execute(sa.text("truncate sales.products"))
            assert _state(denied.value) == "42501"
            assert session.scalar(sa.select(sa.func.count()).where(_Product.sku.like("s-%"))) == 30

    try:
        async with engine.connect() as connection:
            async with connection.begin() as transaction:
                await connection.run_sync(work)
                await transaction.rollback()
            assert await connection.scalar(sa.text("select 1")) == 1
    finally:
        await engine.dispose()
    assert desk.world.company.sql("select 1 from sales.products where sku like 's-%'") == []


async def test_levels_pings_and_the_end_of_a_grant(desk: Desk, driver: str) -> None:
    serializable = _engine(desk, "read", driver, isolation_level="SERIALIZABLE", pool_pre_ping=True)
    try:
        for _ in range(2):
            async with serializable.connect() as connection:
                level = await connection.scalar(sa.text("show transaction_isolation"))
                assert level == "serializable"
    finally:
        await serializable.dispose()
    number = await desk.world.grant("ada", "sales.orders")
    ending = Desk(desk.gate, desk.token, {"ending": number})
    engine = _engine(ending, "ending", driver)
    try:
        async with engine.connect() as connection:
            running = asyncio.create_task(connection.execute(sa.text("select pg_sleep(20)")))
            await end_soon(desk, number, left_s=0.5)
            with pytest.raises(DBAPIError) as ended:
                await asyncio.wait_for(running, 10)
            assert ended.value.connection_invalidated
            assert "grant" in str(ended.value)
            await connection.invalidate()
        # What it had is closed; a new one is told there is no such grant any more.
        with pytest.raises((DBAPIError, asyncpg.PostgresError)) as gone:
            async with engine.connect():
                pass
        assert f"no live grant {number}" in str(gone.value)
    finally:
        await engine.dispose()


def _state(error: DBAPIError) -> object:
    return getattr(error.orig, "sqlstate", None)


async def test_asyncpg_copies_runs_many_and_cancels(desk: Desk) -> None:
    async def opened(kind: str) -> asyncpg.Connection:
        return await asyncpg.connect(
            host=desk.gate.running.host,
            port=desk.gate.running.port,
            user="ada@example.com",
            password=desk.token,
            database="prod/shop",
            ssl=ssl.create_default_context(cafile=str(desk.gate.certificate)),
            server_settings={"daypass.grant": str(desk.grants[kind])},
        )

    notices: list[str] = []
    export, read, write, load = [await opened(each) for each in ("export", "read", "write", "load")]
    try:
        export.add_log_listener(lambda _, message: notices.append(message.message))
        out = bytearray()

        async def take(data: bytes) -> None:
            out.extend(data)

        await export.copy_from_table(
            "customers", schema_name="sales", columns=["id", "email"], output=take, format="csv"
        )
        assert out.count(b"\n") == 400
        assert b"***@***" in out
        with pytest.raises(asyncpg.InsufficientPrivilegeError) as refused:
            await read.copy_from_table("customers", schema_name="sales", output=take)
        assert "not export" in str(refused.value)
        rows = [(f"a-{n}", "Lamp", "lamps", n, 1) for n in range(1, 6)]
        columns = ["sku", "name", "category", "price", "cost"]
        transaction = load.transaction()
        await transaction.start()
        copied = await load.copy_records_to_table(
            "products", schema_name="sales", columns=columns, records=rows
        )
        assert copied == "COPY 5"
        await transaction.rollback()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await write.copy_records_to_table(
                "products", schema_name="sales", columns=columns, records=rows
            )
        insert = (
            "insert into sales.products (sku, name, category, price, cost)"
            " values ($1, $2, $3, $4, $5)"
        )
        transaction = write.transaction()
        await transaction.start()
        await write.executemany(insert, rows)
        assert await write.fetchval("select count(*) from sales.products where sku ~ '^a-'") == 5
        await transaction.rollback()
        # All of them are one pipeline: the denied one leaves nothing behind.
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await read.executemany("delete from sales.orders where id = $1", [(1,), (2,)])
        for number in range(1, 9):
            found = await read.fetchrow("select id from sales.orders where id = $1", number)
            assert found["id"] == number
        await export.execute("create temp table noted (a int)")
        await export.execute("create temp table if not exists noted (a int)")
        await asyncio.sleep(0)
        assert notices == ['relation "noted" already exists, skipping']
        async with read.transaction():
            cursor = read.cursor("select id from sales.orders", prefetch=50)
            assert len([row["id"] async for row in cursor]) > 100
        with pytest.raises((asyncpg.QueryCanceledError, TimeoutError)):
            await read.fetch("select pg_sleep(20)", timeout=0.3)
        running = asyncio.create_task(read.fetch("select pg_sleep(20)"))
        await asyncio.sleep(0.3)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        for each in (export, read, write, load):
            assert await each.fetchval("select 1") == 1
    finally:
        for each in (export, read, write, load):
            await each.close()
    assert desk.world.company.sql("select 1 from sales.products where sku ~ '^a-'") == []
