"""Where logins of the command line are kept: one file, readable by its owner alone."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from daypass.cli.failure import Failure
from daypass.cli.files import write_private

DEFAULT_SERVER: Final = "http://127.0.0.1:8321"


@dataclass(frozen=True, slots=True)
class SavedLogin:
    """One login; `token` is an access token that ends by itself at `expires_at`."""

    server: str
    email: str
    name: str
    token: str
    token_id: int
    expires_at: str

    def matches(self, who: str) -> bool:
        """Say whether somebody is meant by an e-mail address or the part before its @."""
        return who.lower() in (self.email, self.email.partition("@")[0])


@dataclass(slots=True)
class Credentials:
    """All saved logins; `current` is the place of the one that commands use."""

    logins: list[SavedLogin] = field(default_factory=list)
    current: int | None = None

    def find(self, server: str | None, who: str | None) -> SavedLogin | None:
        """Return the login that is meant, the current one before others."""
        order = list(self.logins)
        if self.current is not None and self.current < len(order):
            order.insert(0, order[self.current])
        for login in order:
            if server in (None, login.server) and (who is None or login.matches(who)):
                return login
        return None

    def put(self, login: SavedLogin) -> SavedLogin | None:
        """Keep a login and make it the current one; return the one it replaces."""
        old = next(
            (x for x in self.logins if (x.server, x.email) == (login.server, login.email)), None
        )
        self.logins = [each for each in self.logins if each is not old] + [login]
        self.current = len(self.logins) - 1
        return old

    def drop(self, login: SavedLogin) -> None:
        """Forget a login; the latest other one becomes current."""
        self.logins = [each for each in self.logins if each is not login]
        self.current = len(self.logins) - 1 if self.logins else None


def credentials_file() -> Path:
    """Return the file's place: under XDG_CONFIG_HOME."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "daypass" / "credentials.json"


def load_credentials() -> Credentials:
    """Read the saved logins; none yet is fine."""
    file = credentials_file()
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        logins = [SavedLogin(**each) for each in document["logins"]]
        return Credentials(logins, document["current"])
    except FileNotFoundError:
        return Credentials()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"the saved logins in {file} cannot be read",
            why=[str(error)],
            next_steps=["remove the file, then: daypass login"],
        ) from error


def save_credentials(credentials: Credentials) -> None:
    """Write the saved logins whole or not at all, for their owner alone."""
    file = credentials_file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        document = {
            "logins": [asdict(each) for each in credentials.logins],
            "current": credentials.current,
        }
        write_private(file, json.dumps(document, indent=1))
    except OSError as error:
        raise Failure(f"{file} cannot be written", why=[error.strerror or str(error)]) from error
