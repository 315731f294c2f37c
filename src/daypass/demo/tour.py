"""Act the whole story out in the terminal, against a demo of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.text import Text

from daypass.app import configure_logging
from daypass.cli.client import Client
from daypass.cli.output import console, say
from daypass.demo.people import sample_people
from daypass.demo.start import Demo, demo
from daypass.demo.tour_chapters import CHAPTERS
from daypass.demo.tour_stage import Stage, Stopped
from daypass.domain.principal import Capability
from daypass.domain.secret import Secret
from daypass.embedded import Cluster, find_binaries

_INTERRUPTED: Final = 130
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a folder of our own is made in it
_ROOM_BYTES: Final = 2 << 30


def act(*, customers: int, fast: bool) -> int:
    """Play the tour; return 0 only if every step held, 130 when it was stopped."""
    configure_logging("error")
    with ExitStack() as stack:
        place = tempfile.TemporaryDirectory(prefix="daypass-tour-", dir=_place())
        folder = Path(stack.enter_context(place))
        # Root's servers run as another user, who has to get in.
        folder.chmod(0o711)
        return asyncio.run(_act(folder, customers=customers, fast=fast))


def _place() -> str | None:
    """Return a folder in memory, where there is room: the tour's databases are gone with it."""
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        found = os.statvfs(_MEMORY)
        if found.f_bavail * found.f_frsize > _ROOM_BYTES:
            return str(_MEMORY)
    return None


async def _act(folder: Path, *, customers: int, fast: bool) -> int:
    stopped = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    started = time.monotonic()
    say("The tour starts a Daypass and a customer's database server of its own, on free ports.")
    async with demo(folder / "state", customers=customers, port=0, say=_progress) as found:
        if not stopped.is_set():
            held = await asyncio.to_thread(_play, found, folder, fast, stopped, started)
    if stopped.is_set():
        say("Stopped; nothing of it is left running.")
        return _INTERRUPTED
    return 0 if held else 1


def _play(found: Demo, folder: Path, fast: bool, stopped: threading.Event, started: float) -> bool:
    # The server itself is alone reached as superuser, to look from outside whether all is true.
    cluster = Cluster(found.state_dir / "company", find_binaries(), port=found.target_port)
    stage = Stage(
        server=found.url,
        tokens=_tokens(found),
        superuser=cluster.conninfo("postgres"),
        target=("127.0.0.1", found.target_port),
        folder=folder,
        fast=fast,
        stopped=stopped,
    )
    say(f"It took {time.monotonic() - started:.1f} s; Daypass answers at {found.url}.")
    try:
        for title, chapter in CHAPTERS:
            console().print()
            console().print(Text(f"── {title} ", "bold magenta"))
            chapter(stage)
    except Stopped:
        return False
    return stage.summary(time.monotonic() - started)


def _tokens(found: Demo) -> dict[str, str]:
    """Log everybody in as they would themselves, and issue each an access token for the tour."""
    tokens = {}
    for person in sample_people():
        name = person.email.partition("@")[0]
        if person.person:
            tokens[name] = _token(found.url, person.email, found.password)
    if found.agent_token is not None:
        tokens["agent"] = found.agent_token.reveal()
    return tokens


def _token(url: str, email: str, password: Secret) -> str:
    client = Client(url)
    answer, cookies = client.post_for_cookies(
        "/session", {"email": email, "password": password.reveal()}
    )
    client.headers |= {"Cookie": cookies, "X-Daypass-CSRF": str(answer["csrf_token"])}
    issued = client.post(
        "/tokens",
        {
            "name": f"tour {os.getpid()}",
            "capabilities": [each.value for each in Capability],
            "valid_for": "1h",
        },
    )
    return str(issued["token"])


def _progress(text: str) -> None:
    say("· ", text)
