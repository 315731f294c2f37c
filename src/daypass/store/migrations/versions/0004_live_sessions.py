"""What sessions of a gateway are doing now."""

from daypass.store.migrations.sql_file import run_sql_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_sql_file(__file__)
