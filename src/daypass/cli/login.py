"""Log in, log out, and say who is logged in."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from daypass.cli.client import Client, Json
from daypass.cli.connection import chosen, connect, named_server, saved_login
from daypass.cli.credentials import (
    DEFAULT_SERVER,
    SavedLogin,
    load_credentials,
    save_credentials,
)
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure, usage
from daypass.cli.options import AsJson
from daypass.cli.output import note, say, say_next, show_facts, show_json, show_table
from daypass.cli.wording import moment_of, now, say_left, say_moment, write_span
from daypass.domain.principal import Capability

_VALID_FOR: Final = timedelta(hours=12)


def login(
    server: Annotated[
        str | None,
        typer.Argument(metavar="[URL]", help=f"Address of the Daypass; {DEFAULT_SERVER} if none."),
    ] = None,
    email: Annotated[str, typer.Option("--email", "-e", help="Asked for if left out.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Log in to a Daypass with e-mail address and password, for 12 hours.

    Several logins are kept side by side; the latest is used, or the one that
    `daypass --as NAME …` or `--server URL` names.
    """
    address = (server or named_server() or DEFAULT_SERVER).rstrip("/")
    if "://" not in address:
        address = f"http://{address}" if _is_here(f"//{address}") else f"https://{address}"
    client = Client(address)
    if address.startswith("http://") and not _is_here(address):
        note(f"{address} is not encrypted: your password can be read on its way there")
    who = email or chosen.who or _ask_email()
    person = sign_in(client, who, ask_password(from_stdin=password_stdin))
    issued = client.post(
        "/tokens",
        {
            "name": f"daypass on {platform.node()}"[:100],
            "capabilities": [each.value for each in Capability],
            "valid_for": write_span(_VALID_FOR),
        },
    )
    # What stays is the access token; the browser-like login is of no use any more.
    client.delete("/session")
    saved = SavedLogin(
        server=address,
        email=person["email"],
        name=person["name"],
        token=issued["token"],
        token_id=issued["id"],
        expires_at=issued["expires_at"],
    )
    credentials = load_credentials()
    before = credentials.put(saved)
    save_credentials(credentials)
    ended = before is not None and moment_of(before.expires_at) > now() and _revoke(before)
    if as_json:
        show_json(_shown(saved))
        return
    roles = [role for role in person["roles"] if role != "member"]
    also = f" ({', '.join(roles)})" if roles else ""
    say(
        f"Logged in to {address} as {person['name']} <{person['email']}>{also} "
        f"until {say_moment(saved.expires_at)}."
    )
    if ended:
        note(
            f"the earlier login as {person['email']} from here has ended, with the access tokens "
            "issued with it and what daypass connect had open"
        )
    say_next(*_first_steps(client, saved))


def logout(
    all_of_them: Annotated[bool, typer.Option("--all", help="End every saved login.")] = False,
    as_json: AsJson = False,
) -> None:
    """Log out: the access token is revoked and forgotten."""
    credentials = load_credentials()
    found = credentials.find(named_server(), chosen.who)
    ended = list(credentials.logins) if all_of_them else [found] if found is not None else []
    if not ended and not all_of_them:
        raise Failure(
            "you are not logged in", exit_code=ExitCode.NOT_LOGGED_IN, next_steps=["daypass login"]
        )
    unreached = [each for each in ended if not _revoke(each)]
    for each in ended:
        credentials.drop(each)
    save_credentials(credentials)
    if as_json:
        show_json({"items": [_shown(each) for each in ended]})
        return
    for each in ended:
        say(f"Logged out of {each.server} ({each.email}).")
    for each in unreached:
        note(
            f"{each.server} did not answer: its access token {each.token_id} ends "
            f"{say_moment(each.expires_at)}"
        )
    if credentials.logins:
        current = credentials.logins[credentials.current or 0]
        say(f"Now {current.email} at {current.server} is used.")


def whoami(
    everybody: Annotated[
        bool, typer.Option("--all", help="List every saved login instead; asks no server.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say who you are to Daypass, and what your login may be used for."""
    if everybody:
        _list_logins(as_json=as_json)
        return
    client = connect()
    answer = client.get("/session")
    if as_json:
        show_json(answer)
        return
    person: Json = answer["principal"]
    by_token = bool(os.environ.get("DAYPASS_TOKEN")) and chosen.who is None
    saved = None if by_token else saved_login()
    show_facts(
        [
            ("you are", f"{person['name']} <{person['email']}>"),
            ("at", client.server),
            ("roles", person["roles"]),
            ("groups", sorted(person["groups"])),
            ("attributes", person["attributes"]),
            ("manager", person["manager"]),
            ("answered for by", person["owner"]),
            ("may be used to", answer["capabilities"]),
            ("login", saved and f"until {say_moment(saved.expires_at)}, {_left(saved)}"),
            ("login", by_token and "the access token in DAYPASS_TOKEN"),
        ]
    )


def sign_in(client: Client, email: str, password: str) -> Json:
    """Have a client act with a login like a browser's, and return whose it is."""
    client.headers.pop("Authorization", None)
    answer, cookies = client.post_for_cookies("/session", {"email": email, "password": password})
    client.headers |= {"Cookie": cookies, "X-Daypass-CSRF": str(answer["csrf_token"])}
    person: Json = answer["principal"]
    return person


def ask_password(*, from_stdin: bool) -> str:
    """Read a password from standard input, or ask for it where somebody sits."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise usage(
            "the password is not asked for without a terminal", next_step="add --password-stdin"
        )
    return getpass.getpass("Password: ")


def _list_logins(*, as_json: bool) -> None:
    credentials = load_credentials()
    current = credentials.find(named_server(), chosen.who)
    if as_json:
        show_json({"items": [{**_shown(x), "current": x is current} for x in credentials.logins]})
        return
    show_table(
        ("", "Who", "Server", "Until"),
        [
            ("*" if x is current else "", f"{x.name} <{x.email}>", x.server, _until(x))
            for x in credentials.logins
        ],
        empty="Nobody is logged in here.",
        keep=("Until",),
    )
    if not credentials.logins:
        say_next("daypass login")


def _shown(saved: SavedLogin) -> Json:
    """Return a login without its access token."""
    return {
        "server": saved.server,
        "email": saved.email,
        "name": saved.name,
        "token_id": saved.token_id,
        "expires_at": saved.expires_at,
    }


def _until(saved: SavedLogin) -> str:
    return f"{say_moment(saved.expires_at)} ({_left(saved)})"


def _left(saved: SavedLogin) -> str:
    if moment_of(saved.expires_at) <= now():
        return "ended"
    return say_left(saved.expires_at)


def _revoke(saved: SavedLogin) -> bool:
    """Revoke a saved login's token; one that has ended already is fine."""
    try:
        Client(saved.server, saved.token, timeout_s=5).delete(f"/tokens/{saved.token_id}")
    except Failure as failure:
        return failure.exit_code is not ExitCode.UNAVAILABLE
    return True


def _first_steps(client: Client, saved: SavedLogin) -> list[str]:
    known = Client(client.server, saved.token)
    try:
        waiting = known.get("/requests", awaiting_me=True, limit=1)["items"]
    except Failure:
        waiting = []
    steps = ["daypass requests --to-decide"] if waiting else []
    return [*steps, "daypass databases"]


def _is_here(address: str) -> bool:
    return urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")


def _ask_email() -> str:
    if not sys.stdin.isatty():
        raise usage("whose login is it?", next_step="add --email you@example.com")
    print("E-mail: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
