"""The one line that closes a run on CI."""

import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[3] / "scripts/sum_reports.py"
_REPORT = '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>'


def _run(reports: Path, *steps: str) -> tuple[int, str]:
    command = [sys.executable, str(_SCRIPT), str(reports)]
    for each in steps:
        command += ["--expect", each]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def _write(reports: Path, name: str, *counts: int) -> None:
    (reports / f"{name}.xml").write_text(_REPORT.format(*counts))


def test_runners_are_summed(tmp_path: Path) -> None:
    _write(tmp_path, "test", 10, 0, 0, 2)
    _write(tmp_path, "long", 3, 0, 0, 0)
    assert _run(tmp_path, "lint=0", "test=0", "long=0") == (
        0,
        "11 passed, 0 failed, 2 skipped\n",
    )


def test_failures_and_errors_fail(tmp_path: Path) -> None:
    _write(tmp_path, "test", 10, 1, 2, 0)
    assert _run(tmp_path, "test=1") == (1, "7 passed, 3 failed, 0 skipped\n")


@pytest.mark.parametrize("status", ["1", "2", "124", "137"])
def test_a_step_that_failed_in_silence_is_a_failure(tmp_path: Path, status: str) -> None:
    _write(tmp_path, "test", 10, 0, 0, 0)
    assert _run(tmp_path, "test=0", f"lint={status}") == (1, "10 passed, 1 failed, 0 skipped\n")


def test_a_run_that_broke_off_after_green_tests_is_a_failure(tmp_path: Path) -> None:
    _write(tmp_path, "test", 10, 0, 0, 0)
    assert _run(tmp_path, "test=3") == (1, "10 passed, 1 failed, 0 skipped\n")


def test_no_test_at_all_is_no_success(tmp_path: Path) -> None:
    assert _run(tmp_path, "lint=0", "test=5") == (1, "0 passed, 0 failed, 0 skipped\n")
