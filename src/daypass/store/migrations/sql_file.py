"""Run a migration's SQL file."""

from pathlib import Path

from alembic import op


def run_sql_file(migration: str) -> None:
    """Run the `.sql` file of the same name as the migration's module, as one script."""
    run_sql(Path(migration).with_suffix(".sql").read_text(encoding="utf-8"))


def run_sql(script: str) -> None:
    """Run a script of many statements as it is, past SQLAlchemy's placeholders."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(script.encode())
    cursor.close()
