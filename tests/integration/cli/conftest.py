"""A terminal where the sample people are logged in."""

import pytest

from tests.demos import RunningDemo, Terminal


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
