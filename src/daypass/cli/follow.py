"""Follow a request to its grant, and say what is open then."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import typer

from daypass.cli.client import Client, Json
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure
from daypass.cli.output import error_console, note, say, say_next
from daypass.cli.wording import moment_of, now, say_moment, say_span

_LOOK_EVERY_S: Final = 0.5
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


def wait_for_decision(client: Client, request_id: int, patience: timedelta) -> Json:
    """Wait until a request is decided, or for so long; show what it waits for meanwhile.

    Raises `Failure` when it was denied, withdrawn or expired.
    """
    until = time.monotonic() + patience.total_seconds()
    console = error_console()
    with _stays_filed(request_id), console.status("") as status:
        while True:
            found = client.get(f"/requests/{request_id}")
            if found["state"] != "pending":
                break
            left = until - time.monotonic()
            if left <= 0:
                return found
            status.update(
                f"request {request_id} waits for {waits_for(found)} "
                f"({say_span(timedelta(seconds=left))} more; Ctrl-C leaves it filed)"
            )
            time.sleep(min(_LOOK_EVERY_S, left))
    if found["state"] != "approved":
        raise not_granted(found)
    return found


@contextmanager
def _stays_filed(request_id: int) -> Iterator[None]:
    """Say to whoever stops waiting that the request goes on without them."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"request {request_id} stays filed: daypass show {request_id} --wait 10m")
        raise


def not_granted(found: Json) -> Failure:
    """Return the failure of a request that came to nothing."""
    by = f" by {found['decided_by']}" if found.get("decided_by") else ""
    return Failure(
        f"request {found['id']} was {found['state']}{by}",
        why=[str(found.get("decided_reason") or "")],
        next_steps=[f"daypass show {found['id']} tells what happened"],
        exit_code=ExitCode.CONFLICT if found["state"] == "withdrawn" else ExitCode.DENIED,
        document={"code": f"request_{found['state']}", "detail": found["decided_reason"]},
    )


def waits_for(found: Json) -> str:
    """Say whose yes a request needs now."""
    for number, step in enumerate(found.get("steps", ()), start=1):
        if step["current"]:
            of = f"step {number} of {len(found['steps'])}: " if len(found["steps"]) > 1 else ""
            return f"{of}{step['remaining']} of {', '.join(step['approvers'])}"
    return "a decision"


def show_waiting(found: Json, *, after: timedelta | None = None, as_json: bool = False) -> None:
    """Say that a request still waits, and end so."""
    if not as_json:
        so_long = f" after {say_span(after)}" if after else ""
        say(f"Request {found['id']} still waits{so_long} for {waits_for(found)}.")
        say_next(f"daypass show {found['id']} --wait 10m", f"daypass withdraw {found['id']}")
    raise typer.Exit(ExitCode.WAITING)


def opened_text(filed: Json) -> str:
    """Say what a request that was just filed waits for."""
    steps = filed["decision"]["steps"]
    return f"Request {filed['request_id']} is filed and waits for {', then '.join(steps)}."


def show_opened(client: Client, grant_id: int, *, rule: str | None = None) -> None:
    """Say what a grant opens, until when, and how to use it."""
    grant = client.get(f"/grants/{grant_id}")
    if grant.get("blocked"):
        say(grant_sentence(grant))
        show_blocked(grant["database"], grant["blocked"])
        raise typer.Exit(ExitCode.WAITING)
    because = f" Rule '{rule}' let you in without asking anybody." if rule else ""
    say(f"{grant_sentence(grant)}{because}")
    if grant["break_glass"]:
        say(told_sentence(client.get("/session")["channels"]))
    say_next(*next_commands(grant))


def told_sentence(channels: list[str]) -> str:
    """Say who hears of a break-glass grant: only those that a channel leads to."""
    ways = {"smtp": "by mail", "webhook": "by the webhooks"}
    told = " and ".join(words for name, words in ways.items() if name in channels)
    if not told:
        return (
            "Nobody is told by itself: neither mail nor webhooks are set up. Tell those concerned;"
            " somebody else has to review it."
        )
    return f"Everybody concerned is told {told}; somebody else will review it."


def show_blocked(database: str, blocked: list[Json]) -> None:
    """Say what keeps a grant from opening anything, and what an owner can do about it."""
    for each in blocked:
        say(f"Blocked now: {each['text']}")
        mend = f"mend it ({each['mend']}) or " if each["mend"] else ""
        say(f"  An owner of {database} can {mend}accept it:")
        say(f"  daypass exposure accept {database} {shlex.quote(each['key'])} --reason …")
    say_next(f"daypass doctor {database}")


def grant_sentence(grant: Json) -> str:
    """Say in a sentence what a grant opens and until when."""
    starts, ends = moment_of(grant["starts_at"]), moment_of(grant["deadline"])
    later = f"from {say_moment(grant['starts_at'])} " if starts > now() else ""
    lasting = (
        f"{later}until {say_moment(grant['deadline'])} ({say_span(ends - max(starts, now()))})"
    )
    if grant.get("blocked"):
        return (
            f"Grant {grant['id']} is given {lasting}, but nothing of {grant['database']} opens "
            "while it is blocked."
        )
    return f"Grant {grant['id']} opens {grant['database']} {lasting}."


def next_commands(grant: Json) -> list[str]:
    """Return what can be done with a grant."""
    if grant["state"] == "scheduled":
        return [f"daypass grant {grant['id']}"]
    if grant["direct_credentials"]:
        return [f"daypass credential {grant['id']}"]
    exact = grant["asked"].get("statements") or ()
    if exact:
        # Any other text is denied; and of values to bind, `query` has none.
        at = f"daypass query {grant['database']} --grant {grant['id']}"
        fits = [each["text"] for each in exact if not each["parameters"]]
        if fits:
            return [f"{at} {shlex.quote(fits[0])}"]
        return [f"daypass connect {grant['database']} --grant {grant['id']}"]
    relations = (grant.get("scope") or {}).get("relations") or ()
    asked = [each for each in grant["asked"]["relations"] if "*" not in each]
    names = [each["name"] for each in relations] or asked
    first = quoted(names[0]) if names else "…"
    classes = grant["asked"]["classes"]
    sample = f"select * from {first} limit 5" if names else "select …"  # noqa: S608  # shown, not run
    if "export" in classes and "select" not in classes:
        # What a dump is sent through: its copies are no rows to show.
        return [f"daypass proxy {grant['database']} --grant {grant['id']}"]
    if "select" not in classes:
        sample = f"{'explain ' if 'explain' in classes else ''}{sample if names else '…'}"
    return [f"daypass query {grant['database']} {shlex.quote(sample)}"]


def quoted(name: str) -> str:
    """Write the name of a relation as SQL takes it."""
    schema, _, relation = name.partition(".")
    return ".".join(
        part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"'
        for part in (schema, relation)
    )
