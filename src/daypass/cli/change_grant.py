"""Give a grant more time or less, or end it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from daypass.cli.connection import connect
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure, usage
from daypass.cli.follow import show_waiting, wait_for_decision
from daypass.cli.options import AsJson, GrantNumber
from daypass.cli.output import say, say_next, show_json
from daypass.cli.request import with_command
from daypass.cli.wording import (
    now,
    read_duration,
    read_moment,
    say_left,
    say_moment,
    say_span,
    write_span,
)


def extend(
    number: GrantNumber,
    duration: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How much longer: 1h, 30m.")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; approvers read it.")] = "",
    ticket: Annotated[str, typer.Option("--ticket")] = "",
    wait: Annotated[
        str, typer.Option("--wait", metavar="DURATION", help="Wait so long for the decision.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Ask for more time on a grant; it is decided like any other request."""
    if not duration:
        raise usage("how much longer?", next_step=f"daypass extend {number} --for 1h")
    client = connect()
    body = {
        "duration": write_span(read_duration(duration, "--for")),
        "reason": reason,
        "ticket": ticket,
    }
    try:
        filed = client.post(
            f"/grants/{number}/extend", body, so=f"grant {number} keeps its deadline"
        )
    except Failure as failure:
        raise with_command(failure) from None
    decided = filed["grant_id"] is not None
    if not decided and wait:
        found = wait_for_decision(client, filed["request_id"], read_duration(wait, "--wait"))
        decided = found["state"] == "approved"
        if not decided:
            if as_json:
                show_json(filed)
            show_waiting(found, as_json=as_json)
    if as_json:
        show_json(filed)
    elif decided:
        deadline = client.get(f"/grants/{number}")["deadline"]
        say(f"Grant {number} now lasts until {say_moment(deadline)} ({say_left(deadline)}).")
    else:
        steps = ", then ".join(filed["decision"]["steps"])
        say(f"Request {filed['request_id']} for more time is filed and waits for {steps}.")
        say_next(f"daypass show {filed['request_id']} --wait 10m")
    if not decided:
        raise typer.Exit(ExitCode.WAITING)


def shorten(
    number: GrantNumber,
    to: Annotated[
        str, typer.Option("--to", metavar="DURATION", help="How long from now: 10m.")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="MOMENT", help="Until when.")] = "",
    reason: Annotated[str, typer.Option("--reason", "-r")] = "",
    as_json: AsJson = False,
) -> None:
    """Bring a grant's deadline closer: by its holder, an owner of the database, or an admin."""
    if bool(to) == bool(until):
        raise usage(
            "until when?", next_step=f"daypass shorten {number} --to 10m (or --until 18:00)"
        )
    deadline = now() + read_duration(to, "--to") if to else read_moment(until, "--until")
    client = connect()
    client.post(
        f"/grants/{number}/shorten",
        {"deadline": deadline.isoformat(), "reason": reason},
        so=f"grant {number} keeps its deadline",
    )
    if as_json:
        show_json(client.get(f"/grants/{number}"))
        return
    left = say_span(max(deadline - now(), timedelta()))
    say(f"Grant {number} now ends at {deadline:%H:%M:%S}, in {left}.")


def release(number: GrantNumber, as_json: AsJson = False) -> None:
    """Give your own grant back now."""
    client = connect()
    client.post(f"/grants/{number}/release", so=f"grant {number} is not released")
    if as_json:
        show_json(client.get(f"/grants/{number}"))
        return
    say(f"Grant {number} is given back; the database closes.")
    say_next(f"daypass receipt {number} --wait")


def revoke(
    number: GrantNumber,
    reason: Annotated[str, typer.Option("--reason", "-r", help="They will read it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Take somebody's grant away now: by an owner of the database, or an admin."""
    if not reason.strip():
        raise usage("say why the grant is revoked", next_step=f'daypass revoke {number} -r "…"')
    client = connect()
    client.post(
        f"/grants/{number}/revoke", {"reason": reason}, so=f"grant {number} is not revoked by you"
    )
    if as_json:
        show_json(client.get(f"/grants/{number}"))
        return
    say(f"Grant {number} is revoked; its holder has been told why.")
    say_next(f"daypass receipt {number} --wait")
