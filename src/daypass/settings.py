"""Settings of a running Daypass: a TOML file, then the environment; checked all at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from daypass.domain.errors import Invalid

_PREFIX = "DAYPASS_"
# Set in the environment for other purposes than settings: where the command line finds its server.
_NOT_SETTINGS = frozenset({"DAYPASS_SERVER", "DAYPASS_TOKEN", "DAYPASS_CONFIG", "DAYPASS_HOME"})


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def default_state_dir() -> Path:
    """Return where Daypass keeps its state: under XDG_STATE_HOME."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "daypass"


class StoreSettings(_Section):
    """The control-plane store. Without `url` an embedded PostgreSQL is started under the state."""

    url: str = Field(default="", description="secret reference to a libpq URL, or empty")
    pool: int = Field(default=16, ge=4, le=200)


class ApiSettings(_Section):
    """Where the API listens."""

    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    public_url: str = ""


class SmtpSettings(_Section):
    """Where mail goes; `password` is a secret reference."""

    host: str
    port: int = Field(default=587, ge=1, le=65535)
    sender: str
    user: str = ""
    password: str = ""
    tls: str = Field(default="starttls", pattern="^(starttls|tls|none)$")


class WebhookSettings(_Section):
    """A program that hears of everything; `secret` is a reference to its signing key (whsec_…)."""

    url: str = Field(pattern="^https?://")
    secret: str


class Settings(_Section):
    """Everything `daypass serve` can be told."""

    state_dir: Path = Field(default_factory=default_state_dir)
    secret_key: str = Field(default="", description="secret reference to 32 bytes in base64")
    store: StoreSettings = StoreSettings()
    api: ApiSettings = ApiSettings()
    smtp: SmtpSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = ()
    workers: int = Field(default=8, ge=1, le=64)
    reconcile_every_s: float = Field(default=15, gt=0, le=3600)
    sync_every_s: float = Field(default=600, gt=0, le=86400)
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")


def load_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the file, then `DAYPASS_<SECTION>__<KEY>` from the environment.

    Raises `Invalid` with every problem: unknown keys and wrong values, and where each stands.
    """
    document: dict[str, Any] = {}
    if file is not None:
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise Invalid(f"the settings file {file} cannot be read: {error.strerror}") from error
        except tomllib.TOMLDecodeError as error:
            raise Invalid(f"the settings file {file} is not TOML: {error}") from error
    origin: dict[str, str] = {}
    for name, value in sorted(environment.items()):
        if not name.startswith(_PREFIX) or name in _NOT_SETTINGS:
            continue
        path = name.removeprefix(_PREFIX).lower().split("__")
        place = document
        for key in path[:-1]:
            inner = place.setdefault(key, {})
            if not isinstance(inner, dict):
                raise Invalid(f"{name} sets a key of {key!r}, which is not a section")
            place = inner
        place[path[-1]] = value
        origin[".".join(path)] = name
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        problems = []
        for each in error.errors():
            dotted = ".".join(str(part) for part in each["loc"])
            where = origin.get(dotted) or f"{file or 'settings'}: {dotted}"
            known = each["type"] != "extra_forbidden"
            problems.append((where, each["msg"] if known else "there is no such setting"))
        raise Invalid(
            "the settings are wrong: " + "; ".join(f"{where}: {what}" for where, what in problems),
            problems=tuple(problems),
            next_step="docs/operations.md lists every setting",
            code="settings",
        ) from error
