"""Databases: what one may ask for, their labels, owners and relations."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

import typer

from daypass.cli.client import Json, database_path
from daypass.cli.commands import group_of
from daypass.cli.connection import connect
from daypass.cli.failure import usage
from daypass.cli.instance import sync_sentence
from daypass.cli.options import AsJson, DatabaseName
from daypass.cli.output import say, say_next, show_facts, show_json, show_table
from daypass.cli.pairs import read_pairs
from daypass.cli.wording import say_moment

app = group_of("Databases: list and show them, their labels, owners and relations.")


@app.command("list")
def list_databases(
    instance: Annotated[str | None, typer.Option("--instance", help="Only of this server.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the databases you may ask for, own, or look after."""
    answer = connect().get("/databases", instance=instance)
    if as_json:
        show_json(answer)
        return
    show_table(
        ("Database", "Engine", "Labels", "Owners", "Catalog read"),
        [
            (
                each["path"],
                each["engine"],
                {**each["instance_labels"], **each["labels"]},
                each["owners"],
                each["sync_error"] or say_moment(each["synced_at"]),
            )
            for each in answer["items"]
        ],
        empty="There is no database that you may ask for.",
        keep=("Database",),
    )
    if answer["items"]:
        path = answer["items"][-1]["path"]
        say_next(f"daypass database relations {path}", f'daypass request {path} --reason "…"')


@app.command()
def show(database: DatabaseName, as_json: AsJson = False) -> None:
    """Show a database."""
    each = connect().get(database_path(database))
    if as_json:
        show_json(each)
        return
    show_facts(
        [
            ("database", each["path"]),
            ("engine", each["engine"]),
            ("labels", each["labels"]),
            ("the server's", each["instance_labels"]),
            ("owners", each["owners"]),
            ("catalog", each["catalog_version"] and f"version {each['catalog_version']}"),
            ("read", say_moment(each["synced_at"])),
            ("trouble", each["sync_error"]),
        ]
    )
    say_next(f"daypass database relations {database}")


@app.command()
def relations(
    database: DatabaseName,
    glob: Annotated[str, typer.Argument(metavar="[GLOB]", help="schema.name, or sales.*.")] = "*",
    columns: Annotated[bool, typer.Option("--columns", "-c", help="With their columns.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what a database holds, with tags."""
    answer = connect().get(database_path(database, "/catalog"))
    found = [each for each in answer["relations"] if fnmatchcase(each["name"], glob)]
    if as_json:
        show_json({**answer, "relations": found})
        return
    if columns or len(found) == 1:
        for each in found:
            say(f"{each['name']} ({each['kind'].replace('_', ' ')})")
            show_table(("Column", "Type", "Tags"), map(_column, each["columns"]), empty="")
        return
    show_table(
        ("Relation", "Kind", "Rows", "Tags", "Columns with tags"),
        [
            (
                each["name"],
                each["kind"].replace("_", " "),
                f"{max(0, each['estimated_rows']):,}",
                each["tags"],
                sum(bool(c["tags"] or c["inherited_tags"]) for c in each["columns"]) or "",
            )
            for each in found
        ],
        empty=f"{database} has no relation {glob}.",
        right=("Rows", "Columns with tags"),
    )


@app.command()
def add(
    database: DatabaseName,
    labels: Annotated[list[str] | None, typer.Option("--label", metavar="NAME=VALUE")] = None,
    owners: Annotated[list[str] | None, typer.Option("--owner", metavar="GROUP")] = None,
    as_json: AsJson = False,
) -> None:
    """Manage one more database of a server."""
    instance, _, name = database.partition("/")
    answer = connect().post(
        "/databases",
        {
            "instance": instance,
            "name": name,
            "labels": read_pairs(labels, "--label"),
            "owners": owners or [],
        },
        so=f"{database} is not added",
    )
    if as_json:
        show_json(answer)
        return
    say(f"{database} is added.")
    say_next(f"daypass doctor {database}", f"daypass tag suggest {database}")


@app.command("label")
def set_labels(
    database: DatabaseName,
    labels: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE…", help="NAME= takes a label away.")
    ],
    as_json: AsJson = False,
) -> None:
    """Set labels of a database, which policy reads; others stay."""
    client = connect()
    now: dict[str, str] = dict(client.get(database_path(database))["labels"])
    given = read_pairs(labels, "LABEL")
    wanted = {key: value for key, value in {**now, **given}.items() if value}
    _change(database, {"labels": wanted}, as_json=as_json)


@app.command("owners")
def set_owners(
    database: DatabaseName,
    owners: Annotated[list[str], typer.Argument(metavar="GROUP…", help="All of them.")],
    as_json: AsJson = False,
) -> None:
    """Say which groups own a database."""
    _change(database, {"owners": owners}, as_json=as_json)


@app.command()
def sync(database: DatabaseName, as_json: AsJson = False) -> None:
    """Read a database's catalog now."""
    answer = connect().post(database_path(database, "/sync"))
    if as_json:
        show_json(answer)
        return
    say(sync_sentence(database, answer))
    if answer["stale"]:
        say(f"Tagged, but gone: {', '.join(answer['stale'])}")


@app.command()
def remove(
    database: DatabaseName,
    reason: Annotated[str, typer.Option("--reason", "-r")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Even if grants cannot be revoked there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """End every grant on a database, then forget it."""
    if not reason.strip():
        raise usage("say why it is removed", next_step='add --reason "…"')
    connect().post(database_path(database, "/remove"), {"reason": reason, "force": force})
    if as_json:
        show_json({"removed": database})
        return
    say(f"{database} is removed; every grant on it is over.")


def _change(database: str, change: Json, *, as_json: bool) -> None:
    answer = connect().patch(database_path(database), change, so=f"{database} stays as it is")
    if as_json:
        show_json(answer)
        return
    labels = ", ".join(f"{k}={v}" for k, v in sorted(answer["labels"].items())) or "no labels"
    owners = ", ".join(answer["owners"]) or "nobody"
    say(f"{database} has {labels}; owned by {owners}. Live grants follow within seconds.")


def _column(each: Json) -> tuple[str, str, str]:
    inherited = [f"{tag} (inherited)" for tag in each["inherited_tags"]]
    tags = ", ".join([*each["tags"], *inherited])
    return (each["name"], each["type"], tags or ("" if each["classified"] else "nobody has looked"))
