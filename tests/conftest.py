"""Fixtures that give real servers, and what every test is held to.

- `store_cluster`: the control plane's server, one a worker.
- `target_cluster`: a customer's server of the major version `pg_major`; a test that asks for either
  runs once for each version named by `--pg-majors`.
- `servers`: any other major version by number, `servers(17)`.

Servers are shared by all tests of a worker: take a database of your own with `make_database` and
remove the roles you make.
"""

import contextlib
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

# Before `tests.servers` is imported: workers take it from the process that starts them.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["DAYPASS_TEST_RUN"] = secrets.token_hex(4)

from daypass.embedded import Cluster
from tests import servers as pg

_HERE = Path(__file__).parent
_ONE_MAJOR = (
    "integration/places/",
    "integration/insider/",
    "integration/story/test_races.py",
)
_FIRST_AND_LAST = (
    "integration/engines/postgres/test_masks.py",
    "integration/leaks/test_attacks.py",
    "integration/leaks/test_truth.py",
)
"""What is tried on the versions in between by other long suites."""
_LONG_BUT_FOR_LAST = ("integration/engines/postgres/test_masks.py", "integration/leaks/", "kills/")
"""What is tried on the versions before the last by the long suites."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the major versions of the customer's server be chosen."""
    parser.addoption(
        "--pg-majors",
        default=",".join(str(each) for each in pg.TARGET_MAJORS),
        help="major versions of PostgreSQL to test enforcement on (default: %(default)s)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a customer's server once for each major version."""
    if "pg_major" in metafunc.fixturenames:
        majors = [int(each) for each in metafunc.config.getoption("--pg-majors").split(",")]
        ids = [f"pg{each}" for each in majors]
        metafunc.parametrize("pg_major", majors, ids=ids, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a file's tests of one major version on one worker: they share what they set up.

    What a target's version hardly matters to runs on the last of them alone.
    """
    majors = [int(each) for each in config.getoption("--pg-majors").split(",")]
    again = [item for item in items if _again(item, majors)]
    if again:
        left_out = set(map(id, again))
        items[:] = [item for item in items if id(item) not in left_out]
        config.hook.pytest_deselected(items=again)
    for item in items:
        if _tried_longer(item, majors):
            item.add_marker(pytest.mark.long)
        if item.get_closest_marker("xdist_group") is None:
            parameters = getattr(getattr(item, "callspec", None), "params", {})
            group = f"{item.path.relative_to(_HERE)}-{parameters.get('pg_major', 'any')}"
            item.add_marker(pytest.mark.xdist_group(group))


def _again(item: pytest.Item, majors: list[int]) -> bool:
    """Say whether a test would only be the same again on this major version."""
    major = _major(item, majors)
    if _path(item).startswith(_ONE_MAJOR):
        return major != majors[-1]
    return _path(item).startswith(_FIRST_AND_LAST) and major not in (majors[0], majors[-1])


def _tried_longer(item: pytest.Item, majors: list[int]) -> bool:
    """Say whether a test is left to the long suites on this major version."""
    return _path(item).startswith(_LONG_BUT_FOR_LAST) and _major(item, majors) != majors[-1]


def _path(item: pytest.Item) -> str:
    return item.path.relative_to(_HERE).as_posix()


def _major(item: pytest.Item, majors: list[int]) -> int:
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return int(parameters.get("pg_major", majors[-1]))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that leaves a process behind, and end the process."""
    if hasattr(session.config, "workerinput"):
        return
    left = list(_left_behind())
    for pid, command in left:
        print(f"\nleft behind: process {pid}: {command}")  # noqa: T201 - for whoever reads the run
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _left_behind() -> Iterator[tuple[int, str]]:
    for each in Path("/proc").iterdir():
        if not each.name.isdecimal() or int(each.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if pg.FOLDER_PREFIX in command:
                yield int(each.name), command


@pytest.fixture(autouse=True)
def _no_sockets_in_unit_tests(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not request.path.is_relative_to(_HERE / "unit"):
        return

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a unit test opened a socket: it belongs to tests/integration")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[int], Cluster]]:
    """Return a function that gives this worker's server of a major version, started once."""
    running: dict[int, Cluster] = {}
    with contextlib.ExitStack() as stack:

        def server(major: int) -> Cluster:
            if major not in running:
                binaries = pg.binaries_of(major)
                if binaries is None:
                    lacking(f"PostgreSQL {major} is not installed")
                running[major] = stack.enter_context(pg.running_server(binaries))
            elif not running[major].is_running():
                # A test has killed it; the next one gets it back, recovered.
                running[major].start()
            return running[major]

        yield server


@pytest.fixture(scope="session")
def store_cluster(servers: Callable[[int], Cluster]) -> Cluster:
    """Return this worker's server for control planes."""
    return servers(pg.STORE_MAJOR)


@pytest.fixture
def target_cluster(servers: Callable[[int], Cluster], pg_major: int) -> Cluster:
    """Return this worker's server of the major version under test."""
    return servers(pg_major)


@pytest.fixture(scope="session")
def long_seconds() -> float:
    """Return how long a test marked `long` goes on."""
    return float(os.environ.get("LONG_SECONDS", "60"))


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something this machine lacks; on CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI skips nothing")
    pytest.skip(what)
