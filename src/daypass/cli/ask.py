"""What may be said of an ask, and the body the API takes for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from daypass.cli.client import Json
from daypass.cli.failure import usage
from daypass.cli.wording import now, read_duration, read_moment, write_span
from daypass.domain.statement_class import StatementClass

Profile = Annotated[
    str, typer.Option("--profile", "-p", help="A scope that policy names, such as oncall-read.")
]
Classes = Annotated[
    list[StatementClass] | None,
    typer.Option(
        "--class", "-c", help="A kind of statement; again for more. Without: explain and select."
    ),
]
Relations = Annotated[
    list[str] | None,
    typer.Option(
        "--relation", "-t", metavar="GLOB", help="schema.name, or sales.*; again for more."
    ),
]
Unmask = Annotated[
    list[str] | None,
    typer.Option(
        "--unmask", metavar="GLOB", help="Columns to see in clear: sales.customers.email."
    ),
]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", metavar="GLOB=SQL", help="Fewer rows: \"sales.orders=region = 'EU'\"."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A session setting: app.tenant=acme."),
]
NativeRole = Annotated[
    str,
    typer.Option("--native-role", help="A role the database has of itself, instead of a scope."),
]
Statements = Annotated[
    list[str] | None,
    typer.Option(
        "--statement", metavar="SQL", help="Only this very text may be sent; again for more."
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter", metavar="VALUE", help="What $1, $2 … of the one --statement must be."
    ),
]
Duration = Annotated[str, typer.Option("--for", metavar="DURATION", help="For how long: 2h, 30m.")]
Until = Annotated[
    str, typer.Option("--until", metavar="MOMENT", help="Until when: 18:00, +2h, 2026-11-24T18:00.")
]
Start = Annotated[
    str, typer.Option("--start", metavar="MOMENT", help="From when on; else at once.")
]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; approvers read it.")]
Ticket = Annotated[str, typer.Option("--ticket", help="A ticket elsewhere, such as INC-42.")]
Direct = Annotated[bool, typer.Option("--direct", help="With host, user and password of your own.")]
BreakGlass = Annotated[
    bool,
    typer.Option("--break-glass", help="At once, told to all concerned, reviewed afterwards."),
]


def ask_body(
    database: str,
    *,
    profile: str = "",
    classes: list[StatementClass] | None = None,
    relations: list[str] | None = None,
    unmask: list[str] | None = None,
    filters: list[str] | None = None,
    settings: list[str] | None = None,
    native_role: str = "",
    statements: list[str] | None = None,
    parameters: list[str] | None = None,
    duration: str = "",
    until: str = "",
    start: str = "",
    reason: str = "",
    ticket: str = "",
    direct: bool = False,
    break_glass: bool = False,
) -> Json:
    """Return the body of an ask; what it does not say is the profile's, or policy's."""
    if "/" not in database.strip("/"):
        raise usage(
            f"{database!r} is no database", next_step="write instance/database, such as prod/shop"
        )
    exact = _exact(statements, parameters)
    if exact and (classes or relations):
        raise usage(
            "--statement says by itself which --class and --relation it needs",
            next_step="leave them out",
        )
    whole = not (profile or native_role or exact)
    usual = _usual(whole=not (profile or exact))
    body: Json = {
        "database": database,
        "profile": profile,
        "classes": sorted(each.value for each in classes or usual),
        "relations": relations or (["*.*"] if whole else []),
        "unmask": unmask or [],
        "row_filters": _pairs(filters, "--filter", "sales.orders=region = 'EU'"),
        "settings": _pairs(settings, "--set", "app.tenant=acme"),
        "reason": reason,
        "ticket": ticket,
        "direct_credentials": direct,
        "break_glass": break_glass,
    }
    if native_role:
        body["native_role"] = native_role
    if exact:
        body["statements"] = exact
    starts_at = read_moment(start, "--start") if start else None
    if starts_at is not None:
        body["starts_at"] = starts_at.isoformat()
    if duration and until:
        raise usage("--for and --until say the same thing twice", next_step="keep one of them")
    if duration:
        body["duration"] = write_span(read_duration(duration, "--for"))
    if until:
        lasting = read_moment(until, "--until", at=starts_at) - (starts_at or now())
        if lasting < timedelta(seconds=1):
            raise usage(f"--until: {until} is over before it starts")
        body["duration"] = write_span(timedelta(seconds=round(lasting.total_seconds())))
    return body


def _usual(*, whole: bool) -> list[StatementClass]:
    return [StatementClass.EXPLAIN, StatementClass.SELECT] if whole else []


def _exact(statements: list[str] | None, parameters: list[str] | None) -> list[Json]:
    if parameters and len(statements or ()) != 1:
        raise usage("--parameter goes with one --statement")
    return [{"text": each, "parameters": parameters or None} for each in statements or ()]


def _pairs(given: list[str] | None, option: str, example: str) -> dict[str, str]:
    pairs = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not (equals and name.strip()):
            raise usage(f"{option}: {each!r} has no NAME=VALUE", next_step=f'{option} "{example}"')
        pairs[name.strip()] = value.strip() if option == "--filter" else value
    return pairs
