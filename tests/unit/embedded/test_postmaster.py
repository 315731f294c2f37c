"""Reading `postmaster.pid`, and telling a server from a process that has its number."""

import os
import signal
import time
from pathlib import Path

import pytest

from daypass.embedded.postmaster import Postmaster, read_postmaster

_COMPLETE = """4242
/var/lib/pg
1790000000
5433
/run/pg
127.0.0.1
   123456         7
ready
"""


def test_a_complete_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(_COMPLETE)
    assert read_postmaster(tmp_path) == Postmaster(
        data_dir=tmp_path,
        pid=4242,
        started_at=1790000000,
        port=5433,
        socket_dir=Path("/run/pg"),
        shared_memory_id=7,
    )


def test_a_server_that_has_only_begun_is_read_as_far_as_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("".join(_COMPLETE.splitlines(keepends=True)[:4]))
    found = read_postmaster(tmp_path)
    assert found is not None
    assert (found.port, found.socket_dir, found.shared_memory_id) == (5433, None, None)


@pytest.mark.parametrize("text", [None, "", "4242\n", "x\ny\nz\n1\n", "1\n/d\nsoon\n5432\n"])
def test_an_unusable_file_is_no_server(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "postmaster.pid").write_text(text)
    assert read_postmaster(tmp_path) is None


def test_a_single_user_server_negates_its_number(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("-" + _COMPLETE)
    found = read_postmaster(tmp_path)
    assert found is not None
    assert found.pid == 4242


def test_a_living_process_elsewhere_is_not_the_server(tmp_path: Path) -> None:
    me = Postmaster(tmp_path, os.getpid(), int(time.time()), 5432, None, None)
    assert not me.is_running()
    # This would end the test run if it were sent.
    me.signal(signal.SIGKILL)
    me.kill()
    assert me.wait(0)
