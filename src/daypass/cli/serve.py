"""Run Daypass."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure
from daypass.cli.output import say, say_next
from daypass.cli.wording import say_moment

if TYPE_CHECKING:
    from daypass.app import Running
    from daypass.domain.errors import Error


def serve(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", envvar="DAYPASS_CONFIG", help="Settings as TOML."
        ),
    ] = None,
) -> None:
    """Run Daypass in the foreground until Ctrl-C or TERM.

    Settings come from the file, then from DAYPASS_… in the environment; without a store of yours it
    starts a PostgreSQL of its own. While there is no admin, a one-time link to become the first one
    is printed.
    """
    import uvloop

    from daypass.app import configure_logging
    from daypass.app import serve as run
    from daypass.domain.errors import Error
    from daypass.settings import load_settings

    try:
        settings = load_settings(config, os.environ)
        configure_logging(settings.log_level)
        uvloop.run(run(settings, _announce))
    except Error as error:
        raise failure_of_error(error) from error


async def _announce(found: Running) -> None:
    say(f"Daypass answers at {found.url}")
    if found.gateway is not None:
        say(f"Clients of databases connect to {found.gateway.host}:{found.gateway.port}")
    if found.first_admin is not None:
        say(
            "There is no admin yet. Whoever opens this link first becomes one, until "
            f"{say_moment(found.first_admin.expires_at.isoformat())}:"
        )
        say(found.first_admin.url.reveal())
        say_next(f"open the link, then: daypass login {found.url}")
    else:
        say_next(f"daypass login {found.url}")
    say("Ctrl-C stops it.")


def failure_of_error(error: Error) -> Failure:
    """Turn an error of starting up into a failure: settings are input, the rest is a state."""
    from daypass.domain.errors import Conflict, Invalid, Unavailable

    problems = error.problems if isinstance(error, Invalid) else ()
    exit_code = ExitCode.FAILED
    for kind, code in (
        (Invalid, ExitCode.USAGE),
        (Unavailable, ExitCode.UNAVAILABLE),
        (Conflict, ExitCode.CONFLICT),
    ):
        if isinstance(error, kind):
            exit_code = code
    return Failure(
        "Daypass does not start with these settings" if problems else error.message,
        why=[f"{place}: {problem}" for place, problem in problems],
        next_steps=[error.next_step],
        exit_code=exit_code,
    )
