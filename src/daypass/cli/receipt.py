"""Look at the end of a grant: the proof that it is gone."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from daypass.cli.client import Client, Json
from daypass.cli.connection import connect
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure
from daypass.cli.options import AsJson, GrantNumber
from daypass.cli.output import error_console, say, show_facts, show_json, state
from daypass.cli.wording import moment_of, read_duration

_LOOK_EVERY_S: Final = 0.1


def receipt(
    number: GrantNumber,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for it, while the grant is being revoked.")
    ] = False,
    wait_for: Annotated[
        str, typer.Option("--wait-for", metavar="DURATION", help="How long to wait at most.")
    ] = "1m",
    as_json: AsJson = False,
) -> None:
    """Show the proof that a grant is over: what was probed and found gone, and how soon."""
    client = connect()
    patience = read_duration(wait_for, "--wait-for").total_seconds()
    found = _wait(client, number, patience) if wait else client.get(f"/grants/{number}/receipt")
    if as_json:
        show_json(found)
        return
    say(
        f"Grant {number} on {found['database']} for {found['principal']} is over: closed "
        f"{found['lag_s']:.3f} s after its end."
    )
    show_facts(
        [
            ("ended", _precisely(found["due_at"])),
            ("closed", f"{_precisely(found['closed_at'])}: no login, no connection, no membership"),
            ("removed", f"{_precisely(found['removed_at'])}: nothing left at all"),
            ("cut", _cut(found)),
            ("accounts", found["accounts"]),
            ("attempts", found["attempts"] if found["attempts"] > 1 else None),
        ]
    )
    for probe in found["probes"]:
        say("  ", state("holds"), f"  {probe}")


def _wait(client: Client, number: int, patience_s: float) -> Json:
    until = time.monotonic() + patience_s
    with error_console().status(f"waiting for the receipt of grant {number}"):
        while True:
            try:
                return client.get(f"/grants/{number}/receipt")
            except Failure as failure:
                live = failure.exit_code is ExitCode.NOT_FOUND and failure.code == "no_receipt"
                if not live or time.monotonic() > until:
                    raise
            time.sleep(_LOOK_EVERY_S)


def _precisely(moment: str) -> str:
    return f"{moment_of(moment):%H:%M:%S.%f}"[:-3]


def _cut(found: Json) -> str:
    counts = (
        (found["terminated"], "connections ended"),
        (found["rolled_back"], "prepared transactions rolled back"),
        (found["dropped"], "objects dropped"),
    )
    return ", ".join(f"{count} {what}" for count, what in counts if count)
