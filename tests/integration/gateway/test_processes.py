"""Gateways as processes of their own, and the commands that lead to them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.demos import (
    RunningDemo,
    Terminal,
)

pytestmark = pytest.mark.timeout(240)

ONCALL = ("request", "prod/shop", "--profile", "oncall-read", "--ticket", "INC-42", "-r", "slow")
_COUNT = "select count(*) > 0 from sales.orders"


@pytest.fixture(scope="module")
def terminal(running_demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Return a terminal where Ada, who holds a grant, and Dana are logged in."""
    found = Terminal(tmp_path_factory.mktemp("config"), running_demo.url)
    for name in ("dana", "ada"):
        ended = found.run(
            *("login", "--email", f"{name}@example.com", "--password-stdin"),
            typed=running_demo.password + "\n",
        )
        assert ended.exit_code == 0, ended.err
    assert found.run(*ONCALL).exit_code == 0
    return found


def test_connect_runs_psql_and_leaves_no_token_behind(terminal: Terminal) -> None:
    ended = terminal.run("connect", "prod/shop", "--", "-At", "-c", _COUNT)
    assert ended.out == "t\n", ended.err
    assert "NOTICE:  grant" in ended.err
    shown = terminal.run(
        "connect", "prod/shop", "--", "-At", "-c", r"\! env; cat /proc/$PPID/cmdline"
    )
    assert "PGPASSFILE=" in shown.out
    assert "dpt_" not in shown.out
    assert "PGPASSWORD" not in shown.out
    live = terminal.run("tokens", "list", "--json").json["items"]
    assert not [each for each in live if each["name"].startswith("daypass connect")]


def test_connect_says_how_for_other_clients(terminal: Terminal) -> None:
    ended = terminal.run("connect", "prod/shop", "--grant", "1", "--print")
    for part in ("postgresql://ada%40example.com@", "jdbc:postgresql://", "export PGHOST", "psql"):
        assert part in ended.out
    assert "dpt_" not in ended.out + ended.err
    token = terminal.run("tokens", "issue", "gui", "--may", "connect", "--valid", "5m", "--json")
    url = next(line.strip() for line in ended.out.splitlines() if "postgresql://ada" in line)
    with psycopg.connect(url, password=token.json["token"]) as connection:
        assert connection.execute(_COUNT.encode()).fetchone() == (True,)
    entry = terminal.run("connect", "prod/shop", "--service")
    assert entry.out.startswith("[prod-shop]\n")
    assert "sslmode=verify-full" in entry.out


def test_sessions_are_listed_with_what_runs_and_killed(terminal: Terminal) -> None:
    with _psql(terminal, "select pg_sleep(30)") as process:
        (session,) = _until(lambda: _sleeping(terminal))
        assert session["principal"] == "ada@example.com"
        assert session["running"]["statement"] == "select pg_sleep(30)"
        denied = terminal.run("--as", "dana", "kill", str(session["id"]))
        assert denied.exit_code == 2
        killed = terminal.run("--as", "dana", "kill", str(session["id"]), "-r", "it is in the way")
        assert killed.exit_code == 0, killed.err
        out, err = process.communicate(timeout=10)
        assert "it is in the way" in err, (out, err)
    again = terminal.run("kill", str(session["id"]))
    assert again.exit_code == 6


