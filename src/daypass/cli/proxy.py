"""Open a local port that leads to a database, for tools that cannot keep a secret."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import quote

import typer

from daypass.cli.connection import connect
from daypass.cli.failure import Failure
from daypass.cli.gateway_address import access_token, way_to
from daypass.cli.options import DatabaseName, ReasonText
from daypass.cli.output import say, say_code
from daypass.cli.wording import read_duration

_CONNECT_S = 60.0


def proxy(
    database: DatabaseName,
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Local port; any free one if 0.")
    ] = 0,
    grant: Annotated[
        int | None, typer.Option("--grant", min=1, help="This grant; else the most specific.")
    ] = None,
    reason: ReasonText = "",
    wait: Annotated[
        str, typer.Option("--wait", metavar="DURATION", help="How long to wait for approval.")
    ] = "10m",
) -> None:
    """Open a port on 127.0.0.1 that leads to a database, in your name, until Ctrl-C.

    Tools connect to it without password and TLS; it signs in to the gateway with an access token
    made for this. Only connections of your own user on this machine are taken.
    """
    # Before there is a token: whoever stops it meanwhile leaves none behind.
    from daypass.domain.secret import Secret
    from daypass.local_port import serve_proxy
    from daypass.stopping import hold_signals

    client = connect()
    asked = [("grant", str(grant))] if grant is not None else []
    patience_s = read_duration(wait, "--wait").total_seconds()
    if reason:
        asked += [("reason", reason), ("wait", wait)]
    way = way_to(client, database, tuple(asked))
    # Held back until the token is known and whoever stops it is heard: it is revoked then.
    hold_signals(True)
    with access_token(client, f"proxy {database}") as token:

        def ready(at: int, user: str) -> None:
            say(f"{database} is at 127.0.0.1:{at}, for you alone, until Ctrl-C:")
            say(
                f"Every connection is under grant {grant}, unless its options name another."
                if grant is not None
                else "Each connection takes the live grant that comes first, and is told which; "
                "--grant or options=-c daypass.grant=N choose one."
            )
            name = user or way.user
            say_code(f"psql 'host=127.0.0.1 port={at} dbname={database} user={name}'")
            place = f"jdbc:postgresql://127.0.0.1:{at}/{quote(database, safe='')}"
            say_code(f"{place}?user={quote(name, safe='@')}")

        serving = serve_proxy(
            port,
            Secret(token),
            ready,
            host=way.host,
            port=way.port,
            user=way.user,
            database=way.database,
            certificate=way.certificate,
            encrypted=way.tls != "none",
            asked=way.asked,
            wait_s=_CONNECT_S + (patience_s if reason else 0),
        )
        try:
            asyncio.run(serving)
        except OSError as error:
            raise Failure(
                f"port {port} cannot be had", why=[error.strerror or str(error)]
            ) from error
