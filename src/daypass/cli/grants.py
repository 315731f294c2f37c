"""Look at grants."""

from __future__ import annotations

from typing import Annotated

import typer

from daypass.cli.client import Json
from daypass.cli.connection import connect
from daypass.cli.follow import grant_sentence, next_commands, show_blocked
from daypass.cli.options import AsJson, GrantNumber, Limit
from daypass.cli.output import plural, say, say_next, show_facts, show_json, show_table, state
from daypass.cli.requests import asked_facts, asks_for
from daypass.cli.wording import say_left, say_moment

_LIVE = ("scheduled", "active", "revoking")


def list_grants(
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Those that are over, too.")
    ] = False,
    mine: Annotated[bool, typer.Option("--mine", "-m", help="Only your own.")] = False,
    database: Annotated[str | None, typer.Option("--database", help="Only on this one.")] = None,
    to_review: Annotated[
        bool, typer.Option("--to-review", help="Break-glass grants nobody has judged yet.")
    ] = False,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List grants you may see and the time they have left, newest first."""
    found = list(
        connect().items(
            "/grants",
            limit=limit,
            mine=mine or None,
            database=database,
            unreviewed=to_review or None,
            state=None if everything or to_review else _LIVE,
        )
    )
    if as_json:
        show_json({"items": found})
        return
    show_table(
        ("No.", "Who", "Database", "Opens", "Time", "State"),
        [
            (
                each["id"],
                each["principal"],
                each["database"],
                asks_for(each) + _glass(each),
                _time(each),
                state(each["state"]),
            )
            for each in found
        ],
        empty="There are no break-glass grants to review."
        if to_review
        else "There are no grants."
        if everything
        else "There are no live grants.",
        right=("No.",),
        keep=("Time", "State"),
    )
    if not found and not to_review:
        say_next("daypass databases")
    elif to_review and found:
        say_next(f'daypass review {found[0]["id"]} --justified --comment "…"')
    elif found:
        say_next(f"daypass grant {found[0]['id']}")


def _glass(grant: Json) -> str:
    if not grant["break_glass"]:
        return ""
    return " (break-glass, review overdue)" if grant["review_overdue"] else " (break-glass)"


def _reviewed(grant: Json) -> str:
    if grant["reviewed"]:
        return "yes"
    return "no, and it is overdue" if grant["review_overdue"] else "no"


def show_grant(number: GrantNumber, as_json: AsJson = False) -> None:
    """Show a grant: what it opens, with which masks, and how it ends."""
    grant = connect().get(f"/grants/{number}")
    if as_json:
        show_json(grant)
        return
    if grant["state"] in ("scheduled", "active"):
        say(grant_sentence(grant))
    limits = {name: value for name, value in grant["limits"].items() if value is not None}
    show_facts(
        [
            ("holder", f"{grant['principal_name']} <{grant['principal']}>"),
            *asked_facts(grant),
            ("rule", grant["rule"]),
            ("limits", limits),
            ("state", state(grant["state"])),
            ("time", _time(grant)),
            ("ended", _end(grant)),
            ("revocation", grant["revoke_error"] and f"retried: {grant['revoke_error']}"),
            ("reviewed", _reviewed(grant) if grant["break_glass"] else None),
        ]
    )
    _show_scope(grant)
    if grant["state"] == "active" and not grant["blocked"]:
        say_next(*next_commands(grant), f"daypass release {number}")
    elif grant["state"] == "revoked":
        say_next(f"daypass receipt {number}")


def _show_scope(grant: Json) -> None:
    if grant["blocked"]:
        show_blocked(grant["database"], grant["blocked"])
    for each in grant["left_out"]:
        say(f"Left out: {each['name']}: {each['reason']}")
    relations = (grant["scope"] or {}).get("relations") or []
    if not relations:
        return
    say()
    show_table(
        ("Relation", "Classes", "Masked", "Rows"),
        [
            (
                each["name"],
                ", ".join(each["classes"]),
                _masks(each),
                " and ".join(f["text"] for f in each["filters"]) or "all",
            )
            for each in relations[:40]
        ],
        empty="",
    )
    if len(relations) > 40:
        say(f"… and {plural(len(relations) - 40, 'more relation', 'more relations')} (--json)")


def _masks(relation: Json) -> str:
    masked = [c for c in relation["columns"] if c["mask"]]
    if not masked:
        return "nothing"
    if len(masked) == len(relation["columns"]) and len({c["mask"] for c in masked}) == 1:
        return f"everything: {masked[0]['mask']}"
    return ", ".join(f"{c['name']}: {c['mask']}" for c in masked)


def _time(grant: Json) -> str:
    match grant["state"]:
        case "scheduled":
            return f"from {say_moment(grant['starts_at'])} until {say_moment(grant['deadline'])}"
        case "active":
            return f"{say_left(grant['deadline'])}, until {say_moment(grant['deadline'])}"
        case _:
            return say_left(grant["ended_at"] or grant["deadline"])


def _end(grant: Json) -> str:
    if not grant["end_cause"]:
        return ""
    by = f" by {grant['ended_by']}" if grant["ended_by"] else ""
    reason = f": {grant['end_reason']}" if grant["end_reason"] else ""
    return f"{grant['end_cause'].replace('_', ' ')}{by} at {say_moment(grant['ended_at'])}{reason}"
