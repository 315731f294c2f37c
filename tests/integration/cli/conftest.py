"""A terminal where the sample people are logged in, at a demo that these modules share."""

from collections.abc import Iterator

import pytest

from tests.demos import RunningDemo, Terminal, demo_folder, start_demo, stop_demo


@pytest.fixture(scope="package")
def running_demo() -> Iterator[RunningDemo]:
    """Return a demo that answers: starting one takes longer than most of these modules."""
    with demo_folder() as folder:
        found = start_demo(folder)
        try:
            yield found
        finally:
            if found.process.poll() is None:
                stop_demo(found)


@pytest.fixture(scope="module")
def terminal(running_demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Return a terminal where the sample people the tests need are logged in."""
    found = Terminal(tmp_path_factory.mktemp("config"), running_demo.url)
    for name in ("ada", "ben", "dana", "dmitri", "samira", "robin"):
        ended = found.run(
            *("login", "--email", f"{name}@example.com", "--password-stdin"),
            typed=running_demo.password + "\n",
        )
        assert ended.exit_code == 0, ended.err
    return found
