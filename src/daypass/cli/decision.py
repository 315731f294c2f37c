"""Show what policy would decide, and what would be seen."""

from __future__ import annotations

from typing import Final

from daypass.cli.client import Json
from daypass.cli.exits import ExitCode
from daypass.cli.follow import show_blocked
from daypass.cli.output import plural, say, show_facts, show_table, state
from daypass.cli.wording import say_duration, say_moment

_EXITS: Final = {
    "allowed": ExitCode.OK,
    "denied": ExitCode.DENIED,
    "needs_approval": ExitCode.WAITING,
}
_MOST_MASKED: Final = 12


def what_if_exit(answer: Json) -> ExitCode:
    """Return the exit code of a decision that nobody acts on."""
    found = _EXITS[answer["decision"]["outcome"]]
    return ExitCode.WAITING if found is ExitCode.OK and answer["blocked"] else found


def show_what_if(database: str, answer: Json, *, every_rule: bool = False) -> None:
    """Show a decision with its reasons, its rules, and the columns it would mask."""
    decision = answer["decision"]
    say(
        state(decision["outcome"]),
        f": {database} for {say_duration(answer['duration'])}, decided as of "
        f"{say_moment(answer['at'])}; nothing was filed",
    )
    for reason in decision["reasons"]:
        say(f"  {reason['text']}")
    if decision["next_step"] and decision["outcome"] == "denied":
        say(f"→ {decision['next_step']}")
    if every_rule:
        _show_rules(answer["rules"])
    if decision["outcome"] != "denied":
        _show_seen(answer)
        if answer["blocked"]:
            say("Blocked: it would open nothing now, until an owner mends or accepts this.")
            show_blocked(database, answer["blocked"])


def _show_rules(rules: list[Json]) -> None:
    say()
    show_table(
        ("Rule", "Says", "Why", "At"),
        [
            (
                rule["rule"],
                state(rule["result"]),
                rule["text"] + ("; would match" if rule["would_match"] else ""),
                rule["place"],
            )
            for rule in rules
        ],
        empty="There are no rules.",
    )


def _show_seen(answer: Json) -> None:
    relations = answer["relations"]
    masked = [
        (f"{relation['name']}.{column['name']}", column["mask"], column["rule"] or "")
        for relation in relations
        for column in relation["columns"]
        if column["mask"]
    ]
    filtered = [(relation["name"], each) for relation in relations for each in relation["filters"]]
    say()
    show_facts(
        [
            ("would see", plural(len(relations), "relation")),
            ("masked", plural(len(masked), "column")),
        ]
    )
    if masked:
        show_table(("Column", "Mask", "Rule"), masked[:_MOST_MASKED], empty="")
        if len(masked) > _MOST_MASKED:
            say(f"… and {len(masked) - _MOST_MASKED} more (--json lists all)")
    if filtered:
        show_table(("Relation", "Only rows where"), filtered, empty="")
    for each in answer["left_out"]:
        say(f"Left out: {each['name']}: {each['reason']}")