def test_a_proxy_leads_this_user_to_the_database(terminal: Terminal) -> None:
    process = _start(terminal, "proxy", "prod/shop")
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("prod/shop is at 127.0.0.1:")
        port = int(line.split("127.0.0.1:")[1].split(",")[0])
        where = f"host=127.0.0.1 port={port} dbname=shop user=ada sslmode=disable"
        with psycopg.connect(where) as connection:
            assert connection.execute(_COUNT.encode()).fetchone() == (True,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("delete from sales.orders")
        with psycopg.connect(where, autocommit=True) as connection:
            sleeping = _later(lambda: connection.cancel_safe(timeout=5))
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("select pg_sleep(20)")
            sleeping()
        # Root's tests may act as another user of this machine.
        if os.getuid() == 0:
            other = subprocess.run(
                ["/usr/lib/postgresql/15/bin/psql", where, "-c", "select 1"],
                capture_output=True,
                text=True,
                user=65534,
                group=65534,
                env={"PATH": os.environ["PATH"], "HOME": "/"},
                timeout=20,
                check=False,
            )
            assert other.returncode == 2
            assert "you are another" in other.stderr
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


@pytest.mark.parametrize("wait_s", [0.0, 0.15])
def test_a_proxy_stopped_while_it_starts_leaves_no_token(terminal: Terminal, wait_s: float) -> None:
    def live() -> list[Any]:
        return [
            each
            for each in terminal.run("tokens", "list", "--json").json["items"]
            if each["name"].startswith("daypass proxy")
        ]

    process = _start(terminal, "proxy", "prod/shop")
    try:
        _until(live)
        time.sleep(wait_s)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert live() == []


def test_a_proxy_starts_without_what_a_server_needs() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import daypass.local_port, daypass.cli.proxy, sys; print(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()
    assert "daypass.engines.postgres.local_proxy" in loaded
    unwanted = {"alembic", "fastapi", "procrastinate", "sqlalchemy", "uvicorn", "daypass.app"}
    assert not unwanted & set(loaded)


def _own_gateway(
    terminal: Terminal, running_demo: RunningDemo, folder: Path
) -> tuple[subprocess.Popen[str], str]:
    """Start a gateway apart from the demo's, and return it and its port."""
    settings = folder / "daypass.toml"
    state = running_demo.state
    settings.write_text(
        f"state_dir = '{state}'\nsecret_key = 'file:{state / 'secret.key'}'\n"
        "log_level = 'warning'\n[gateway]\nport = 0\n"
    )
    process = _start(terminal, "gateway", "--config", str(settings))
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "takes clients in at" in line, line
    return process, line.rsplit(":", 1)[1].strip()


def test_a_revoked_access_token_ends_what_was_opened_with_it_in_another_process(
    terminal: Terminal, running_demo: RunningDemo, tmp_path: Path
) -> None:
    process, port = _own_gateway(terminal, running_demo, tmp_path)
    try:
        where = f"host=127.0.0.1 port={port} user=ada@example.com dbname=prod/shop sslmode=require"
        issue = ("tokens", "issue", "test", "--may", "connect", "--valid", "5m", "--json")
        first, second = (terminal.run(*issue).json for _ in range(2))
        with (
            psycopg.connect(where, password=first["token"], autocommit=True) as lost,
            psycopg.connect(where, password=second["token"], autocommit=True) as kept,
        ):
            # The API's process is told; the other one holds the connections.
            assert terminal.run("tokens", "revoke", str(first["id"])).exit_code == 0
            began = time.monotonic()
            with pytest.raises(psycopg.OperationalError, match="access token was revoked"):
                _on_and_on(lost, began + 10)
            assert time.monotonic() - began < 2
            assert kept.execute("select 1").fetchone() == (1,)
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_gateway_of_its_own_dies_and_its_session_is_ended(
    running_demo: RunningDemo, terminal: Terminal, tmp_path: Path
) -> None:
    process, port = _own_gateway(terminal, running_demo, tmp_path)
    token = terminal.run("tokens", "issue", "test", "--may", "connect", "--valid", "5m", "--json")
    where = (
        f"host=127.0.0.1 port={port} user=ada@example.com dbname=prod/shop sslmode=verify-full"
        f" sslrootcert={running_demo.state / 'gateway' / 'gateway.crt'}"
    )
    connection = psycopg.connect(where, password=token.json["token"], autocommit=True)
    assert connection.execute(_COUNT.encode()).fetchone() == (True,)
    before = {each["id"] for each in _sessions(terminal)}
    assert before
    process.kill()
    process.communicate(timeout=10)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")
    connection.close()
    # Its connections went with it at once; that its process is silent takes 15 s to be believed.
    _until(lambda: not before & {each["id"] for each in _sessions(terminal)}, within_s=40)


@pytest.mark.long
def test_workers_share_a_port_and_end_together(
    running_demo: RunningDemo, terminal: Terminal, tmp_path: Path
) -> None:
    settings = tmp_path / "daypass.toml"
    state = running_demo.state
    with socket.create_server(("127.0.0.1", 0)) as free:
        wanted = free.getsockname()[1]
    settings.write_text(
        f"state_dir = '{state}'\nsecret_key = 'file:{state / 'secret.key'}'\n"
        f"log_level = 'warning'\n[gateway]\nport = {wanted}\nworkers = 2\ndrain_s = 1\n"
    )
    process = _start(terminal, "gateway", "--config", str(settings))
    assert process.stdout is not None
    assert "2 workers take clients in" in process.stdout.readline()
    token = terminal.run("tokens", "issue", "test", "--may", "connect", "--valid", "5m", "--json")
    where = f"host=127.0.0.1 port={wanted} user=ada@example.com dbname=prod/shop sslmode=require"

    def in_() -> bool:
        try:
            with psycopg.connect(where, password=token.json["token"]) as connection:
                return connection.execute("select 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    _until(in_, within_s=20)
    assert all(in_() for _ in range(4))
    process.terminate()
    assert process.wait(timeout=20) == 0
    process.communicate()
    assert not in_()


def _on_and_on(connection: psycopg.Connection[tuple[object, ...]], until: float) -> None:
    while time.monotonic() < until:
        connection.execute("select pg_sleep(0.02)")


def _start(terminal: Terminal, *words: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DAYPASS_")}
    return subprocess.Popen(
        [sys.executable, "-m", "daypass.cli", *words],
        env={
            **kept,
            "XDG_CONFIG_HOME": str(terminal.config),
            "DAYPASS_SERVER": terminal.server,
            "COLUMNS": "200",
            "PYTHONUNBUFFERED": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def _psql(terminal: Terminal, text: str) -> Iterator[subprocess.Popen[str]]:
    process = _start(terminal, "connect", "prod/shop", "--", "-c", text)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def _sessions(terminal: Terminal) -> list[dict[str, object]]:
    return list(terminal.run("sessions", "--json").json["items"])


def _sleeping(terminal: Terminal) -> list[dict[str, Any]]:
    return [
        each
        for each in terminal.run("sessions", "--json").json["items"]
        if each["running"] is not None and "pg_sleep" in each["running"]["statement"]
    ]


def _until(look: Callable[[], object], within_s: float = 10) -> Any:
    until = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.1)
    return found


def _later(act: Callable[[], None]) -> Callable[[], None]:
    import threading

    timer = threading.Timer(0.7, act)
    timer.start()
    return timer.join
