"""The job queue: procrastinate's own schema, as of the version locked with this release."""

from importlib import resources

from daypass.store.migrations.sql_file import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the schema the library ships; later versions of it get migrations of their own."""
    run_sql((resources.files("procrastinate.sql") / "schema.sql").read_text(encoding="utf-8"))
