"""Find the ways around Daypass."""

from __future__ import annotations

from typing import Annotated

import typer

from daypass.cli.client import Json, part
from daypass.cli.connection import connect
from daypass.cli.exits import OF_SEVERITY
from daypass.cli.options import AsJson
from daypass.cli.output import note, plural, say, say_code, say_next, show_json, state


def doctor(
    place: Annotated[
        str, typer.Argument(metavar="INSTANCE[/DATABASE]", help="Such as prod, or prod/shop.")
    ],
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Accepted exposures, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List exposures of an instance or a database, the gravest first, with what mends them.

    Ends with 0 when there are none that nobody accepted, else by the gravest: 10 low, 11 medium, 12
    high.
    """
    instance, _, database = place.partition("/")
    answer = connect().get(f"/instances/{part(instance)}/doctor")
    if database:
        answer = _only(answer, database)
    if as_json:
        show_json(answer)
    else:
        _show(answer, database, everything=everything)
    if answer["worst"]:
        raise typer.Exit(OF_SEVERITY[answer["worst"]])


def _only(answer: Json, database: str) -> Json:
    """Keep what concerns one database: what it shows itself, and what the whole instance does."""
    findings = [x for x in answer["findings"] if not x["databases"] or database in x["databases"]]
    open_ones = [each["severity"] for each in findings if not each["accepted"]]
    return {
        **answer,
        "findings": findings,
        "databases": [each for each in answer["databases"] if each["name"] == database],
        "worst": max(open_ones, key=list(OF_SEVERITY).index, default=None),
    }


def _show(answer: Json, database: str, *, everything: bool) -> None:
    name = f"{answer['instance']}/{database}" if database else answer["instance"]
    say(f"{name}: {answer['engine']} {answer['server_version']}")
    for each in answer["databases"]:
        say(
            f"  {each['name']}: {plural(each['relations'], 'relation')}, "
            f"{len(each['sensitive'])} sensitive; {each['unclassified']:,} of "
            f"{each['columns']:,} columns nobody has classified"
        )
        if each["sync_error"]:
            note(f"  its catalog could not be read: {each['sync_error']}")
    if answer["problem"]:
        note(f"not everything could be looked at: {answer['problem']}")
    open_ones = [each for each in answer["findings"] if not each["accepted"]]
    accepted = [each for each in answer["findings"] if each["accepted"]]
    for each in open_ones:
        _show_finding(each)
    if everything:
        for each in accepted:
            _show_finding(each)
    say()
    counts = [
        f"{sum(x['severity'] == severity for x in open_ones)} {severity}"
        for severity in ("high", "medium", "low")
    ]
    also = f", {len(accepted)} accepted" if accepted else ""
    say(f"{plural(len(open_ones), 'exposure')} ({', '.join(counts)}){also}.")
    if open_ones:
        where = f"{answer['instance']}/{database or (open_ones[0]['databases'] or ['…'])[0]}"
        say_next(
            f"daypass database sync {where}  (after mending)",
            f'daypass exposure accept {where} {open_ones[0]["key"]} --reason "…"',
        )


def _show_finding(each: Json) -> None:
    where = f" in {', '.join(each['databases'])}" if each["databases"] else ""
    blocks = ", blocks grants" if each["blocks"] else ""
    say()
    say(state(each["severity"]), f"{blocks}: {each['key']}{where}")
    say(f"  {each['text']}")
    say_code(each["mend"])
    if each["accepted"]:
        said = each["accepted"]
        say(f"  accepted by {said['by']}: {said['reason']}")
