"""Check, compare, test and apply policy; say why it decides as it does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daypass.cli import ask
from daypass.cli.client import Json
from daypass.cli.commands import group_of
from daypass.cli.connection import connect
from daypass.cli.decision import show_what_if, what_if_exit
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure
from daypass.cli.files import read_policy
from daypass.cli.options import AsJson, DatabaseName, Limit
from daypass.cli.output import note, plural, say, say_next, show_json, show_table, state
from daypass.cli.request import with_command
from daypass.cli.wording import read_moment, say_moment

_INVALID = "invalid_policy"

app = group_of("Check, compare, test and apply policy; explain what it decides.")

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILES…", help="YAML files, or folders of them; together one policy."),
]


@app.command()
def check(files: Files, as_json: AsJson = False) -> None:
    """Check files against everything Daypass knows; nothing is applied."""
    client, body = connect(), {"files": read_policy(files)}
    try:
        answer = client.post("/policy/check", body)
    except Failure as failure:
        answer = {"ok": False, "findings": findings_of(failure)}
    if as_json:
        show_json(answer)
    else:
        _show_findings(answer["findings"])
    if not answer["ok"]:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def diff(files: Files, as_json: AsJson = False) -> None:
    """Say what files would change against the policy in force."""
    client, body = connect(), {"files": read_policy(files)}
    try:
        answer = client.post("/policy/diff", body)
    except Failure as failure:
        raise with_every_error(failure) from None
    if as_json:
        show_json(answer)
        return
    for change in answer["changes"]:
        say(change["text"])
    if not answer["changes"]:
        say(f"Nothing: version {answer['version']} says the same.")
        return
    say(f"{plural(len(answer['changes']), 'change')} against version {answer['version']}.")


@app.command("test")
def run_cases(files: Files, as_json: AsJson = False) -> None:
    """Run the cases in the files against the policy in them."""
    client, body = connect(), {"files": read_policy(files)}
    try:
        answer = client.post("/policy/test", body)
    except Failure as failure:
        raise with_every_error(failure) from None
    if as_json:
        show_json(answer)
    else:
        failed = [each for each in answer["cases"] if not each["holds"]]
        for each in failed:
            say(state("fails"), f" {each['place']}: {each['name']}")
            for line in each["failures"]:
                say(f"    {line}")
        held = len(answer["cases"]) - len(failed)
        say(f"{plural(held, 'case')} of {len(answer['cases'])} hold.")
        if not answer["cases"]:
            note("the files hold no cases: a section `cases` would say what policy must answer")
    if not answer["ok"]:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def apply(
    files: Files,
    note_text: Annotated[str, typer.Option("--note", "-m", help="For the history.")] = "",
    expected: Annotated[
        int | None, typer.Option("--expect", min=1, help="Only in place of this version.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put files in force, all or nothing; live grants and requests follow."""
    client = connect()
    body: Json = {"files": read_policy(files), "note": note_text, "expected": expected}
    try:
        answer = client.put("/policy", body, so="the policy in force stays")
    except Failure as failure:
        raise with_every_error(failure) from None
    if as_json:
        show_json(answer)
        return
    _show_applied(answer)


@app.command()
def history(limit: Limit = 20, as_json: AsJson = False) -> None:
    """List every policy that was applied, newest first."""
    found = list(connect().items("/policy/versions", limit=limit))
    if as_json:
        show_json({"items": found})
        return
    show_table(
        ("Version", "Applied", "By", "Note"),
        [
            (
                each["version"],
                say_moment(each["applied_at"]),
                each["applied_by"] or "Daypass",
                each["note"]
                + (f" (version {each['rollback_of']} again)" if each["rollback_of"] else ""),
            )
            for each in found
        ],
        empty="No policy has been applied.",
        right=("Version",),
    )
    if len(found) > 1:
        say_next(f"daypass policy rollback {found[1]['version']}")


@app.command()
def show(
    version: Annotated[
        int | None, typer.Argument(min=1, help="Which; the one in force if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the files of a policy."""
    found = connect().get("/policy" if version is None else f"/policy/versions/{version}")
    if as_json:
        show_json(found)
        return
    for name, text in sorted(found["files"].items()):
        say(f"# {name}")
        say(text)


@app.command()
def rollback(
    version: Annotated[int, typer.Argument(min=1, help="Which one to put in force again.")],
    note_text: Annotated[str, typer.Option("--note", "-m", help="For the history.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put an earlier policy in force again, as a version of its own."""
    client = connect()
    answer = client.post(
        "/policy/roll-back",
        {"version": version, "note": note_text},
        so="the policy in force stays",
    )
    if as_json:
        show_json(answer)
        return
    _show_applied(answer)


@app.command()
def explain(
    database: DatabaseName,
    person: Annotated[
        str | None, typer.Option("--person", help="Somebody's e-mail address; you if left out.")
    ] = None,
    at: Annotated[
        str, typer.Option("--at", metavar="MOMENT", help="As if it were then; else now.")
    ] = "",
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
    as_json: AsJson = False,
) -> None:
    """Say what policy would decide if somebody asked for this, and why, rule by rule.

    Ends with 0 when it would be allowed, 3 denied, 4 when it would take approvals.
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
    if person:
        body["person"] = person
    if at:
        body["at"] = read_moment(at, "--at").isoformat()
    try:
        answer = connect().post("/what-if", body)
    except Failure as failure:
        raise with_command(failure) from None
    if as_json:
        show_json(answer)
    else:
        show_what_if(database, answer, every_rule=True)
    raise typer.Exit(what_if_exit(answer))


def findings_of(failure: Failure) -> list[Json]:
    """Return the places where files cannot be read as findings; raises any other failure again."""
    problems = (failure.document or {}).get("problems") or []
    if failure.code != _INVALID or not problems:
        raise failure
    return [
        {"severity": "error", "code": _INVALID, "place": each["place"], "text": each["problem"]}
        for each in problems
    ]


def with_every_error(failure: Failure) -> Failure:
    """List every error of a policy alike; a policy with errors ends with 1 whoever looks at it."""
    if failure.code != _INVALID:
        return failure
    errors = findings_of(failure) if (failure.document or {}).get("problems") else []
    return Failure(
        f"the policy has {plural(len(errors), 'error')}" if errors else failure.what,
        why=[f"{each['place']}: {each['text']}" for each in errors] or failure.why,
        next_steps=failure.next_steps,
        exit_code=ExitCode.FAILED,
        document=failure.document,
    )


def _show_findings(findings: list[Json]) -> None:
    for each in findings:
        say(f"{each['place']}: ", state(each["severity"]), f": {each['text']}")
    errors = sum(each["severity"] == "error" for each in findings)
    warnings = len(findings) - errors
    if not findings:
        say("Nothing to object to.")
    else:
        say(f"{plural(errors, 'error')}, {plural(warnings, 'warning')}.")


def _show_applied(answer: Json) -> None:
    if not answer["changed"]:
        say(f"Nothing changed: version {answer['version']} is in force already.")
        return
    again = answer["reconsidered"]
    also = f"; {plural(len(again), 'pending request')} decided anew" if again else ""
    for each in answer["warnings"]:
        say(f"{each['place']}: ", state(each["severity"]), f": {each['text']}")
    say(f"Version {answer['version']} is in force{also}. Live grants follow within seconds.")
    say_next("daypass policy history")
