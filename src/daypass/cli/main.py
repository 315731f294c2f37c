"""The command line `daypass`."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from daypass.cli.commands import Commands


class App(typer.Typer):
    """The app, ending every failure with its three parts and its exit code."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command that was typed; this never returns."""
        try:
            super().__call__(*args, **kwargs)
        except BrokenPipeError:
            # Whoever read our output has gone: nothing is left to say, nor at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except Exception as error:
            from daypass.cli.failure import Failure, show_failure

            if not isinstance(error, Failure):
                raise
            show_failure(error, as_json="--json" in sys.argv[1:])
            sys.exit(error.exit_code)


app = App(
    name="daypass",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    # Help in plain text: what draws boxes takes longer to load than everything else.
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"daypass {version('daypass')}")
        raise typer.Exit


@app.callback()
def daypass(
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Address of the Daypass to use; else DAYPASS_SERVER, else the login's.",
        ),
    ] = None,
    who: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Which of your saved logins to use."),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Say which version it is."
        ),
    ] = False,
) -> None:
    """Just-in-time access to databases: ask, be let in, and out again at the deadline."""
    if server is not None or who is not None:
        from daypass.cli.connection import chosen

        chosen.server = server.rstrip("/") if server else None
        chosen.who = who
