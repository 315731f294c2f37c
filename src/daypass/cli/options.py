"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the API's answer as JSON, errors too (on stderr).")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")]


def _databases(incomplete: str) -> list[str]:
    """Complete the name of a database, or nothing where no server says any quickly."""
    from daypass.cli.client import Client
    from daypass.cli.connection import connect
    from daypass.cli.failure import Failure

    try:
        known: Client = connect()
        known.timeout_s = 2
        found = [str(each["path"]) for each in known.get("/databases")["items"]]
    except Failure:
        return []
    return [each for each in found if each.startswith(incomplete)]


DatabaseName = Annotated[
    str,
    typer.Argument(
        metavar="DATABASE",
        help="instance/database, such as prod/shop.",
        autocompletion=_databases,
    ),
]
GrantNumber = Annotated[int, typer.Argument(metavar="GRANT", min=1, help="A grant's number.")]
RequestNumber = Annotated[int, typer.Argument(metavar="REQUEST", min=1, help="A request's number.")]
ReasonText = Annotated[str, typer.Option("--reason", "-r", help="Why; others will read it.")]
InstanceName = Annotated[str, typer.Argument(metavar="INSTANCE", help="Such as prod.")]
