"""Which server a command speaks to, and as whom."""

from __future__ import annotations

import os
from dataclasses import dataclass

from daypass.cli.client import Client
from daypass.cli.credentials import DEFAULT_SERVER, SavedLogin, load_credentials
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure


@dataclass(slots=True)
class Chosen:
    """What the options before the command say."""

    server: str | None = None
    who: str | None = None


chosen = Chosen()


def connect() -> Client:
    """Return a client with a credential: DAYPASS_TOKEN, or the saved login that is meant."""
    token = os.environ.get("DAYPASS_TOKEN", "")
    if token and chosen.who is None:
        return Client(named_server() or DEFAULT_SERVER, token)
    login = saved_login()
    if login is None:
        raise _nobody()
    return Client(login.server, login.token)


def named_server() -> str | None:
    """Return the server that is named by option or environment, if any is."""
    named = chosen.server or os.environ.get("DAYPASS_SERVER") or None
    return named.rstrip("/") if named else None


def saved_login() -> SavedLogin | None:
    """Return the saved login that is meant, if there is one."""
    return load_credentials().find(named_server(), chosen.who)


def _nobody() -> Failure:
    server = named_server()
    known = sorted({each.email for each in load_credentials().logins})
    who = f" as {chosen.who}" if chosen.who else ""
    where = f" at {server}" if server else ""
    return Failure(
        f"you are not logged in{who}{where}",
        why=[f"logged in here are: {', '.join(known)}"] if known else [],
        next_steps=[f"daypass login {server or DEFAULT_SERVER}"],
        exit_code=ExitCode.NOT_LOGGED_IN,
    )
