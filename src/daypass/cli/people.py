"""Add people and service accounts, and let them leave."""

from __future__ import annotations

from typing import Annotated

import typer

from daypass.cli.client import Client, Json
from daypass.cli.commands import group_of
from daypass.cli.connection import connect
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure, usage
from daypass.cli.options import AsJson, Limit
from daypass.cli.output import say, say_next, show_facts, show_json, show_table
from daypass.cli.pairs import read_pairs
from daypass.cli.wording import say_moment
from daypass.domain.principal import DaypassRole

app = group_of("Add people and service accounts, link them to a password, let them leave.")

Email = Annotated[str, typer.Argument(metavar="E-MAIL")]
Roles = Annotated[
    list[DaypassRole] | None, typer.Option("--role", help="Rights in Daypass; again for more.")
]
Attributes = Annotated[
    list[str] | None, typer.Option("--attribute", metavar="NAME=VALUE", help="Policy reads it.")
]


@app.command()
def add(
    email: Email,
    name: Annotated[str, typer.Option("--name", "-n")] = "",
    groups: Annotated[
        list[str] | None, typer.Option("--group", "-g", help="Again for more.")
    ] = None,
    roles: Roles = None,
    attributes: Attributes = None,
    manager: Annotated[str | None, typer.Option("--manager", metavar="E-MAIL")] = None,
    service_account_of: Annotated[
        str | None,
        typer.Option(
            "--service-account-of", metavar="E-MAIL", help="A program's; who answers for it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a person, or a service account for a program."""
    body: Json = {
        "email": email,
        "name": name or email.partition("@")[0],
        "roles": [each.value for each in roles or [DaypassRole.MEMBER]],
        "groups": groups or [],
        "attributes": read_pairs(attributes, "--attribute"),
    }
    client = connect()
    if service_account_of:
        if manager:
            raise usage("a service account has no manager; somebody answers for it")
        added = client.post("/service-accounts", {**body, "owner": service_account_of})
    else:
        added = client.post("/principals", {**body, "manager": manager})
    if as_json:
        show_json(added)
        return
    say(f"{added['name']} <{added['email']}> is added.")
    if service_account_of:
        say_next(f"daypass tokens issue NAME --for {email}")
    else:
        say_next(f"daypass people link {email}  (they choose a password by it)")


@app.command("list")
def list_people(
    group: Annotated[str | None, typer.Option("--group", "-g", help="Only in this one.")] = None,
    left: Annotated[bool, typer.Option("--left", help="Those who left instead.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List people and service accounts you may see."""
    found = list(connect().items("/principals", limit=limit, group=group, left=left or None))
    if as_json:
        show_json({"items": found})
        return
    show_table(
        ("E-mail", "Name", "Kind", "Roles", "Groups", "Manager or owner"),
        [
            (
                each["email"],
                each["name"],
                each["kind"].replace("_", " "),
                each["roles"],
                sorted(each["groups"]),
                each["manager"] or each["owner"] or "",
            )
            for each in found
        ],
        empty="There is nobody.",
    )


@app.command()
def show(email: Email, as_json: AsJson = False) -> None:
    """Show a person or service account."""
    found = principal_of(connect(), email)
    if as_json:
        show_json(found)
        return
    show_facts(
        [
            ("name", found["name"]),
            ("e-mail", found["email"]),
            ("kind", found["kind"].replace("_", " ")),
            ("roles", found["roles"]),
            ("groups", sorted(found["groups"])),
            ("attributes", found["attributes"]),
            ("manager", found["manager"]),
            ("answered for by", found["owner"]),
            ("since", say_moment(found["created_at"])),
            ("left", say_moment(found["left_at"])),
        ]
    )


@app.command()
def change(
    email: Email,
    name: Annotated[str | None, typer.Option("--name", "-n")] = None,
    roles: Roles = None,
    attributes: Attributes = None,
    manager: Annotated[str | None, typer.Option("--manager", metavar="E-MAIL")] = None,
    as_json: AsJson = False,
) -> None:
    """Change somebody's name, roles (all of them), attributes (all of them) or manager."""
    client = connect()
    found = principal_of(client, email)
    body: Json = {"name": name, "manager": manager}
    if roles:
        body["roles"] = [each.value for each in roles]
    if attributes is not None:
        body["attributes"] = read_pairs(attributes, "--attribute")
    given = {key: value for key, value in body.items() if value is not None}
    changed = client.patch(f"/principals/{found['id']}", given, so=f"{email} stays as it is")
    if as_json:
        show_json(changed)
        return
    say(f"{email} is changed; what policy reads of them counts from now on.")


@app.command()
def link(email: Email, as_json: AsJson = False) -> None:
    """Make a one-time link by which somebody chooses a password."""
    client = connect()
    answer = client.post(f"/principals/{principal_of(client, email)['id']}/password-link")
    if as_json:
        show_json(answer)
        return
    say(f"Give this link to {email}; it works once, until {say_moment(answer['expires_at'])}:")
    say(answer["url"])


@app.command()
def leave(
    email: Email,
    reason: Annotated[str, typer.Option("--reason", "-r")] = "",
    heir: Annotated[
        str | None,
        typer.Option("--service-accounts-to", metavar="E-MAIL", help="Who answers for theirs."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let somebody leave: their logins, tokens, requests and grants end now."""
    if not reason.strip():
        raise usage("say why", next_step=f'daypass people leave {email} --reason "…"')
    client = connect()
    answer = client.post(
        f"/principals/{principal_of(client, email)['id']}/leave",
        {"reason": reason, "service_accounts_to": heir},
        so=f"{email} has not left",
    )
    if as_json:
        show_json(answer)
        return
    others = len(answer["left"]) - 1
    also = f", and {others} service accounts with them" if others > 0 else ""
    say(f"{email} has left{also}: nothing of theirs works any more.")


def principal_of(client: Client, email: str) -> Json:
    """Look somebody up by e-mail address."""
    for left in (None, True):
        found = next(client.items("/principals", limit=1, email=email.lower(), left=left), None)
        if found is not None:
            return found
    raise Failure(
        f"nobody you may see is known as {email}",
        next_steps=["daypass people list"],
        exit_code=ExitCode.NOT_FOUND,
    )
