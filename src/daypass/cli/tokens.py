"""Access tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from daypass.cli.client import Json
from daypass.cli.commands import group_of
from daypass.cli.connection import connect, saved_login
from daypass.cli.failure import Failure
from daypass.cli.login import ask_password, sign_in
from daypass.cli.options import AsJson, Limit
from daypass.cli.output import note, say, say_next, show_json, show_table, state
from daypass.cli.people import principal_of
from daypass.cli.wording import read_duration, say_left, say_moment, write_span
from daypass.domain.principal import Capability

app = group_of("Access tokens, for programs and service accounts.")

_USUAL = (Capability.READ, Capability.REQUEST, Capability.CONNECT)


@app.command()
def issue(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for, such as laptop.")],
    capabilities: Annotated[
        list[Capability] | None,
        typer.Option("--may", help="What for; again for more. Without: read, request, connect."),
    ] = None,
    duration: Annotated[
        str, typer.Option("--valid", metavar="DURATION", help="How long: 12h, 30d.")
    ] = "30d",
    email: Annotated[
        str | None, typer.Option("--for", metavar="E-MAIL", help="For a service account.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read your password from stdin.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Issue an access token; it is shown this once.

    One that lasts longer than your login here takes your password once more.
    """
    client = connect()
    body: Json = {
        "name": name,
        "capabilities": [each.value for each in capabilities or _USUAL],
        "valid_for": write_span(read_duration(duration, "--valid")),
        "principal_id": principal_of(client, email)["id"] if email else None,
    }
    try:
        issued = client.post("/tokens", body, so="no access token is issued")
    except Failure as failure:
        login = saved_login()
        if failure.code != "token_beyond_issuer" or login is None:
            raise
        if not password_stdin:
            note(f"one that outlives your login takes the password of {login.email}")
        sign_in(client, login.email, ask_password(from_stdin=password_stdin))
        issued = client.post("/tokens", body, so="no access token is issued")
        client.delete("/session")
    if as_json:
        show_json(issued)
        return
    say(f"Access token {issued['id']} of {issued['principal']}, shown this once:")
    say(issued["token"])
    say(f"It may be used to {', '.join(issued['capabilities'])} until {_until(issued)}.")
    say_next("DAYPASS_TOKEN=… daypass whoami", f"daypass tokens revoke {issued['id']}")


@app.command("list")
def list_tokens(
    everything: Annotated[bool, typer.Option("--all", "-a", help="Those that ended, too.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List access tokens you may see."""
    found = list(connect().items("/tokens", limit=limit, live=None if everything else True))
    if as_json:
        show_json({"items": found})
        return
    show_table(
        ("No.", "Name", "Whose", "May", "Until", "Last used", "State"),
        [
            (
                each["id"],
                each["name"],
                each["principal"],
                each["capabilities"],
                _until(each),
                say_moment(each["last_used_at"]) or "never",
                state("active" if each["live"] else "revoked" if each["revoked_at"] else "ended"),
            )
            for each in found
        ],
        empty="There are no access tokens.",
        right=("No.",),
    )


@app.command()
def revoke(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1)], as_json: AsJson = False
) -> None:
    """Revoke an access token, and every one issued with it."""
    connect().delete(f"/tokens/{number}", so=f"access token {number} is not revoked")
    if as_json:
        show_json({"revoked": number})
        return
    say(f"Access token {number} no longer works.")


def _until(each: dict[str, str]) -> str:
    return f"{say_moment(each['expires_at'])} ({say_left(each['expires_at'])})"
