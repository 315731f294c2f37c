"""Run the demo, or act the tour."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from daypass.cli.files import write_private
from daypass.cli.output import console, say, say_code, say_next, show_table
from daypass.cli.serve import failure_of_error

if TYPE_CHECKING:
    from daypass.demo.start import Demo

Customers = Annotated[
    int, typer.Option("--customers", min=100, max=5_000_000, help="How many the sample shop has.")
]

_TRY: Final[Mapping[str, str]] = {
    "ada@example.com": "read production in an incident",
    "ben@example.com": "ask for e-mail addresses in clear",
    "cleo@example.com": "read one region, in office hours",
    "dana@example.com": "approve; the shop's owner",
    "dmitri@example.com": "approve; change structure; take a masked dump",
    "samira@example.com": "approve unmasking; policy",
    "anton@example.com": "audit list",
    "robin@example.com": "doctor, scan, people",
    "lena@example.com": "approve; delegate",
    "fay@example.com": "review fraud",
}

_STORIES: Final = (
    (
        "On-call reads production, masked, here or with psql:",
        ("ada",),
        (
            "daypass request prod/shop --profile oncall-read --ticket INC-42 -r 'checkout is slow'",
            "daypass query prod/shop 'select * from sales.customers limit 5'",
            "daypass connect prod/shop",
        ),
    ),
    (
        "A developer asks for more, and two others say yes (N is the request's number):",
        ("dana", "samira", "ben"),
        (
            "daypass request prod/shop -t sales.customers --unmask sales.customers.email -r bug",
            "daypass --as dana approve N; daypass --as samira approve N",
            "daypass --as ben query prod/shop 'select email, phone from sales.customers limit 5'",
        ),
    ),
    (
        "An administrator takes a dump, masked (by a pg_dump as new as the server or newer):",
        ("samira", "dmitri"),
        (
            "daypass request prod/shop -c select -c export -t 'sales.*' -r 'data for a test'",
            "daypass --as samira approve N",
            "daypass proxy prod/shop --port 6543",
            "pg_dump -h 127.0.0.1 -p 6543 -U dmitri@example.com -O -x -t sales.customers prod/shop",
        ),
    ),
)


def demo(
    customers: Customers = 200_000,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where to listen; else the next free.")
    ] = 8321,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="Where its state is; XDG_STATE_HOME if none."),
    ] = None,
) -> None:
    """Run Daypass and a sample company's database server, in the foreground.

    Ctrl-C or TERM stops both; the state stays and is found again. Where a demo runs already, its
    addresses are shown.
    """
    from daypass.demo.state_folder import AlreadyRunning, alone
    from daypass.domain.errors import Error
    from daypass.settings import default_state_dir

    folder = state.absolute() if state is not None else default_state_dir() / "demo"
    try:
        # Asked before everything is loaded, which takes seconds.
        with alone(folder):
            pass
        import uvloop

        from daypass.app import configure_logging

        # What goes wrong is said by the commands; log lines would run into what is shown here.
        configure_logging("error")
        uvloop.run(_run(folder, customers, port))
    except AlreadyRunning as running:
        _show_running(folder, running.addresses)
    except Error as error:
        raise failure_of_error(error) from error


def tour(
    customers: Customers = 5_000,
    fast: Annotated[
        bool, typer.Option("--fast", help="Do not pause between steps for reading.")
    ] = False,
) -> None:
    """Act the whole story out: each command is really run, and what it proves is checked.

    It starts a demo of its own on free ports and ends it again. The exit status is 0 only if every
    step held.
    """
    from daypass.demo.tour import act

    raise typer.Exit(act(customers=customers, fast=fast))


async def _run(folder: Path, customers: int, port: int) -> None:
    import asyncio
    import signal

    from daypass.demo.start import demo as started

    told = asyncio.Event()

    def stop() -> None:
        if not told.is_set():
            # Between two steps of starting there is something to stop, and nobody who knows it.
            _progress("stopping")
        told.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    async with started(folder, customers=customers, port=port, say=_progress) as found:
        if not told.is_set():
            _welcome(found)
        await told.wait()


def _progress(text: str) -> None:
    say("· ", text)
    console().file.flush()


def _welcome(found: Demo) -> None:
    password = found.state_dir / "password"
    write_private(password, found.password.reveal() + "\n")
    token = found.state_dir / "agent.token"
    if found.agent_token is not None:
        write_private(token, found.agent_token.reveal() + "\n")
    _show(found.state_dir, found.url, f"127.0.0.1:{found.target_port}", found.gateway)
    say("Ctrl-C stops everything.")
    console().file.flush()


def _show(folder: Path, url: str, target: str, gateway: str) -> None:
    from daypass.demo.people import sample_people

    say()
    say(f"Daypass answers at {url}")
    say(f"The company's server, which Daypass looks after as `prod`, is at {target}")
    if gateway:
        say(f"psql and other clients connect at {gateway}: daypass connect prod/shop --print")
    say()
    show_table(
        ("Who", "E-mail", "Is", "Could try"),
        [(p.name, p.email, p.title, _TRY.get(p.email, "")) for p in sample_people() if p.person],
        empty="",
        keep=("Who", "E-mail"),
    )
    say()
    password = folder / "password"
    token = folder / "agent.token"
    if password.exists():
        say(f"Everybody's password: {password.read_text(encoding='utf-8').strip()}")
    if token.exists():
        say(f"The triage agent's access token: DAYPASS_TOKEN=$(cat {shlex.quote(str(token))})")
    say()
    # In a clone the command is in a folder of its own.
    if shutil.which("daypass") is None:
        here = shlex.quote(str(Path(sys.executable).parent))
        say_next(f'export PATH={here}:"$PATH"')
    for title, people, commands in _STORIES:
        say(title)
        for name in people:
            say_code(
                f"daypass login {url} --email {name}@example.com --password-stdin "
                f"< {shlex.quote(str(password))}"
            )
        say_code("\n".join(commands))


def _show_running(folder: Path, addresses: Mapping[str, str]) -> None:
    if not addresses:
        say("A demo is starting here already; ask again in a few seconds.")
        return
    say("A demo runs here already.")
    _show(folder, addresses["url"], addresses["target"], addresses.get("gateway", ""))
