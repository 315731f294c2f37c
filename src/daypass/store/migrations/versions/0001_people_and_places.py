"""People, groups, tokens; instances, databases, catalogs, tags; policy."""

from daypass.store.migrations.sql_file import run_sql_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_sql_file(__file__)
