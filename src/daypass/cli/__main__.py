"""`python -m daypass.cli`, for where no script is on the path."""

from __future__ import annotations

from daypass.cli.main import app

app(prog_name="daypass")
