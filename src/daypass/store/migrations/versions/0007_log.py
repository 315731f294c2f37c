"""Places of entries in the Merkle tree, checkpoints, and the keys of subjects."""

from daypass.store.migrations.sql_file import run_sql_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the SQL beside this file."""
    run_sql_file(__file__)
