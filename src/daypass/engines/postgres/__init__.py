"""PostgreSQL."""

from daypass.engines.postgres.engine import PostgresEngine

__all__ = ["PostgresEngine"]
