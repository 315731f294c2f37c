"""The whole story, as `make tour` plays it."""

import subprocess
import sys

import pytest


@pytest.mark.timeout(400)
def test_every_step_of_the_tour_holds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daypass.cli", "tour", "--fast", "--customers", "300"],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert "✗" not in done.stdout
    assert "steps held." in done.stdout
