"""Run every mutant: `python -m tests.mutants [PART OF A NAME]`.

The tree is copied, each protection taken away in the copy, and its test run there. A mutant is
caught when the test fails; the whole run passes when every one is, and the tests pass unmutated.
"""

from __future__ import annotations

import os
import queue
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.mutants.catalogue import MUTANTS, Mutant

_ROOT = Path(__file__).parent.parent.parent
_AT_ONCE = 2
_TIMEOUT_S = 400
_Subject = TypeVar("_Subject")
_COUNTS = re.compile(r"(\d+) (passed|failed|error)")


def main(part: str) -> int:
    """Return 0 when every mutant was caught."""
    chosen = [mutant for mutant in MUTANTS if part in mutant.name]
    with tempfile.TemporaryDirectory(prefix="daypass-mutants-") as folder:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(_AT_ONCE):
            copies.put(_copied(Path(folder) / f"tree-{number}"))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            tests = sorted({mutant.test for mutant in chosen})
            said = pool.map(lambda test: _with(copies, _unmutated, test), tests)
            problems = [
                f"unmutated, {test}: {output}"
                for test, output in zip(tests, said, strict=True)
                if output
            ]
            caught = 0
            ends = pool.map(lambda mutant: _with(copies, _problem_of, mutant), chosen)
            for mutant, problem in zip(chosen, ends, strict=True):
                caught += not problem
                print(f"{'SURVIVED' if problem else 'caught  '}  {mutant.name}", flush=True)
                if problem:
                    problems.append(f"{mutant.name}: {problem}")
    for problem in problems:
        print(f"! {problem}")
    print(f"{caught} passed, {len(problems)} failed, 0 skipped")
    return 1 if problems else 0


def _copied(copy: Path) -> Path:
    """Copy what tests need of the tree, changes that are not committed included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "src", "tests", "pyproject.toml"],
        cwd=_ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (_ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / name, copy / name)
    return copy


def _with(
    copies: queue.SimpleQueue[Path], work: Callable[[Path, _Subject], str], subject: _Subject
) -> str:
    copy = copies.get()
    try:
        return work(copy, subject)
    finally:
        copies.put(copy)


def _unmutated(copy: Path, test: str) -> str:
    passed, failed, output = _run(copy, test)
    return output[-400:] if failed or not passed else ""


def _problem_of(copy: Path, mutant: Mutant) -> str:
    file = copy / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.before) != 1:
        return f"{mutant.file} has {text.count(mutant.before)} places to change, not one"
    try:
        file.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
        _, failed, output = _run(copy, mutant.test)
    finally:
        file.write_text(text, encoding="utf-8")
    return "" if failed else f"{mutant.test} did not fail: {output[-300:]}"


def _run(copy: Path, test: str) -> tuple[int, int, str]:
    """Run a test in the copy; return how many passed and failed, and what was said."""
    path, _, chosen = test.partition(" -k ")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", path]
    command += ["--pg-majors", "16", "-m", "not long"]
    if chosen:
        command += ["-k", chosen]
    environment = {**os.environ, "PYTHONPATH": f"{copy / 'src'}:{copy}"}
    environment.pop("DAYPASS_TEST_RUN", None)
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 0, 1, f"{shlex.join(command)} took over {_TIMEOUT_S} s"
    counts = {"passed": 0, "failed": 0, "error": 0}
    for number, what in _COUNTS.findall(done.stdout):
        counts[what] += int(number)
    return counts["passed"], counts["failed"] + counts["error"], done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
