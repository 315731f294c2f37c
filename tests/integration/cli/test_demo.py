"""The demo, its end, and settings of `serve`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.demos import (
    RunningDemo,
    Terminal,
    demo_folder,
    start_demo,
    stop_demo,
)

pytestmark = pytest.mark.timeout(240)


def processes_of(folder: Path) -> list[str]:
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdecimal() and int(each.name) != os.getpid():
            try:
                command = (each / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found


def test_it_prints_what_one_needs_to_try_it(running_demo: RunningDemo) -> None:
    for each in ("ada@example.com", "samira@example.com", "On-call engineer", "prod"):
        assert each in running_demo.shown
    assert running_demo.password in running_demo.shown
    assert (running_demo.state / "password").stat().st_mode & 0o777 == 0o600
    assert (running_demo.state / "agent.token").stat().st_mode & 0o777 == 0o600


def test_a_second_one_shows_where_the_first_is(
    running_demo: RunningDemo, terminal: Terminal
) -> None:
    ended = terminal.run("demo", "--state", str(running_demo.state))
    assert ended.exit_code == 0
    assert running_demo.url in ended.out
    assert "runs here already" in ended.out


def test_what_a_second_one_says_needs_nothing_of_what_the_first_runs_on(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom daypass.demo.people import sample_people\n"
        "from daypass.demo.state_folder import AlreadyRunning, alone\nfrom pathlib import Path\n"
        "folder = Path(sys.argv[1])\nwith alone(folder):\n    try:\n"
        "        with alone(folder):\n            sys.exit('two at once')\n"
        "    except AlreadyRunning:\n        print(len(sample_people()))\n"
        "print(sorted({'fastapi', 'psycopg', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_with_everything_it_began_and_is_found_again(number: signal.Signals) -> None:
    with demo_folder() as folder:
        first = start_demo(folder)
        assert processes_of(folder)
        assert stop_demo(first, number) == 0
        assert processes_of(folder) == []
        if number is signal.SIGTERM:
            again = start_demo(folder)
            assert "an earlier demo left" in again.shown
            assert again.password == first.password
            assert stop_demo(again) == 0


def test_it_stops_while_it_starts() -> None:
    with demo_folder() as folder:
        found = _start_and_stop_at_once(folder)
        assert found == 0
        assert processes_of(folder) == []


def _start_and_stop_at_once(folder: Path) -> int:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "daypass.cli", "demo", "--customers", "300"),
            *("--port", "0", "--state", str(folder / "state")),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.stdout.read()
    code = process.wait(timeout=90)
    process.stdout.close()
    return code


def test_every_mistake_in_the_settings_is_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "daypass.toml"
    file.write_text('wokers = 3\nworkers = "many"\n[api]\nport = 99999\n')
    ended = Terminal(tmp_path).run("serve", "--config", str(file), DAYPASS_LOG_LEVEL="loud")
    assert ended.exit_code == 2
    for each in ("wokers", "workers", "api.port", "DAYPASS_LOG_LEVEL"):
        assert each in ended.err


def test_nothing_is_served_without_a_secret_key(tmp_path: Path) -> None:
    ended = Terminal(tmp_path).run("serve", XDG_STATE_HOME=str(tmp_path / "state"))
    assert ended.exit_code == 2
    assert "secret_key" in ended.err
    assert not (tmp_path / "state").exists()
