"""Journals of gateways, and which record of one an entry was."""

from daypass.store.migrations.sql_file import run_sql_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_sql_file(__file__)
