"""The servers that tests start are gone afterwards, however the tests end."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.servers import FOLDER_PREFIX

_PROGRAM = """
import sys, time
from daypass.embedded import find_binaries
from tests.servers import running_server
with running_server(find_binaries()) as cluster:
    pid = (cluster.data_dir / "postmaster.pid").read_text().split()[0]
    print(pid, cluster.data_dir, flush=True)
    time.sleep(300)
"""


def test_a_killed_test_run_leaves_no_server() -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert run.stdout is not None
    with run.stdout:
        pid, data_dir = run.stdout.readline().split()
    folder = Path(data_dir).parent
    assert folder.name.startswith(FOLDER_PREFIX)
    assert Path(f"/proc/{pid}/cwd").resolve() == Path(data_dir)
    run.kill()
    run.wait()
    deadline = time.monotonic() + 30
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists()
    status = Path(f"/proc/{pid}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()
