"""Decide requests, and judge break-glass grants."""

from __future__ import annotations

from typing import Annotated

import typer

from daypass.cli.client import Json
from daypass.cli.connection import connect
from daypass.cli.failure import Failure, usage
from daypass.cli.options import AsJson, GrantNumber, RequestNumber
from daypass.cli.output import plural, say, say_next, show_json
from daypass.cli.wording import read_duration, write_span


def approve(
    number: RequestNumber,
    comment: Annotated[str, typer.Option("--comment", "-m", help="For others to read.")] = "",
    duration: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="For no longer than this.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Say yes to the step of a request that is up; nobody approves their own."""
    body: Json = {"comment": comment}
    if duration:
        body["duration"] = write_span(read_duration(duration, "--for"))
    client = connect()
    try:
        decided = client.post(
            f"/requests/{number}/approve", body, so=f"request {number} is not approved by you"
        )
    except Failure as failure:
        if failure.code == "already_approved":
            failure.what = f"request {number} waits for no further vote of yours"
            failure.next_steps = (*failure.next_steps, f"daypass show {number}")
        raise
    if as_json:
        show_json(decided)
        return
    found = decided["request"]
    if found["state"] == "approved":
        opened = f"grant {found['grant_id']} opens {found['database']}"
        if found["extends_grant_id"]:
            opened = f"grant {found['extends_grant_id']} lasts longer"
        say(f"Request {number} is approved: {opened} for {found['requester']}.")
        if found["grant_id"]:
            say_next(f"daypass grant {found['grant_id']}")
        return
    missing = plural(decided["remaining"], "more yes", "more yeses")
    say(
        f"Your yes is recorded. Request {number} now needs {missing} in step {decided['step']} "
        f"of {decided['steps']}."
    )
    say_next(f"daypass show {number}")


def deny(
    number: RequestNumber,
    reason: Annotated[str, typer.Option("--reason", "-r", help="They will read it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say no to a request, and why."""
    if not reason.strip():
        raise usage(
            "say why the request is denied", next_step=f'daypass deny {number} --reason "…"'
        )
    client = connect()
    decided = client.post(
        f"/requests/{number}/deny", {"comment": reason}, so=f"request {number} is not denied by you"
    )
    if as_json:
        show_json(decided)
        return
    found = decided["request"]
    say(f"Request {number} is denied; {found['requester']} has been told why.")


def review(
    number: GrantNumber,
    justified: Annotated[
        bool | None,
        typer.Option("--justified/--not-justified", help="Was breaking the glass right?"),
    ] = None,
    comment: Annotated[str, typer.Option("--comment", "-m", help="What was found.")] = "",
    as_json: AsJson = False,
) -> None:
    """Judge a break-glass grant afterwards; `daypass grants --to-review` lists them."""
    if justified is None or not comment.strip():
        raise usage(
            "a review says whether it was justified, and what was found",
            next_step=f'daypass review {number} --justified --comment "…"',
        )
    client = connect()
    client.post(
        f"/grants/{number}/review",
        {"justified": justified, "comment": comment},
        so=f"grant {number} is not reviewed by you",
    )
    if as_json:
        show_json(client.get(f"/grants/{number}"))
        return
    verdict = "justified" if justified else "not justified"
    say(f"Grant {number} is reviewed: {verdict}. Whoever broke the glass has been told.")
