"""Add and look after database servers."""

from __future__ import annotations

import getpass
import sys
import time
from datetime import timedelta
from typing import Annotated

import typer

from daypass.cli.client import Json, database_path, part
from daypass.cli.commands import group_of
from daypass.cli.connection import connect
from daypass.cli.exits import ExitCode
from daypass.cli.failure import usage
from daypass.cli.options import AsJson, InstanceName
from daypass.cli.output import (
    error_console,
    plural,
    say,
    say_code,
    say_next,
    show_facts,
    show_json,
    show_table,
    state,
)
from daypass.cli.pairs import read_pairs
from daypass.cli.wording import read_duration, say_left, say_moment, write_span

app = group_of("Add and look after the database servers that Daypass manages.")


@app.command()
def add(
    name: InstanceName,
    host: Annotated[str, typer.Option("--host", help="Where it is.")],
    admin: Annotated[
        str, typer.Option("--admin", metavar="USER", help="Daypass's own account there.")
    ],
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535)] = None,
    engine: Annotated[str, typer.Option("--engine", help="Kind of server.")] = "postgres",
    secret: Annotated[
        str,
        typer.Option("--secret", metavar="REFERENCE", help="env:NAME or file:/PATH on the server."),
    ] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the admin's password from stdin.")
    ] = False,
    tls: Annotated[
        str, typer.Option("--tls", help="disable, prefer, require, verify-ca or verify-full.")
    ] = "prefer",
    databases: Annotated[
        list[str] | None, typer.Option("--database", help="Only this one; again for more.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Of each database.")
    ] = None,
    owners: Annotated[
        list[str] | None, typer.Option("--owner", metavar="GROUP", help="Of each database.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a server: it is tried and its catalogs are read, or nothing is added."""
    body: Json = {
        "name": name,
        "engine": engine,
        "host": host,
        "port": port,
        "admin_user": admin,
        "tls_mode": tls,
        "database_labels": read_pairs(labels, "--label"),
        "owners": owners or [],
    }
    if databases:
        body["databases"] = [{"name": each} for each in databases]
    if secret:
        body["secret_reference"] = secret
    else:
        body["password"] = _password(from_stdin=password_stdin)
    client = connect()
    with error_console().status(f"trying {host} and reading its catalogs"):
        answer = client.post("/instances", body, so=f"{name} is not added")
    if as_json:
        show_json(answer)
        return
    found = ", ".join(sorted(answer["databases"])) or "none"
    say(f"{name} is added with {plural(len(answer['databases']), 'database')}: {found}.")
    _show_warnings(answer["warnings"])
    say_next(f"daypass doctor {name}", f"daypass tag suggest {name}/…", "daypass policy check …")


@app.command("list")
def list_instances(as_json: AsJson = False) -> None:
    """List the servers you may see."""
    answer = connect().get("/instances")
    if as_json:
        show_json(answer)
        return
    show_table(
        ("Instance", "Engine", "Where", "Last seen", ""),
        [
            (
                each["name"],
                each["engine"],
                _where(each),
                say_moment(each["last_contact_at"]),
                _trouble(each),
            )
            for each in answer["items"]
        ],
        empty="There are no instances.",
    )


@app.command()
def show(name: InstanceName, as_json: AsJson = False) -> None:
    """Show a server and its databases."""
    client = connect()
    each = client.get(f"/instances/{part(name)}")
    databases = client.get("/databases", instance=name)["items"]
    if as_json:
        show_json({**each, "databases": databases})
        return
    address = each["address"] or {}
    show_facts(
        [
            ("instance", each["name"]),
            ("engine", each["engine"]),
            ("where", _where(each)),
            ("admin", address.get("admin_user")),
            ("its secret", address.get("secret_kind")),
            ("TLS", address.get("tls_mode")),
            ("labels", each["labels"]),
            ("last seen", say_moment(each["last_contact_at"])),
            ("trouble", _trouble(each)),
        ]
    )
    say()
    show_table(
        ("Database", "Labels", "Owners", "Catalog read"),
        [(d["path"], d["labels"], d["owners"], say_moment(d["synced_at"])) for d in databases],
        empty="No database of it is managed.",
    )


@app.command()
def change(
    name: InstanceName,
    host: Annotated[str | None, typer.Option("--host")] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535)] = None,
    admin: Annotated[str | None, typer.Option("--admin", metavar="USER")] = None,
    secret: Annotated[str | None, typer.Option("--secret", metavar="REFERENCE")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin")] = False,
    tls: Annotated[str | None, typer.Option("--tls")] = None,
    as_json: AsJson = False,
) -> None:
    """Change where a server is or how Daypass signs in; it is tried first."""
    body: Json = {
        "host": host,
        "port": port,
        "admin_user": admin,
        "secret_reference": secret,
        "password": _password(from_stdin=True) if password_stdin else None,
        "tls_mode": tls,
    }
    given = {key: value for key, value in body.items() if value is not None}
    if not given:
        raise usage("nothing to change", next_step=f"daypass instance change {name} --host …")
    answer = connect().patch(f"/instances/{part(name)}", given, so=f"{name} stays as it is")
    if as_json:
        show_json(answer)
        return
    say(f"{name} is changed.")
    _show_warnings(answer["warnings"])


@app.command()
def sync(name: InstanceName, as_json: AsJson = False) -> None:
    """Read the catalogs of all databases of a server now."""
    client = connect()
    paths = [each["path"] for each in client.get("/databases", instance=name)["items"]]
    answers = {path: client.post(database_path(path, "/sync")) for path in paths}
    if as_json:
        show_json(answers)
        return
    for path, answer in answers.items():
        say(sync_sentence(path, answer))


@app.command("yield")
def step_aside(
    name: InstanceName,
    duration: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="For how long.")
    ] = "30m",
    notice: Annotated[
        str, typer.Option("--notice", metavar="DURATION", help="Time for people to finish.")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", "-r", help="What it yields to.")] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until nothing of Daypass is in the way.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Step aside for a migration: sessions end, and no view is in its way.

    Grants stay, with their deadlines; what they need is made again afterwards.
    """
    if not reason.strip():
        raise usage("say what it yields to", next_step=f'daypass instance yield {name} -r "…"')
    client = connect()
    body: Json = {"duration": write_span(read_duration(duration, "--for")), "reason": reason}
    patience = timedelta(minutes=2)
    if notice:
        body["notice"] = write_span(read_duration(notice, "--notice"))
        patience += read_duration(notice, "--notice")
    answer = client.post(f"/instances/{part(name)}/yield", body, so=f"{name} does not step aside")
    until = time.monotonic() + patience.total_seconds()
    with error_console().status(f"waiting for sessions on {name} to end"):
        while wait and not answer["clear"] and time.monotonic() < until:
            time.sleep(0.5)
            answer = client.get(f"/instances/{part(name)}/yield")
    if as_json:
        show_json(answer)
    else:
        say(f"{name} stepped aside until {say_moment(answer['until'])}: {_in_the_way(answer)}.")
        say_next(f"daypass instance resume {name}  (when the migration is done)")
    if wait and not answer["clear"]:
        raise typer.Exit(ExitCode.WAITING)


@app.command()
def resume(name: InstanceName, as_json: AsJson = False) -> None:
    """Let sessions open again after a migration."""
    client = connect()
    client.post(f"/instances/{part(name)}/resume")
    if as_json:
        show_json(client.get(f"/instances/{part(name)}/yield"))
        return
    say(f"Sessions open on {name} again.")


@app.command()
def remove(
    name: InstanceName,
    reason: Annotated[str, typer.Option("--reason", "-r")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Even if grants cannot be revoked there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """End every grant on a server, then forget it."""
    if not reason.strip():
        raise usage("say why it is removed", next_step=f'daypass instance remove {name} -r "…"')
    connect().post(
        f"/instances/{part(name)}/remove",
        {"reason": reason, "force": force},
        so=f"{name} is not removed",
    )
    if as_json:
        show_json({"removed": name})
        return
    say(f"{name} is removed; every grant on it is over.")


@app.command()
def databases(name: InstanceName, as_json: AsJson = False) -> None:
    """List the databases of a server."""
    from daypass.cli.database import list_databases

    list_databases(instance=name, as_json=as_json)


def sync_sentence(path: str, answer: Json) -> str:
    """Say what a new reading of a catalog brought."""
    if not answer["changed"]:
        return f"{path}: nothing changed (version {answer['version']})."
    parts = [
        f"{plural(len(answer[key]), what)} {how}"
        for key, what, how in (
            ("added_relations", "relation", "added"),
            ("removed_relations", "relation", "removed"),
            ("added_columns", "column", "added"),
            ("removed_columns", "column", "removed"),
            ("retyped_columns", "column", "of another type"),
        )
        if answer[key]
    ]
    more = ", ".join(parts) or "privileges, views, functions or settings differ"
    return f"{path}: version {answer['version']}; {more}."


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise usage("how does Daypass sign in there?", next_step="add --secret or --password-stdin")
    return getpass.getpass("The admin's password: ")


def _show_warnings(warnings: list[Json]) -> None:
    for each in warnings:
        say(state(each["severity"]), f": {each['text']}")
        say_code(each["mend"])


def _where(each: Json) -> str:
    address = each["address"]
    return f"{address['host']}:{address['port']}" if address else ""


def _trouble(each: Json) -> str:
    if each["yielded_until"]:
        return f"stepped aside, {say_left(each['yielded_until'])}"
    return each["last_error"] or ""


def _in_the_way(answer: Json) -> str:
    if answer["clear"]:
        return "nothing of Daypass is in the way"
    if answer["sessions_end_at"] and answer["open_sessions"]:
        ends = say_moment(answer["sessions_end_at"])
        return f"{plural(answer['open_sessions'], 'session')} until {ends}"
    sessions, scopes = plural(answer["open_sessions"], "session"), plural(answer["scopes"], "scope")
    return f"{sessions} and {scopes} are still there"
