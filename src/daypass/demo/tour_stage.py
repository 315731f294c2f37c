"""The stage of the tour: runs real commands as the sample people, shows them, keeps the score."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo
from rich.text import Text

from daypass.cli.client import Client
from daypass.cli.failure import Failure
from daypass.cli.output import clean, console
from daypass.cli.wording import say_span

_LINES: Final = 14
_COMMAND_TIMEOUT_S: Final = 60
_PAUSE_S: Final = 0.6


class Stopped(Exception):
    """Whoever watches has had enough."""


class NotHeld(Exception):
    """Something a step rests on did not hold; the rest of the step cannot be played."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that was run: what it printed and how it ended."""

    exit_code: int
    output: str
    errors: str
    seconds: float

    @property
    def said(self) -> str:
        """Return everything it printed, on one line."""
        return " ".join((self.output + self.errors).split())

    @property
    def json(self) -> Any:
        """Return what it printed for programs."""
        return json.loads(self.output)


@dataclass(slots=True)
class Step:
    """One step and how it went."""

    number: int
    title: str
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


class Stage:
    """Where the tour happens: one Daypass, one customer's server, and people with credentials."""

    def __init__(
        self,
        *,
        server: str,
        tokens: Mapping[str, str],
        superuser: str,
        target: tuple[str, int],
        folder: Path,
        fast: bool,
        stopped: Event,
    ) -> None:
        self.server = server
        self.target = target
        self.folder = folder
        self.steps: list[Step] = []
        self._tokens = tokens
        self._superuser = superuser
        self._pause_s = _PAUSE_S if sys.stdout.isatty() and not fast else 0.0
        self._stopped = stopped

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Play one step; whatever goes wrong in it is its own failure, and the story goes on."""
        if self._stopped.wait(self._pause_s):
            raise Stopped
        step = Step(len(self.steps) + 1, title)
        self.steps.append(step)
        console().print()
        console().print(Text.assemble((f"{step.number:>2}. ", "bold cyan"), (title, "bold")))
        started = time.monotonic()
        try:
            yield step
        except NotHeld:
            pass
        except (
            psycopg.Error,
            subprocess.SubprocessError,
            LookupError,
            ValueError,
            Failure,
        ) as error:
            self._fail(f"{type(error).__name__}: {error}")
        finally:
            step.seconds = time.monotonic() - started

    def run(self, who: str, *words: str, expect: int | None = 0, show: bool = True) -> Ran:
        """Run `daypass …` as somebody, show it, and hold it to the exit code expected, if any."""
        if self._stopped.is_set():
            raise Stopped
        if show:
            command = Text.assemble(
                ("    ", ""), (f"{who} $ ", "cyan"), (shlex.join(["daypass", *words]), "bold")
            )
            console().print(command, soft_wrap=True)
        environment = {
            **os.environ,
            "DAYPASS_SERVER": self.server,
            "DAYPASS_TOKEN": self._tokens[who],
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "COLUMNS": str(max(60, console().width - 6)),
        }
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "daypass.cli", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # One after the other, as a terminal would show them; programs read the first alone.
            stderr=subprocess.STDOUT if show else subprocess.PIPE,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr or "", time.monotonic() - started)
        if self._stopped.is_set():
            raise Stopped
        if show:
            self._show_output(ran)
        if expect is not None and ran.exit_code != expect:
            self._fail(f"it ended with {ran.exit_code}, not {expect}")
            raise NotHeld
        return ran

    def tell(self, text: str) -> None:
        """Say something in between, such as what is done outside the command line."""
        console().print(Text("    " + clean(text), style="italic"))

    def proves(self, what: str, held: bool, *, vital: bool = False) -> None:
        """Check what a step proves; with `vital` the step ends where it does not hold."""
        if held:
            console().print(Text.assemble(("    ✓ ", "green"), ("proves: ", "dim"), clean(what)))
            return
        self._fail(f"does not hold: {what}")
        if vital:
            raise NotHeld

    def peek(self, who: str, path: str, **query: Any) -> dict[str, Any]:
        """Look something up as somebody, without showing it."""
        return Client(self.server, self._tokens[who]).get(path, **query)

    def ask(self, who: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask the API something with a body, without showing it."""
        return Client(self.server, self._tokens[who]).post(path, body)

    def newest_request(self, who: str) -> dict[str, Any]:
        """Return somebody's latest request."""
        found: dict[str, Any] = self.peek(who, "/requests", mine=True, limit=1)["items"][0]
        return found

    def probe(self, database: str, statement: str) -> list[tuple[Any, ...]]:
        """Ask the customer's server itself, past Daypass, as its superuser."""
        with psycopg.connect(
            make_conninfo(self._superuser, dbname=database), autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def grant_of(self, who: str) -> int:
        """Return the number of somebody's latest grant."""
        return int(self.peek(who, "/grants", mine=True, limit=1)["items"][0]["id"])

    def summary(self, seconds: float) -> bool:
        """Print how the steps went; True when all held."""
        failed = [step for step in self.steps if step.failures]
        console().print()
        slowest = max(self.steps, key=lambda step: step.seconds, default=None)
        word = "held" if not failed else f"held, {len(failed)} did not"
        style = "bold green" if not failed else "bold red"
        console().print(
            Text(f"{len(self.steps) - len(failed)} of {len(self.steps)} steps {word}.", style)
        )
        for step in failed:
            for failure in step.failures:
                console().print(
                    Text.assemble(("✗ ", "red"), f"{step.number}. {step.title}: {clean(failure)}")
                )
        if slowest is not None:
            console().print(
                f"It took {say_span(timedelta(seconds=seconds))}; the longest step was "
                f"{slowest.number} ({slowest.title}) with {slowest.seconds:.1f} s."
            )
        return not failed and bool(self.steps)

    def _fail(self, text: str) -> None:
        self.steps[-1].failures.append(text)
        console().print(Text.assemble(("    ✗ ", "bold red"), clean(text)), soft_wrap=True)

    def _show_output(self, ran: Ran) -> None:
        lines = [line.rstrip() for line in (ran.output + ran.errors).splitlines()]
        for line in lines[:_LINES]:
            console().print(Text("      " + line), soft_wrap=True)
        if len(lines) > _LINES:
            console().print(Text(f"      … and {len(lines) - _LINES} more lines", style="dim"))
        if ran.exit_code:
            console().print(Text(f"      (exit code {ran.exit_code})", style="dim"))
