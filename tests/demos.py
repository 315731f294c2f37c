"""A real demo in a process of its own, and the command line as a person at a terminal runs it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests import servers as pg

CUSTOMERS = "300"
_UP_S = 90


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return what it printed for programs."""
        return orjson.loads(self.out)

    @property
    def problem(self) -> Any:
        """Return the problem it printed for programs."""
        return orjson.loads(self.err)


class Terminal:
    """Somebody's terminal: a folder of saved logins, and a server to speak to."""

    def __init__(self, config: Path, server: str = "") -> None:
        self.config = config
        self.server = server

    def run(self, *words: str, typed: str = "", **variables: str) -> Ended:
        """Run a command to its end."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DAYPASS_")}
        environment = {**kept, "XDG_CONFIG_HOME": str(self.config), "COLUMNS": "120"}
        if self.server:
            environment["DAYPASS_SERVER"] = self.server
        done = subprocess.run(
            [sys.executable, "-m", "daypass.cli", *words],
            env={**environment, **variables},
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """A demo in a process of its own."""

    process: subprocess.Popen[str]
    state: Path
    url: str
    password: str
    shown: str


def start_demo(folder: Path) -> RunningDemo:
    """Start a demo and wait until it has said everything."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "daypass.cli", "demo"),
            *("--customers", CUSTOMERS, "--port", "0", "--state", str(folder / "state")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Nobody waits for ever for a line that does not come.
    watch = threading.Timer(_UP_S, process.kill)
    watch.start()
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    watch.cancel()
    shown = "".join(lines)
    if "Ctrl-C stops everything" not in shown:
        process.stdout.close()
        pytest.fail(f"the demo ended with {process.wait(timeout=60)}: {shown}")
    (url,) = (line.split()[-1] for line in lines if line.startswith("Daypass answers at"))
    password = (folder / "state" / "password").read_text().strip()
    return RunningDemo(process, folder / "state", url, password, shown)


def stop_demo(found: RunningDemo, number: signal.Signals = signal.SIGTERM) -> int:
    """Tell a demo to stop, and return how it ended."""
    found.process.send_signal(number)
    code = found.process.wait(timeout=60)
    if found.process.stdout is not None:
        found.process.stdout.close()
    return code


@contextlib.contextmanager
def demo_folder() -> Iterator[Path]:
    """Yield a folder that a server of another user gets into."""
    folder = Path(tempfile.mkdtemp(prefix=pg.FOLDER_PREFIX))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
