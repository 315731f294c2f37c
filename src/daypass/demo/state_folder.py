"""The demo's state folder: one demo at a time has it, and whoever comes second is told where it is.

What asks for nothing else loads nothing else: a second demo answers at once.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daypass.domain.errors import Conflict

ADDRESSES = "addresses.json"


class AlreadyRunning(Conflict):
    """A demo of this state folder runs already; `addresses` says where."""

    code = "demo_running"

    def __init__(self, addresses: dict[str, str]) -> None:
        super().__init__("the demo is running already")
        self.addresses = addresses


def is_used(state_dir: Path) -> bool:
    """Say whether a demo has left its state in a folder."""
    return (state_dir / "secrets.json").exists()


@contextmanager
def alone(state_dir: Path) -> Iterator[None]:
    """Keep a second demo out of the state folder, which is made if it is not there.

    Raises `AlreadyRunning` for the second.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state_dir / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(read_json(state_dir / ADDRESSES)) from None
        yield


def read_json(file: Path) -> dict[str, str]:
    """Read a file of names and texts; without the file there are none."""
    try:
        document: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return document
