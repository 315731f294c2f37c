"""Requests, approvals, grants, sessions, receipts; the audit log; the outbox."""

from daypass.store.migrations.sql_file import run_sql_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_sql_file(__file__)
