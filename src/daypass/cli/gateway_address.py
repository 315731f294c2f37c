"""Where the gateway is, and what a client needs to get in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daypass.cli.client import Client, Json
from daypass.cli.credentials import credentials_file
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure
from daypass.cli.files import write_private
from daypass.cli.output import note
from daypass.cli.wishes import Pairs, Wishes, write_options

_VALID_FOR: Final = ("1h", "5m")
_ENGINE: Final = "postgres"


@dataclass(frozen=True, slots=True)
class Way:
    """A way into a database: the gateway's address, whose name, and what is asked for besides."""

    host: str
    port: int
    user: str
    database: str
    tls: str
    certificate: str
    asked: Pairs = ()
    settings: Pairs = ()

    @property
    def sslmode(self) -> str:
        """Return libpq's `sslmode`."""
        return "verify-full" if self.certificate else "disable" if self.tls == "none" else "require"

    @property
    def options(self) -> str:
        """Return libpq's `options` that say what is asked for, empty if nothing is."""
        return write_options(Wishes(self.asked, self.settings))


def way_to(client: Client, database: str, asked: Pairs = (), settings: Pairs = ()) -> Way:
    """Ask where the gateway is. Raises `Failure` when none is alive."""
    found = [each for each in client.get("/gateways")["items"] if each["engine"] == _ENGINE]
    if not found:
        raise Failure(
            "no gateway is running",
            why=[f"{client.server} knows of none that is alive"],
            next_steps=["daypass gateway runs one; daypass serve does unless told otherwise"],
            exit_code=ExitCode.UNAVAILABLE,
        )
    gateway = found[0]
    person = client.get("/session")["principal"]
    return Way(
        host=gateway["host"],
        port=gateway["port"],
        user=person["email"],
        database=database,
        tls=gateway["tls"],
        certificate=gateway["certificate"],
        asked=asked,
        settings=settings,
    )


@contextmanager
def access_token(client: Client, what: str) -> Iterator[str]:
    """Give an access token made for this, which is revoked again; else the one that is used.

    A token that may not issue others is passed on itself.
    """
    issued = _issue(client, what)
    if issued is None:
        yield client.headers["Authorization"].removeprefix("Bearer ")
        return
    try:
        yield issued["token"]
    finally:
        try:
            client.delete(f"/tokens/{issued['id']}")
        except Failure:
            note(f"access token {issued['id']} could not be revoked; it ends within the hour")


def _issue(client: Client, what: str) -> Json | None:
    # The login itself may end sooner than that, and no token outlives what issued it.
    for valid_for in _VALID_FOR:
        body = {
            "name": f"daypass {what}"[:100],
            "capabilities": ["connect", "request", "read"],
            "valid_for": valid_for,
        }
        try:
            return client.post("/tokens", body, so="nothing is opened")
        except Failure as failure:
            if failure.code in ("token_capability", "person_needed"):
                return None
            if failure.code != "token_beyond_issuer" or valid_for == _VALID_FOR[-1]:
                raise
    raise AssertionError("unreachable")


@contextmanager
def private_files(way: Way, token: str) -> Iterator[dict[str, str]]:
    """Put token and certificate into files that only their owner reads, gone with the block.

    Yields the environment by which libpq finds them; it holds no secret.
    """
    # mkdtemp makes it 0700.
    with tempfile.TemporaryDirectory(prefix="daypass-") as folder:
        passwords = Path(folder) / "pgpass"
        fields = (way.host, str(way.port), way.database, way.user, token)
        write_private(passwords, ":".join(_in_pgpass(each) for each in fields) + "\n")
        environment = {
            "PGHOST": way.host,
            "PGPORT": str(way.port),
            "PGUSER": way.user,
            "PGDATABASE": way.database,
            "PGPASSFILE": str(passwords),
            "PGSSLMODE": way.sslmode,
        }
        if way.certificate:
            certificate = Path(folder) / "gateway.crt"
            write_private(certificate, way.certificate)
            environment["PGSSLROOTCERT"] = str(certificate)
        if way.options:
            environment["PGOPTIONS"] = way.options
        yield environment


def kept_certificate(way: Way) -> Path | None:
    """Keep the gateway's certificate where other programs find it, and return its place."""
    if not way.certificate:
        return None
    folder = credentials_file().parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"gateway-{way.host.replace(':', '_')}-{way.port}.crt"
    write_private(file, way.certificate)
    return file


def without_libpq(environment: dict[str, str]) -> dict[str, str]:
    """Return an environment without what would lead libpq elsewhere."""
    return {name: value for name, value in environment.items() if not name.startswith("PG")}


def own_environment() -> dict[str, str]:
    """Return the environment for a client of the gateway: ours, without other places to go."""
    kept = {name: os.environ[name] for name in ("PGCLIENTENCODING", "PGTZ") if name in os.environ}
    return {**without_libpq(dict(os.environ)), **kept}


def _in_pgpass(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")
