"""Run a gateway apart from the rest of Daypass."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from daypass.cli.output import say
from daypass.cli.serve import failure_of_error

if TYPE_CHECKING:
    from daypass.app import GatewayAddress
    from daypass.settings import Settings

_AGAIN_S: Final = 1.0
_LONGER_S: Final = 15.0


def gateway(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", envvar="DAYPASS_CONFIG", help="Settings as TOML."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=64, help="Processes; else what the settings say."),
    ] = None,
    worker: Annotated[bool, typer.Option("--one-of-them", hidden=True)] = False,
) -> None:
    """Run a gateway in the foreground until Ctrl-C or TERM, with the settings of `daypass serve`.

    It uses the same store. TERM takes no more clients in and lets statements end, within
    gateway.drain_s; several workers share the port.
    """
    from daypass.app import configure_logging
    from daypass.domain.errors import Error
    from daypass.settings import load_settings

    try:
        settings = load_settings(config, os.environ)
        configure_logging(settings.log_level)
        count = workers or settings.gateway.workers
        if worker or count == 1:
            _run(settings, shared=worker, announce=not worker)
        else:
            _run_workers(settings, config, count)
    except Error as error:
        raise failure_of_error(error) from error


def _run(settings: Settings, *, shared: bool, announce: bool) -> None:
    import uvloop

    from daypass.app import serve_gateway

    async def tell(found: GatewayAddress) -> None:
        if announce:
            say(f"The gateway takes clients in at {found.host}:{found.port}")
            if found.certificate is not None:
                say(f"Its certificate is {found.certificate}")
            say("Ctrl-C stops it.")
        sys.stdout.flush()

    uvloop.run(serve_gateway(settings, tell, shared=shared))


def _run_workers(settings: Settings, config: Path | None, count: int) -> None:
    """Run workers that share a port, and start again those that end by themselves."""
    from daypass.app import free_gateway_port

    port = free_gateway_port(settings)
    command = [sys.executable, "-m", "daypass.cli", "gateway", "--one-of-them"]
    if config is not None:
        command += ["--config", str(config)]
    environment = {**os.environ, "DAYPASS_GATEWAY__PORT": str(port)}

    def start() -> subprocess.Popen[bytes]:
        # Signals of the terminal are passed on by us alone, once.
        return subprocess.Popen(command, env=environment, start_new_session=True)

    running = [start() for _ in range(count)]
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.append(1))
    say(f"{count} workers take clients in at {settings.gateway.host}:{port}. Ctrl-C stops them.")
    sys.stdout.flush()
    try:
        while not stopping:
            time.sleep(0.2)
            _replace_ended(running, start)
    finally:
        _stop(running, settings.gateway.drain_s + _LONGER_S)


def _replace_ended(
    running: list[subprocess.Popen[bytes]], start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    for index, each in enumerate(running):
        if each.poll() is not None:
            time.sleep(_AGAIN_S)
            running[index] = start()


def _stop(running: list[subprocess.Popen[bytes]], patience_s: float) -> None:
    for each in running:
        each.terminate()
    until = time.monotonic() + patience_s
    for each in running:
        try:
            each.wait(timeout=max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            each.kill()
            each.wait()
