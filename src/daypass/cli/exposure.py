"""Accept exposures by name."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from daypass.cli.client import Client, database_path
from daypass.cli.commands import group_of
from daypass.cli.connection import connect
from daypass.cli.failure import usage
from daypass.cli.options import AsJson, DatabaseName
from daypass.cli.output import say, show_json, show_table
from daypass.cli.wording import say_moment

app = group_of("Accept an exposure by name, or accept it no longer.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="As `daypass doctor` writes it.")]


@app.command("list")
def list_accepted(database: DatabaseName, as_json: AsJson = False) -> None:
    """List what is accepted on a database."""
    answer = connect().get(database_path(database, "/acceptances"))
    if as_json:
        show_json(answer)
        return
    show_table(
        ("Exposure", "Accepted by", "When", "Why"),
        [
            (each["key"], each["accepted_by"], say_moment(each["accepted_at"]), each["reason"])
            for each in answer["items"]
        ],
        empty=f"Nothing is accepted on {database}.",
    )


@app.command()
def accept(
    database: DatabaseName,
    key: Key,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Auditors read it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Accept an exposure: what it blocks is open from then on."""
    if not reason.strip():
        raise usage("say why it is accepted", next_step='add --reason "…"')
    client = connect()
    if "/" not in database:
        raise usage(
            f"{database} is an instance: what all of it shows is accepted on a database, too",
            next_step=_on_a_database(client, database, key),
        )
    client.post(
        database_path(database, "/acceptances"),
        {"key": key, "reason": reason},
        so=f"{key} is not accepted",
    )
    if as_json:
        show_json(client.get(database_path(database, "/acceptances")))
        return
    say(f"{key} is accepted on {database}, by name and with your reason.")


@app.command()
def end(
    database: DatabaseName,
    key: Key,
    reason: Annotated[str, typer.Option("--reason", "-r")] = "",
    as_json: AsJson = False,
) -> None:
    """Accept an exposure no longer: what it blocks is blocked again."""
    client = connect()
    client.post(database_path(database, "/acceptances/end"), {"key": key, "reason": reason})
    if as_json:
        show_json(client.get(database_path(database, "/acceptances")))
        return
    say(f"{key} is no longer accepted on {database}.")


def _on_a_database(client: Client, instance: str, key: str) -> str:
    known = client.get("/databases", instance=instance)["items"]
    path = known[0]["path"] if known else f"{instance}/…"
    return f'daypass exposure accept {shlex.quote(path)} {shlex.quote(key)} --reason "…"'
