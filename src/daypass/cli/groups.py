"""Groups, and who is in them."""

from __future__ import annotations

from typing import Annotated

import typer

from daypass.cli.client import part
from daypass.cli.commands import group_of
from daypass.cli.connection import connect
from daypass.cli.options import AsJson, Limit
from daypass.cli.output import say, show_json, show_table
from daypass.cli.people import principal_of
from daypass.cli.wording import say_moment

app = group_of("Groups, which policy names, and who is in them.")

Name = Annotated[str, typer.Argument(metavar="GROUP")]
Email = Annotated[str, typer.Argument(metavar="E-MAIL")]


@app.command()
def add(name: Name, as_json: AsJson = False) -> None:
    """Add an empty group."""
    added = connect().post("/groups", {"name": name})
    if as_json:
        show_json(added)
        return
    say(f"Group {name} is added.")


@app.command("list")
def list_groups(limit: Limit = 100, as_json: AsJson = False) -> None:
    """List groups."""
    found = list(connect().items("/groups", limit=limit))
    if as_json:
        show_json({"items": found})
        return
    show_table(
        ("Group", "Members", "Since"),
        [(each["name"], each["members"], say_moment(each["created_at"])) for each in found],
        empty="There are no groups.",
        right=("Members",),
    )


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show who is in a group."""
    found = connect().get(f"/groups/{part(name)}")
    if as_json:
        show_json(found)
        return
    if found["who"] is None:
        say(f"{name} has {found['members']} members; who they are is for those in it.")
        return
    show_table(
        ("E-mail", "Name"),
        [(each["email"], each["name"]) for each in found["who"]],
        empty=f"Nobody is in {name}.",
    )


@app.command()
def put(name: Name, email: Email, as_json: AsJson = False) -> None:
    """Put somebody into a group."""
    client = connect()
    client.put(f"/groups/{part(name)}/members/{principal_of(client, email)['id']}")
    if as_json:
        show_json(client.get(f"/groups/{part(name)}"))
        return
    say(f"{email} is in {name}; requests that wait and grants that live follow.")


@app.command()
def take(name: Name, email: Email, as_json: AsJson = False) -> None:
    """Take somebody out of a group."""
    client = connect()
    client.delete(f"/groups/{part(name)}/members/{principal_of(client, email)['id']}")
    if as_json:
        show_json(client.get(f"/groups/{part(name)}"))
        return
    say(f"{email} is no longer in {name}; requests that wait and grants that live follow.")
