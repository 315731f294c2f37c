"""Which access token a session was opened with."""

from daypass.store.migrations.sql_file import run_sql_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_sql_file(__file__)
