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

    url: str = Field(
        default="",
        description="Secret reference to the URL of a PostgreSQL database; without it an embedded"
        " PostgreSQL is started under `state_dir`.",
    )
    pool: int = Field(
        default=16,
        ge=4,
        le=200,
        description="Connections to the store at most, twice: for work, and for named locks.",
    )


class ApiSettings(_Section):
    """Where the API listens."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8321,
        ge=0,
        le=65535,
        description="Port to listen on; any if 0. If it is taken, the next free one of 50, or with"
        " `public_url` set none: a proxy would lead elsewhere.",
    )
    public_url: str = Field(
        default="",
        description="Address that people use, where a proxy stands in front. With `https://`"
        " cookies are sent over TLS alone, and the proxy's `X-Forwarded-For` is believed. Else made"
        " of host and port.",
    )


class GatewaySettings(_Section):
    """Where clients of databases connect. `daypass gateway` runs more of it beside `serve`."""

    enabled: bool = Field(
        default=True, description="Whether `daypass serve` takes clients in by itself."
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on: `0.0.0.0` for every one, `::` for those of IPv6 too.",
    )
    port: int = Field(
        default=7432,
        ge=0,
        le=65535,
        description="Port to listen on; the next free one of 50 if it is taken, any if 0.",
    )
    public_host: str = Field(
        default="",
        description="Name that clients use, such as a balancer's; else made of `host`.",
    )
    public_port: int = Field(
        default=0, ge=0, le=65535, description="Port that clients use; else the one listened on."
    )
    tls: str = Field(
        default="required",
        pattern="^(required|offered|none)$",
        description="TLS toward clients: `required`, `offered` or `none`.",
    )
    certificate: Path | None = Field(
        default=None,
        description="PEM file with the certificate and its chain; without it Daypass makes one"
        " itself, kept under `state_dir`.",
    )
    key: Path | None = Field(default=None, description="PEM file with the certificate's key.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes that `daypass gateway` runs on its port."
    )
    per_person: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="Sessions one person may have open on an instance, in all gateways.",
    )
    statements_per_s: float = Field(
        default=10_000,
        ge=0,
        le=1_000_000,
        description="Statements a second that a process takes of one person on average; who sends"
        " more waits. 0 is no limit.",
    )
    connects_per_minute: float = Field(
        default=600,
        ge=0,
        le=1_000_000,
        description="Connections a minute that a process takes of one person. 0 is no limit.",
    )
    connections: int = Field(
        default=5000, ge=1, le=100_000, description="Connections a process takes."
    )
    per_address: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Connections a process takes from one IPv4 address or IPv6 network (/64).",
    )
    longest_wait_s: float = Field(
        default=3600,
        ge=0,
        le=86400,
        description="Seconds a client is held at most while its request waits (`daypass.wait`).",
    )
    drain_s: float = Field(
        default=30,
        ge=0,
        le=3600,
        description="Seconds that statements may go on when the process is told to stop.",
    )
    journal_bytes: int = Field(
        default=2**30,
        ge=2**26,
        le=2**40,
        description="Bytes of its disk that a process's journal may take. Beyond, nothing new is"
        " forwarded until some of it is in the store.",
    )
    journal_age_s: float = Field(
        default=86400,
        ge=0,
        le=2_592_000,
        description="Seconds that an entry may wait in the journal for the store. Beyond, nothing"
        " new is forwarded; 0 is no limit.",
    )


class LogSettings(_Section):
    """The audit log as it is published."""

    folder: Path | None = Field(
        default=None,
        description="Folder of the published log, the same for every process of one store (a shared"
        " file system, where there are several machines); `log` under `state_dir` if none is"
        " named.",
    )
    key: str = Field(
        default="",
        description="Secret reference to the key that signs the log (`daypass audit new-key`)."
        " Required with `store.url`; else one is made at the first start: `log.key` under"
        " `state_dir`.",
    )
    previous_key: str = Field(
        default="",
        description="Secret reference to the key before, which signs too until everybody who checks"
        " the log has the new one.",
    )


class SmtpSettings(_Section):
    """Where mail goes; `password` is a secret reference."""

    host: str = Field(description="Mail server.")
    port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    sender: str = Field(description="Address that mail comes from.")
    user: str = Field(default="", description="Name to sign in with; without it nobody signs in.")
    password: str = Field(default="", description="Secret reference to the password.")
    tls: str = Field(
        default="starttls",
        pattern="^(starttls|tls|none)$",
        description="How the connection is encrypted: `starttls`, `tls` or `none`.",
    )


class WebhookSettings(_Section):
    """A program that hears of everything; `secret` is a reference to its signing key (whsec_…)."""

    url: str = Field(pattern="^https?://", description="Where messages are posted.")
    secret: str = Field(description="Secret reference to the signing key, `whsec_` and base64.")


class Settings(_Section):
    """Everything `daypass serve` can be told."""

    state_dir: Path = Field(
        default_factory=default_state_dir,
        description="Folder of the embedded store; `$XDG_STATE_HOME/daypass` if none is named.",
    )
    secret_key: str = Field(
        default="",
        description="Secret reference to 32 random bytes in base64, which seal the admin passwords"
        " kept in the store. Required.",
    )
    store: StoreSettings = StoreSettings()
    api: ApiSettings = ApiSettings()
    gateway: GatewaySettings = GatewaySettings()
    log: LogSettings = LogSettings()
    smtp: SmtpSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = ()
    workers: int = Field(default=8, ge=1, le=64, description="Tasks of the queue done at a time.")
    reconcile_every_s: float = Field(
        default=15,
        gt=0,
        le=3600,
        description="Seconds between two comparisons of each instance with what should exist.",
    )
    sync_every_s: float = Field(
        default=600, gt=0, le=86400, description="Seconds between two readings of each catalog."
    )
    log_level: str = Field(
        default="info",
        pattern="^(debug|info|warning|error)$",
        description="The least that is logged: `debug`, `info`, `warning` or `error`.",
    )


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
        if not document.get("secret_key"):
            # Looked for at start alone it would be the next problem, once these are mended.
            problems.append((f"{file or 'settings'}: secret_key", "is missing, and is required"))
        raise Invalid(
            "the settings are wrong: " + "; ".join(f"{where}: {what}" for where, what in problems),
            problems=tuple(problems),
            next_step="docs/operations.md lists every setting",
            code="settings",
        ) from error
