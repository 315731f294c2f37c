"""Look at sessions, and end them."""

from __future__ import annotations

from typing import Annotated

import typer

from daypass.cli.client import Client, Json
from daypass.cli.connection import connect
from daypass.cli.options import AsJson, Limit, ReasonText
from daypass.cli.output import say, say_next, show_json, show_table, state
from daypass.cli.wording import say_left, say_moment

_SHOWN = 60


def sessions(
    number: Annotated[
        int | None,
        typer.Argument(metavar="[GRANT]", min=1, help="All of this grant, closed ones too."),
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", "-m", help="Only your own.")] = False,
    database: Annotated[str | None, typer.Option("--database", help="Only on this one.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List the sessions that are open and what runs in them, or all that a grant ever had."""
    client = connect()
    if number is not None:
        found = list(client.items(f"/grants/{number}/sessions", limit=limit))
    else:
        found = list(client.items("/sessions", limit=limit, mine=mine or None, database=database))
    if as_json:
        show_json({"items": found})
    elif number is not None:
        _show_of_grant(number, found)
    else:
        _show_open(client, found)


def kill(
    number: Annotated[int, typer.Argument(metavar="SESSION", min=1, help="Its number.")],
    reason: ReasonText = "",
    as_json: AsJson = False,
) -> None:
    """End a session now: what runs in it is cut, its grant stays.

    Somebody else's takes a reason, which they will read.
    """
    connect().post(
        f"/sessions/{number}/kill", {"reason": reason}, so=f"session {number} is not ended"
    )
    if as_json:
        show_json({"killed": number})
        return
    say(f"Session {number} is ended.")


def _show_open(client: Client, found: list[Json]) -> None:
    show_table(
        ("No.", "Who", "Database", "Grant", "Kind", "State", "Since", "From", "Runs"),
        [
            (
                each["id"],
                each["principal"],
                each["database"],
                each["grant_id"],
                each["kind"],
                state(each["state"]),
                say_moment(each["opened_at"]),
                " ".join(part for part in (each["address"], each["application"]) if part),
                _runs(each),
            )
            for each in found
        ],
        empty="No session is open.",
        right=("No.", "Grant"),
        keep=("State",),
    )
    if found:
        me = client.get("/session")["principal"]["email"]
        why = "" if found[0]["principal"] == me else ' --reason "…"'
        say_next(f"daypass kill {found[0]['id']}{why}")


def _runs(session: Json) -> str:
    running = session["running"]
    if running is None:
        return ""
    text = " ".join(running["statement"].split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _show_of_grant(number: int, found: list[Json]) -> None:
    show_table(
        ("No.", "Kind", "Account", "State", "Opened", "Closed", "Why"),
        [
            (
                each["id"],
                each["kind"],
                each["account"],
                state(each["state"]),
                say_moment(each["opened_at"]),
                say_left(each["closed_at"]).removeprefix("ended ") if each["closed_at"] else "",
                each["close_reason"],
            )
            for each in found
        ],
        empty=f"No session was opened under grant {number}.",
        right=("No.",),
    )
