"""Score what stands open without any grant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daypass.cli.client import Json, part
from daypass.cli.connection import connect
from daypass.cli.failure import usage
from daypass.cli.files import write_text
from daypass.cli.options import AsJson, InstanceName
from daypass.cli.output import say, say_next, show_json, show_table
from daypass.cli.wording import say_moment


def scan(
    instance: InstanceName,
    draft_policy: Annotated[
        Path | None,
        typer.Option(
            "--draft-policy", metavar="FILE", help="Write a policy that would replace them here."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score the logins that stand open on an instance without any grant; nothing is changed."""
    if "/" in instance:
        raise usage(
            f"{instance} is a database, and logins are an instance's",
            next_step=f"daypass scan {instance.partition('/')[0]}",
        )
    answer = connect().get(f"/instances/{part(instance)}/scan")
    if draft_policy is not None:
        write_text(draft_policy, answer["policy"])
    if as_json:
        show_json(answer)
        return
    say(answer["headline"])
    show_table(
        ("Login", "Kind", "Score", "Last seen", "Why"),
        [_row(each) for each in answer["logins"]],
        empty="No login of a person or a program stands open.",
        right=("Score",),
        keep=("Login", "Kind"),
    )
    if answer["others"]:
        names = ", ".join(each["name"] for each in answer["others"])
        say(f"Not counted, the server's own and administrators': {names}")
    if draft_policy is not None:
        say(f"A policy that would replace them is in {draft_policy}: a draft to work on.")
        say_next(f"daypass policy check {draft_policy}")
    elif answer["to_go"]:
        say_next(f"daypass scan {instance} --draft-policy draft.yaml")


def _row(each: Json) -> tuple[object, ...]:
    return (
        each["name"],
        each["kind"],
        each["score"],
        say_moment(each["last_seen"]) or "not known",
        "; ".join(each["reasons"]),
    )
