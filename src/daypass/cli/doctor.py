"""Find the ways around Daypass."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from daypass.cli.client import Json, database_path, part
from daypass.cli.connection import connect
from daypass.cli.exits import OF_SEVERITY, ExitCode
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
    high; with 7 when nothing was found and not everything could be looked at.
    """
    instance, _, database = place.partition("/")
    client = connect()
    answer = client.get(f"/instances/{part(instance)}/doctor")
    if database:
        answer = only(answer, database)
        if not answer["databases"]:
            # Not there, or not read yet: the first ends here.
            client.get(database_path(place))
    if as_json:
        show_json(answer)
    else:
        _show(answer, database, everything=everything)
    code = exit_of(answer)
    if code is not ExitCode.OK:
        raise typer.Exit(code)


def exit_of(answer: Json) -> ExitCode:
    """Return what an examination ends with: what could not be looked at is not in order."""
    if answer["worst"]:
        return OF_SEVERITY[answer["worst"]]
    return ExitCode.OK if answer["complete"] else ExitCode.UNAVAILABLE


def only(answer: Json, database: str) -> Json:
    """Keep what concerns one database: what it shows itself, and what the whole instance does."""
    findings = [x for x in answer["findings"] if not x["databases"] or database in x["databases"]]
    open_ones = [each["severity"] for each in findings if not each["accepted"]]
    examined = [each for each in answer["databases"] if each["name"] == database]
    return {
        **answer,
        "findings": findings,
        "databases": examined,
        "worst": max(open_ones, key=list(OF_SEVERITY).index, default=None),
        "complete": bool(examined)
        and not answer["problem"]
        and not any(each["sync_error"] for each in examined),
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
    found = f"{plural(len(open_ones), 'exposure')} ({', '.join(counts)}){also}"
    if answer["complete"]:
        say(f"{found}.")
    else:
        say(state("error"), f": {found} in what could be looked at; the rest is not known.")
    say_next(*next_steps(answer, database))


def next_steps(answer: Json, database: str) -> list[str]:
    """Return what whoever asked can do now: accept the gravest they may, look again."""
    acceptable = [x for x in answer["findings"] if not x["accepted"] and x["may_accept"]]
    steps = []
    for each in acceptable[:1]:
        names = each["may_accept"]
        where = shlex.quote(f"{answer['instance']}/{database if database in names else names[0]}")
        steps += [
            f"daypass database sync {where}  (after mending)",
            f'daypass exposure accept {where} {shlex.quote(each["key"])} --reason "…"',
        ]
    if not answer["complete"]:
        place = answer["instance"] + (f"/{database}" if database else "")
        steps.append(f"daypass doctor {shlex.quote(place)}  (when it answers)")
    return steps


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
