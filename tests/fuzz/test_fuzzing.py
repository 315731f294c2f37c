"""Coverage-guided fuzzing of the codec, the relay and statements, for as long as is asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_SHARES = {"statements": 0.5, "relay": 0.3, "wire": 0.2}
_MEMORY_MB = 1500
_ONE_INPUT_S = 10


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("what", _SHARES)
def test_nothing_is_found(what: str, long_seconds: float, tmp_path: Path) -> None:
    """No crash, no hang, no unbounded memory, and what each target itself looks for."""
    pytest.importorskip("atheris", reason="there are no binaries of atheris for this platform")
    seconds = max(5, int(long_seconds * _SHARES[what]))
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            f"tests.fuzz.{what}",
            str(tmp_path / "inputs"),
            f"-max_total_time={seconds}",
            f"-timeout={_ONE_INPUT_S}",
            f"-rss_limit_mb={_MEMORY_MB}",
            f"-artifact_prefix={tmp_path}/",
        ],
        cwd=_ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds + 240,
    )
    assert ran.returncode == 0, ran.stderr[-5000:]
    done = re.search(r"Done (\d+) runs", ran.stderr)
    assert done is not None, ran.stderr[-2000:]
    assert int(done[1]) > 1000
    print(f"{what}: {done[0]}")  # noqa: T201 - how much was tried, for whoever reads the run
