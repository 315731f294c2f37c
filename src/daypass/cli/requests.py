"""Look at requests, and take one's own back."""

from __future__ import annotations

from textwrap import shorten
from typing import Annotated

import typer

from daypass.cli.client import Json
from daypass.cli.connection import connect
from daypass.cli.follow import not_granted, show_opened, show_waiting, wait_for_decision, waits_for
from daypass.cli.options import AsJson, Limit, RequestNumber
from daypass.cli.output import say, say_next, show_facts, show_json, show_table, state
from daypass.cli.wording import read_duration, say_duration, say_left, say_moment
from daypass.domain.states import RequestState


def list_requests(
    to_decide: Annotated[
        bool, typer.Option("--to-decide", "-d", help="Only those that wait for your decision.")
    ] = False,
    mine: Annotated[bool, typer.Option("--mine", "-m", help="Only your own.")] = False,
    state_is: Annotated[
        RequestState | None, typer.Option("--state", "-s", help="Only those in this state.")
    ] = None,
    database: Annotated[str | None, typer.Option("--database", help="Only for this one.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List requests you may see, newest first."""
    found = list(
        connect().items(
            "/requests",
            limit=limit,
            awaiting_me=to_decide or None,
            mine=mine or None,
            state=state_is.value if state_is else None,
            database=database,
        )
    )
    if as_json:
        show_json({"items": found})
        return
    show_table(
        ("No.", "Who", "Database", "Asks for", "How long", "State", "Reason"),
        [
            (
                each["id"],
                each["requester"],
                each["database"],
                asks_for(each),
                ("+" if each["extends_grant_id"] else "") + say_duration(each["duration"]),
                state(each["state"]),
                each["reason"],
            )
            for each in found
        ],
        empty="No request waits for you." if to_decide else "There are no requests.",
        right=("No.",),
        keep=("How long", "State"),
    )
    waiting = [each for each in found if each["state"] == "pending"]
    if to_decide and waiting:
        number = waiting[0]["id"]
        say_next(f"daypass show {number}", f"daypass approve {number}")
    elif found:
        say_next(f"daypass show {found[0]['id']}")


def show(
    number: RequestNumber,
    wait: Annotated[
        str, typer.Option("--wait", metavar="DURATION", help="Wait so long for the decision.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show a request: what it asks for, whose yes it takes, and who has decided."""
    client = connect()
    found = client.get(f"/requests/{number}")
    if wait and found["state"] == "pending":
        patience = read_duration(wait, "--wait")
        found = wait_for_decision(client, number, patience)
        if not as_json and found["grant_id"] is not None:
            show_opened(client, found["grant_id"])
            return
    elif wait and found["state"] != "approved":
        raise not_granted(found)
    if as_json:
        show_json(found)
    else:
        _show(found)
    if wait and found["state"] == "pending":
        show_waiting(found, as_json=as_json)


def withdraw(
    number: RequestNumber,
    reason: Annotated[str, typer.Option("--reason", "-r")] = "",
    as_json: AsJson = False,
) -> None:
    """Take your own request back before it is decided."""
    client = connect()
    client.post(f"/requests/{number}/withdraw", {"reason": reason})
    if as_json:
        show_json(client.get(f"/requests/{number}"))
        return
    say(f"Request {number} is withdrawn; nobody needs to decide it any more.")


def asks_for(each: Json) -> str:
    """Say in short what a request or grant is for."""
    asked = each["asked"]
    if each["profile"]:
        return f"profile {each['profile']}"
    if asked["native_role"]:
        return f"role {asked['native_role']}"
    exact = asked.get("statements")
    if exact:
        return shorten(exact[0]["text"], 60, placeholder=" …") + (
            f" and {len(exact) - 1} more" if len(exact) > 1 else ""
        )
    what = f"{', '.join(asked['classes'])} on {', '.join(asked['relations'])}"
    return f"{what}, {', '.join(asked['unmask'])} in clear" if asked["unmask"] else what


def asked_facts(found: Json) -> list[tuple[str, object]]:
    """Return what a request or grant is for, name by name."""
    asked = found["asked"]
    return [
        ("database", found["database"]),
        ("profile", found["profile"]),
        ("classes", asked["classes"]),
        ("relations", asked["relations"]),
        ("in clear", asked["unmask"]),
        ("only rows", [f"{k}: {v}" for k, v in asked["row_filters"].items()]),
        ("settings", asked["settings"]),
        ("native role", asked["native_role"]),
        ("only", "\n".join(_exact(each) for each in asked.get("statements", ()))),
        ("credentials", found["direct_credentials"] and "direct: a login of one's own"),
        ("break-glass", found["break_glass"] or None),
    ]


def _exact(statement: Json) -> str:
    """Say all of a text that is approved by being read, and the values it is held to."""
    values = statement["parameters"]
    if values is None:
        return str(statement["text"])
    return f"{statement['text']} with " + ", ".join(
        "null" if each is None else repr(each) for each in values
    )


def _show(found: Json) -> None:
    pending = found["state"] == "pending"
    extends = found["extends_grant_id"]
    show_facts(
        [
            ("request", found["id"]),
            ("by", f"{found['requester_name']} <{found['requester']}>"),
            *asked_facts(found),
            ("extends", extends and f"grant {extends}"),
            ("for", say_duration(found["duration"])),
            ("from", say_moment(found["starts_at"])),
            ("reason", found["reason"]),
            ("ticket", found["ticket"]),
            ("rule", found["rule"]),
            ("state", state(found["state"])),
            ("because", found["decided_reason"]),
            ("waits for", (pending and waits_for(found)) or None),
            ("at most until", (pending and say_moment(found["pending_until"])) or None),
            ("grant", found["grant_id"]),
        ]
    )
    if found["steps"]:
        say()
        show_table(
            ("Step", "Needs", "From", ""),
            [
                (
                    number,
                    step["needed"],
                    ", ".join(step["approvers"]),
                    state("approved" if step["done"] else "waiting" if step["current"] else ""),
                )
                for number, step in enumerate(found["steps"], start=1)
            ],
            empty="",
        )
    for given in found["approvals"]:
        place = f" for {given['on_behalf_of']}" if given["on_behalf_of"] else ""
        old = " (no longer counts)" if given["round"] != found["round"] else ""
        comment = f": {given['comment']}" if given["comment"] else ""
        say(
            f"{say_moment(given['created_at'])} {given['approver']}{place} said ",
            state(given["verdict"]),
            f" to step {given['step']}{comment}{old}",
        )
    if found["awaits_me"]:
        say_next(f"daypass approve {found['id']}", f'daypass deny {found["id"]} --reason "…"')
    elif pending:
        say_next(f"daypass show {found['id']} --wait 10m  ({say_left(found['pending_until'])})")
    elif found["grant_id"]:
        say_next(f"daypass grant {found['grant_id']}")
