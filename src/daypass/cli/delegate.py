"""Let somebody decide in one's place."""

from __future__ import annotations

from typing import Annotated

import typer

from daypass.cli.client import Json
from daypass.cli.commands import group_of
from daypass.cli.connection import connect
from daypass.cli.failure import usage
from daypass.cli.options import AsJson, Limit
from daypass.cli.output import say, say_next, show_json, show_table, state
from daypass.cli.wording import moment_of, now, read_duration, read_moment, say_moment

app = group_of("Let somebody decide about requests in your place while you are away.")


@app.command()
def start(
    to: Annotated[str, typer.Argument(metavar="E-MAIL", help="Who decides in your place.")],
    duration: Annotated[str, typer.Option("--for", metavar="DURATION", help="3d, 8h.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="MOMENT")] = "",
    start_at: Annotated[str, typer.Option("--start", metavar="MOMENT", help="Else at once.")] = "",
    reason: Annotated[str, typer.Option("--reason", "-r")] = "",
    as_json: AsJson = False,
) -> None:
    """Let somebody decide in your place; they cannot hand it on."""
    if bool(duration) == bool(until):
        raise usage("until when?", next_step=f"daypass delegate start {to} --for 3d")
    starts_at = read_moment(start_at, "--start") if start_at else None
    body: Json = {"to": to, "reason": reason}
    if starts_at is not None:
        body["starts_at"] = starts_at.isoformat()
    ends_at = (
        (starts_at or now()) + read_duration(duration, "--for")
        if duration
        else read_moment(until, "--until", at=starts_at)
    )
    body["ends_at"] = ends_at.isoformat()
    made = connect().post("/delegations", body)
    if as_json:
        show_json(made)
        return
    say(
        f"{made['to_email']} decides in your place from {say_moment(made['starts_at'])} until "
        f"{say_moment(made['ends_at'])}."
    )
    say_next(f"daypass delegate end {made['id']}")


@app.command("list")
def list_delegations(
    everything: Annotated[bool, typer.Option("--all", "-a", help="Those that ended, too.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List delegations from and to you."""
    found = list(connect().items("/delegations", limit=limit))
    found = [each for each in found if everything or not _is_over(each)]
    if as_json:
        show_json({"items": found})
        return
    show_table(
        ("No.", "In place of", "Decides", "From", "Until", "State"),
        [
            (
                each["id"],
                each["from_email"],
                each["to_email"],
                say_moment(each["starts_at"]),
                say_moment(each["ended_at"] or each["ends_at"]),
                state("active" if each["live"] else "ended" if _is_over(each) else "scheduled"),
            )
            for each in found
        ],
        empty="Nobody decides in anybody's place.",
        right=("No.",),
    )


@app.command()
def end(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1)], as_json: AsJson = False
) -> None:
    """End a delegation early."""
    connect().delete(f"/delegations/{number}")
    if as_json:
        show_json({"ended": number})
        return
    say(f"Delegation {number} is over.")


def _is_over(each: Json) -> bool:
    return bool(each["ended_at"]) or moment_of(each["ends_at"]) <= now()
