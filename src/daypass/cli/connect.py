"""Open a client on a database through the gateway, or say how."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from daypass.cli import ask
from daypass.cli.connection import connect as connected
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure
from daypass.cli.gateway_address import (
    Way,
    access_token,
    kept_certificate,
    own_environment,
    private_files,
    way_to,
)
from daypass.cli.options import AsJson, DatabaseName
from daypass.cli.output import note, say, say_code, say_next, show_json
from daypass.cli.wishes import merge_wishes

_PASSWORD = (
    "the password is an access token: daypass tokens issue NAME; one with --may connect alone uses "  # noqa: S105  # says where one is had
    "the grants you have, and files no request"
)


def connect(
    database: DatabaseName,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PSQL ARGUMENTS]", help="After --: passed on, such as -c or -f."),
    ] = None,
    grant: Annotated[
        int | None, typer.Option("--grant", min=1, help="This grant; else the most specific.")
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="Without a grant: ask for one, and say why.")
    ] = "",
    ticket: ask.Ticket = "",
    profile: ask.Profile = "",
    classes: ask.Classes = None,
    relations: ask.Relations = None,
    unmask: ask.Unmask = None,
    duration: ask.Duration = "",
    wait: Annotated[
        str,
        typer.Option("--wait", metavar="DURATION", help="How long to wait for approval; else 10m."),
    ] = "",
    show: Annotated[
        bool, typer.Option("--print", help="Open nothing: print URL, psql, JDBC and environment.")
    ] = False,
    service: Annotated[
        bool, typer.Option("--service", help="Open nothing: print an entry of pg_service.conf.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Open psql on a database through the gateway, with everything set.

    It gets an access token made for this, which is in no argument and no environment, and is
    revoked when psql ends. What PGOPTIONS says is kept, except where an option here says it anew.
    --json opens nothing either: it prints where to connect, for programs.
    """
    given = {
        "grant": str(grant or ""),
        "reason": reason,
        "ticket": ticket,
        "profile": profile,
        "classes": ",".join(each.value for each in classes or ()),
        "relations": ",".join(relations or ()),
        "unmask": ",".join(unmask or ()),
        "for": duration,
        "wait": wait,
    }
    wishes = merge_wishes(given, os.environ.get("PGOPTIONS", ""))
    client = connected()
    way = way_to(client, database, wishes.asked, wishes.settings)
    if as_json:
        show_json({**asdict(way), "sslmode": way.sslmode, "options": way.options})
    elif service:
        _print_service(way)
    elif show:
        _print_forms(way)
    else:
        with access_token(client, f"connect {database}") as token:
            code = _run_psql(way, token, arguments or [])
        raise typer.Exit(code)


def _run_psql(way: Way, token: str, arguments: list[str]) -> int:
    program = shutil.which("psql")
    if program is None:
        raise Failure(
            "psql is not installed",
            next_steps=[f"daypass connect {way.database} --print shows what other clients need"],
            exit_code=ExitCode.UNAVAILABLE,
        )
    with private_files(way, token) as found:
        # Ctrl-C is for psql, which cancels what runs.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return subprocess.run(
                [program, *arguments],
                env={**own_environment(), **found},
                check=False,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            ).returncode
        finally:
            signal.signal(signal.SIGINT, before)


def _print_forms(way: Way) -> None:
    certificate = kept_certificate(way)
    settings = _settings(way, certificate)
    say("URL")
    say_code(
        f"postgresql://{quote(way.user, safe='')}@{_host(way)}:{way.port}/"
        f"{quote(way.database, safe='')}?{urlencode(settings, quote_via=quote)}"
    )
    say("psql")
    words = {"host": way.host, "port": str(way.port), "user": way.user, "dbname": way.database}
    say_code('psql "' + " ".join(f"{k}={_word(v)}" for k, v in {**words, **settings}.items()) + '"')
    say("JDBC")
    jdbc = {"user": way.user, **settings}
    say_code(
        f"jdbc:postgresql://{_host(way)}:{way.port}/{quote(way.database, safe='')}"
        f"?{urlencode(jdbc, quote_via=quote)}"
    )
    say("Environment")
    names = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "options": "PGOPTIONS"}
    lines = [
        f"export PGHOST={way.host} PGPORT={way.port}",
        f"export PGUSER={way.user} PGDATABASE={way.database}",
        *(f"export {names[key]}={shlex.quote(value)}" for key, value in settings.items()),
    ]
    say_code("\n".join(lines))
    note(_PASSWORD)
    say_next(f"daypass connect {way.database}", "daypass tokens issue laptop")


def _print_service(way: Way) -> None:
    name = way.database.replace("/", "-")
    print(f"[{name}]")
    fields = {"host": way.host, "port": str(way.port), "user": way.user, "dbname": way.database}
    for key, value in {**fields, **_settings(way, kept_certificate(way))}.items():
        print(f"{key}={value}")
    note(f"append it to ~/.pg_service.conf, then: psql service={name}; {_PASSWORD}")


def _settings(way: Way, certificate: Path | None) -> dict[str, str]:
    settings = {"sslmode": way.sslmode}
    if certificate is not None:
        settings["sslrootcert"] = str(certificate)
    if way.options:
        settings["options"] = way.options
    return settings


def _host(way: Way) -> str:
    return f"[{way.host}]" if ":" in way.host else way.host


def _word(value: str) -> str:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'" if not value or any(c.isspace() or c in "'\\" for c in value) else value
