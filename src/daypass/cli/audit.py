"""Read the audit log."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from daypass.cli.audit_check import (
    checkpoint,
    consistency,
    new_key,
    prove,
    public_key,
    verify,
    verify_proof,
    witness,
)
from daypass.cli.client import Client, Json, database_path
from daypass.cli.commands import group_of
from daypass.cli.connection import connect
from daypass.cli.options import AsJson, Limit
from daypass.cli.output import plural, say_next, show_facts, show_json, show_table
from daypass.cli.wording import moment_of, now

app = group_of("Read the audit log, and check it.")
app.command()(verify)
app.command("key")(public_key)
app.command()(checkpoint)
app.command()(prove)
app.command("verify-proof")(verify_proof)
app.command()(consistency)
app.command()(witness)
app.command("new-key")(new_key)

_TELLING = ("text", "verdict", "reason", "comment", "note", "deadline", "account", "change")
_LONGEST = 60
_LOOK_BACK = 2000


@app.command("list")
def list_entries(
    kind: Annotated[
        str | None, typer.Option("--kind", "-k", help="Such as grant, or statement.denied.")
    ] = None,
    actor: Annotated[str | None, typer.Option("--by", help="Somebody's e-mail address.")] = None,
    database: Annotated[str | None, typer.Option("--database", help="Only about this one.")] = None,
    request: Annotated[int | None, typer.Option("--request", min=1)] = None,
    grant: Annotated[int | None, typer.Option("--grant", min=1)] = None,
    limit: Limit = 30,
    as_json: AsJson = False,
) -> None:
    """List entries, newest first: all for admins and auditors, for others what they did."""
    client = connect()
    database_id = client.get(database_path(database))["id"] if database else None
    found = list(
        client.items(
            "/entries",
            limit=limit,
            kind=kind,
            actor=actor,
            database_id=database_id,
            request_id=request,
            grant_id=grant,
        )
    )
    if as_json:
        show_json({"items": found})
        return
    show_table(
        ("No.", "At", "What", "Who", "About", "Says"),
        [
            (
                each["id"],
                _at(each["at"]),
                each["kind"],
                who_of(each),
                about_of(each),
                says_of(each),
            )
            for each in found
        ],
        empty="There are no such entries.",
        right=("No.",),
        keep=("At", "What"),
    )
    if found:
        say_next(f"daypass audit show {found[0]['id']}")


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="As in `audit list`.")],
    as_json: AsJson = False,
) -> None:
    """Show an entry whole, with the text its digest is of."""
    client = connect()
    each = client.get(f"/entries/{number}")
    if as_json:
        show_json(each)
        return
    began = _began(client, each) if each["kind"] == "statement.ended" else None
    show_facts(
        [
            ("entry", each["id"]),
            ("at", each["at"]),
            ("what", each["kind"]),
            ("who", who_of(each)),
            ("on behalf of", each["on_behalf_of"]),
            ("from", ", ".join(x for x in (each["address"], each["application"]) if x)),
            ("about", about_of(each)),
            ("rule", each["rule"]),
            *((name.replace("_", " "), _value(it)) for name, it in each["content"].items()),
            ("began with", began and f"entry {began['id']}"),
            ("its text", began and began["content"].get("text")),
            ("SHA-256", each["digest"]),
        ]
    )


def _began(client: Client, ended: Json) -> Json | None:
    """Return the entry of a statement's start, which has its text, if it is among the newest."""
    reference = ended["content"].get("statement")
    found = client.items(
        "/entries", limit=_LOOK_BACK, kind="statement.started", grant_id=ended["grant_id"]
    )
    return next((each for each in found if each["content"].get("statement") == reference), None)


def _value(it: object) -> object:
    return json.dumps(it, ensure_ascii=False) if isinstance(it, dict | list) and it else it


def _at(moment: str) -> str:
    then = moment_of(moment)
    return f"{then:%H:%M:%S}" if then.date() == now().date() else f"{then:%Y-%m-%d %H:%M:%S}"


def who_of(each: Json) -> str:
    """Say who did it: a login that failed is by whoever it was tried for, if anybody."""
    if each["kind"] == "login.failed":
        return f"as {each['subject']}" if each["subject"] else "somebody unknown"
    return str(each["actor"] or "Daypass")


def about_of(each: Json) -> str:
    """Say what it is about: database or instance, person, and the numbers."""
    content = each["content"]
    instance = content.get("instance")
    parts = [
        str(each["database"] or content.get("database") or ""),
        instance if isinstance(instance, str) and not each["database"] else "",
        f"group {content['group']}" if content.get("group") else "",
        each["subject"] or "" if each["kind"] != "login.failed" else "",
        *(
            f"{name} {each[f'{name}_id']}"
            for name in ("request", "grant", "session")
            if each[f"{name}_id"] is not None
        ),
    ]
    return ", ".join(part for part in parts if part)


def says_of(each: Json) -> str:
    """Say what happened in a line: what tells most of its kind first, then why."""
    content = each["content"]
    told = [
        f"{content['key']}:" if content.get("key") else "",
        f"version {content['version']}" if each["kind"].startswith("policy.") else "",
        _changes(content),
        *_told_of(each["kind"], content),
        *(str(content[name]) for name in _TELLING if content.get(name)),
    ]
    flat = " ".join(" ".join(part for part in told if part).split()) or each["rule"] or ""
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"


def _told_of(kind: str, content: Json) -> tuple[str, ...]:
    """Say what only entries of this kind have."""
    match kind:
        case "statement.ended":
            parts = (
                content.get("outcome"),
                content.get("sqlstate") and f"SQLSTATE {content['sqlstate']}",
                "rows" in content and plural(content["rows"], "row"),
                "duration_us" in content and f"{content['duration_us'] / 1000:.1f} ms",
            )
            return (", ".join(part for part in parts if part),)
        case "grant.shortened":
            return (f"{_at(content['from'])} → {_at(content['to'])}",)
        case "token.issued" | "token.revoked":
            name = f" {content['name']!r}" if content.get("name") else ""
            with_one = content.get("with_token") or content.get("issued_with")
            how = f", with token {with_one}" if with_one else ""
            able = ", ".join(content.get("capabilities", ()))
            return (f"token {content['token']}{name}{how}{able and f': {able}'}",)
        case "login.failed":
            return ("no token fits" if content.get("by") == "gateway" else "wrong password",)
        case _:
            return ()


def _changes(content: Json) -> str:
    """Name what differs between `before` and `after`, or what was asked and was denied."""
    before, after = content.get("before"), content.get("after")
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in after if after[name] != before.get(name)]
        if content.get("credential_changed"):
            names.append("credential")
        return f"changed {', '.join(names)}" if names else ""
    decision = content.get("decision")
    if isinstance(decision, dict):
        texts = [str(each["text"]) for each in decision.get("reasons", ())]
        return "; ".join(texts)
    return ""
