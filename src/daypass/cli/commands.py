"""Which commands there are; the code behind one is loaded when it is called.

The command line starts in a fraction of the time it would take to load all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from daypass.cli.coercion import read_plainly

read_plainly()


@dataclass(frozen=True, slots=True)
class Known:
    """A command: the module and name of its function, or of an app with commands of its own."""

    module: str
    name: str
    help: str


USE: Final = "Use a database"
DECIDE: Final = "Decide"
RUN: Final = "Run Daypass"
LOGIN: Final = "Log in"
PEOPLE: Final = "People and programs"
START: Final = "Start one"

COMMANDS: Final[Mapping[str, Mapping[str, Known]]] = {
    LOGIN: {
        "login": Known("login", "login", "Log in to a Daypass, for 12 hours."),
        "logout": Known("login", "logout", "Log out."),
        "whoami": Known("login", "whoami", "Say who you are, and what your login may do."),
    },
    USE: {
        "databases": Known("database", "list_databases", "List what you may ask for."),
        "request": Known("request", "request", "Ask for access to a database."),
        "requests": Known("requests", "list_requests", "List requests."),
        "show": Known("requests", "show", "Show a request: who has to say yes, and who has."),
        "withdraw": Known("requests", "withdraw", "Take a request back."),
        "query": Known("query", "query", "Run a statement under your grant."),
        "connect": Known("connect", "connect", "Open psql on a database, with everything set."),
        "proxy": Known("proxy", "proxy", "Open a local port for tools that keep no secrets."),
        "credential": Known("credential", "credential", "Get a login of your own, shown once."),
        "grants": Known("grants", "list_grants", "List grants and the time they have left."),
        "grant": Known("grants", "show_grant", "Show a grant: what it opens, and how."),
        "extend": Known("change_grant", "extend", "Ask for more time on a grant."),
        "shorten": Known("change_grant", "shorten", "Bring a grant's deadline closer."),
        "release": Known("change_grant", "release", "Give a grant back now."),
        "receipt": Known("receipt", "receipt", "Show the proof that a grant is over."),
        "sessions": Known("sessions", "sessions", "List open sessions, or those of a grant."),
        "kill": Known("sessions", "kill", "End a session now; its grant stays."),
    },
    DECIDE: {
        "approve": Known("decide", "approve", "Say yes to a request."),
        "deny": Known("decide", "deny", "Say no to a request."),
        "review": Known("decide", "review", "Judge a break-glass grant afterwards."),
        "revoke": Known("change_grant", "revoke", "Take somebody's grant away now."),
        "delegate": Known("delegate", "app", "Let somebody decide in your place."),
    },
    RUN: {
        "policy": Known("policy", "app", "Check, compare, test and apply policy; explain it."),
        "instance": Known("instance", "app", "Add and look after database servers."),
        "database": Known("database", "app", "Databases: labels, owners, relations."),
        "tag": Known("tag", "app", "Say which columns hold what."),
        "doctor": Known("doctor", "doctor", "Find the ways around Daypass."),
        "exposure": Known("exposure", "app", "Accept an exposure by name, or no longer."),
        "scan": Known("scan", "scan", "Score what stands open without any grant."),
        "audit": Known("audit", "app", "Read the audit log."),
    },
    PEOPLE: {
        "people": Known("people", "app", "Add people, link them to a password, let them leave."),
        "groups": Known("groups", "app", "Groups, and who is in them."),
        "tokens": Known("tokens", "app", "Access tokens for programs and service accounts."),
    },
    START: {
        "serve": Known("serve", "serve", "Run Daypass."),
        "gateway": Known("gateway", "gateway", "Run a gateway of its own, beside Daypass."),
        "demo": Known("demo", "demo", "Run Daypass with a sample company to try it on."),
        "tour": Known("demo", "tour", "Act the whole story out in the terminal."),
    },
}
"""Every command, in the order `daypass --help` shows them."""


class Commands(TyperGroup):
    """The group that loads a command when it is asked for."""

    def list_commands(self, _ctx: Any) -> list[str]:
        """List the names of all commands."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        """Load a command."""
        known = next((s[cmd_name] for s in COMMANDS.values() if cmd_name in s), None)
        return _load(cmd_name, known) if known is not None else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that was typed; for an unknown one say which was meant."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            from difflib import get_close_matches

            near = get_close_matches(args[0], known, n=3)
            meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        """List the commands in sections, loading none."""
        for section, commands in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl([(name, known.help) for name, known in commands.items()])


def group_of(help_text: str) -> typer.Typer:
    """Return an empty app for commands below another."""
    app = typer.Typer(
        help=help_text, no_args_is_help=True, rich_markup_mode=None, add_completion=False
    )
    # Without this, an app with a single command would be that command.
    app.callback()(lambda: None)
    return app


def _load(name: str, known: Known) -> Any:
    found: typer.Typer | Callable[..., None] = getattr(
        import_module(f"daypass.cli.{known.module}"), known.name
    )
    if not isinstance(found, typer.Typer):
        single = typer.Typer(rich_markup_mode=None, add_completion=False)
        single.command(name)(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    return command
