"""Read the audit log."""

from __future__ import annotations

from typing import Annotated

import typer

from daypass.cli.client import Json, database_path
from daypass.cli.commands import group_of
from daypass.cli.connection import connect
from daypass.cli.options import AsJson, Limit
from daypass.cli.output import show_json, show_table
from daypass.cli.wording import moment_of, now

app = group_of("Read the audit log.")

_TELLING = ("text", "reason", "comment", "verdict", "note", "deadline", "account", "key", "change")
_LONGEST = 60


@app.command("list")
def list_entries(
    kind: Annotated[
        str | None, typer.Option("--kind", "-k", help="Such as grant, or statement.denied.")
    ] = None,
    actor: Annotated[str | None, typer.Option("--by", help="Somebody's e-mail address.")] = None,
    database: Annotated[str | None, typer.Option("--database", help="Only about this one.")] = None,
    request: Annotated[int | None, typer.Option("--request", min=1)] = None,
    grant: Annotated[int | None, typer.Option("--grant", min=1)] = None,
    limit: Limit = 30,
    as_json: AsJson = False,
) -> None:
    """List entries, newest first: all for admins and auditors, for others what they did."""
    client = connect()
    database_id = client.get(database_path(database))["id"] if database else None
    found = list(
        client.items(
            "/entries",
            limit=limit,
            kind=kind,
            actor=actor,
            database_id=database_id,
            request_id=request,
            grant_id=grant,
        )
    )
    if as_json:
        show_json({"items": found})
        return
    show_table(
        ("No.", "At", "What", "Who", "About", "Says"),
        [
            (
                each["id"],
                _at(each["at"]),
                each["kind"],
                each["actor"] or "Daypass",
                _about(each),
                _says(each),
            )
            for each in found
        ],
        empty="There are no such entries.",
        right=("No.",),
        keep=("At", "What"),
    )


def _at(moment: str) -> str:
    then = moment_of(moment)
    return f"{then:%H:%M:%S}" if then.date() == now().date() else f"{then:%Y-%m-%d %H:%M:%S}"


def _about(each: Json) -> str:
    parts = [
        f"{name} {each[f'{name}_id']}"
        for name in ("request", "grant", "session")
        if each[f"{name}_id"] is not None
    ]
    return ", ".join(parts)


def _says(each: Json) -> str:
    content = each["content"]
    told = next((str(content[key]) for key in _TELLING if content.get(key)), each["rule"] or "")
    flat = " ".join(told.split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"
