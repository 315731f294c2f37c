"""Bring the control-plane store to this release's schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from daypass.domain.secret import Secret
from daypass.store.reach import reach_store


def _config(conninfo: Secret | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    if conninfo is not None:
        config.attributes["conninfo"] = conninfo.reveal()
    return config


def migrate(conninfo: Secret) -> None:
    """Apply every migration that is missing; safe to call from several processes at once.

    Raises `Unavailable` when the store cannot be reached, saying why.
    """
    reach_store(conninfo)
    command.upgrade(_config(conninfo), "head")


def head_revision() -> str:
    """Return the revision this release needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("the package has no migrations")
    return head
