"""Ask for access."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from daypass.cli import ask
from daypass.cli.again import again
from daypass.cli.client import Json
from daypass.cli.connection import connect
from daypass.cli.decision import show_what_if, what_if_exit
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure
from daypass.cli.follow import (
    opened_text,
    show_blocked,
    show_opened,
    show_waiting,
    wait_for_decision,
)
from daypass.cli.options import AsJson, DatabaseName
from daypass.cli.output import note, plural, say, say_next, show_json
from daypass.cli.wording import read_duration


def request(
    database: DatabaseName,
    profile: ask.Profile = "",
    classes: ask.Classes = None,
    relations: ask.Relations = None,
    unmask: ask.Unmask = None,
    filters: ask.Filters = None,
    settings: ask.Settings = None,
    native_role: ask.NativeRole = "",
    statements: ask.Statements = None,
    parameters: ask.Parameters = None,
    duration: ask.Duration = "",
    until: ask.Until = "",
    start: ask.Start = "",
    reason: ask.Reason = "",
    ticket: ask.Ticket = "",
    direct: ask.Direct = False,
    break_glass: ask.BreakGlass = False,
    wait: Annotated[
        str, typer.Option("--wait", metavar="DURATION", help="Wait so long for the decision.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what policy would decide, and why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for access to a database: policy decides at once, or says whose yes it takes.

    Ends with 0 when it is open (or will be at --start), 3 when it is denied, 4 while others have to
    decide, or to mend what blocks it.
    """
    body = ask.ask_body(
        database,
        profile=profile,
        classes=classes,
        relations=relations,
        unmask=unmask,
        filters=filters,
        settings=settings,
        native_role=native_role,
        statements=statements,
        parameters=parameters,
        duration=duration,
        until=until,
        start=start,
        reason=reason,
        ticket=ticket,
        direct=direct,
        break_glass=break_glass,
    )
    patience = read_duration(wait, "--wait") if wait else None
    client = connect()
    if not (profile or relations or native_role or statements or as_json):
        note("no --relation and no --profile: this asks for all relations, *.*")
    try:
        if dry_run:
            answer = client.post("/what-if", body)
            if as_json:
                show_json(answer)
            else:
                show_what_if(database, answer)
            raise typer.Exit(what_if_exit(answer))
        filed = client.post("/requests", body, so=f"{database} is not opened for you")
    except Failure as failure:
        raise with_command(failure) from None
    if not as_json:
        _show_scope(filed)
    if filed.get("grant_id") is None and patience is not None:
        if not as_json:
            say(opened_text(filed))
        decided = wait_for_decision(client, filed["request_id"], patience)
        if as_json:
            show_json(decided)
        elif decided.get("grant_id") is not None:
            show_opened(client, decided["grant_id"])
        if decided["state"] == "pending":
            show_waiting(decided, after=patience, as_json=as_json)
        return
    if as_json:
        show_json(filed)
    elif filed.get("grant_id") is not None:
        show_opened(client, filed["grant_id"], rule=filed["decision"].get("rule"))
    else:
        say(opened_text(filed))
        say_next(f"daypass show {filed['request_id']} --wait 10m")
        if filed["blocked"]:
            show_blocked(database, filed["blocked"])
    if filed.get("grant_id") is None or filed["blocked"]:
        raise typer.Exit(ExitCode.WAITING)


def with_command(failure: Failure) -> Failure:
    """Add the command to type instead, if there is one."""
    better = again(sys.argv[1:], failure)
    if better is not None:
        misspelt = any("did you mean" in line for line in (failure.what, *failure.why))
        # What a misspelt name was asked for with is no help.
        failure.next_steps = (better,) if misspelt else (*failure.next_steps, better)
    return failure


def _show_scope(filed: Json) -> None:
    masked = filed.get("masked") or []
    if masked:
        shown = ", ".join(masked[:4]) + (", …" if len(masked) > 4 else "")
        say(f"Masked: {plural(len(masked), 'column')} ({shown})")
    left_out = {each["name"]: each for each in filed.get("left_out") or ()}
    for name, each in left_out.items():
        mend = f"; {each['mend']}" if each.get("mend") else ""
        say(f"Left out: {name}: {each['reason']}{mend}")
