"""Alembic's entry point: one transaction, one migrator at a time, never waiting long for a lock."""

import psycopg
from alembic import context
from sqlalchemy import create_engine, pool, text

_MIGRATION_LOCK = 7_328_846_501

conninfo: str = context.config.attributes["conninfo"]
engine = create_engine(
    "postgresql+psycopg://", poolclass=pool.NullPool, creator=lambda: psycopg.connect(conninfo)
)

with engine.connect() as connection:
    with connection.begin():
        connection.execute(text("set local lock_timeout = '5s'"))
        connection.execute(text("set local statement_timeout = '5min'"))
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        context.configure(connection=connection, transactional_ddl=True)
        context.run_migrations()
engine.dispose()
