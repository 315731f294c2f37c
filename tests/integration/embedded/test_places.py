"""Where a server may live and as whom it runs: private homes, long paths, unreadable programs."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from daypass.embedded import Binaries, Cluster, EmbeddedError, find_binaries, identity

_FAST = {"fsync": "off"}
_AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run it as another user")


def _namespaces() -> bool:
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.call([unshare, "--user", "true"]) == 0


_WITH_NAMESPACES = pytest.mark.skipif(
    not _namespaces(), reason="this kernel gives no user namespaces here"
)


@pytest.fixture
def private(folder: Path) -> Path:
    """Return a folder only its owner may enter, as many homes are."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    return home


@pytest.fixture
def _no_unshare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take `unshare` away, as on machines without user namespaces."""
    monkeypatch.setenv("PATH", "/nonexistent")
    identity._mapping.cache_clear()
    yield
    identity._mapping.cache_clear()


def _status(cluster: Cluster) -> dict[str, str]:
    pid = (cluster.data_dir / "postmaster.pid").read_text().split()[0]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (each.partition(":") for each in lines)}


def _answers(cluster: Cluster) -> bool:
    with psycopg.connect(cluster.conninfo("postgres")) as connection:
        return connection.execute("select 1").fetchone() == (1,)


@_AS_ROOT
def test_root_runs_it_as_nobody_where_nobody_gets_in(folder: Path) -> None:
    binaries = Binaries(Path("/usr/lib/postgresql/15/bin"), 15, "debian")
    if not binaries.bin_dir.is_dir():
        binaries = find_binaries()
    with Cluster(folder / "pg", binaries, settings=_FAST) as cluster:
        if cluster.data_dir.stat().st_uid == 0:
            pytest.skip("the programs here are in a private folder")
        assert _status(cluster)["Uid"].split() == ["65534"] * 4
        assert _status(cluster)["Groups"] == ""
        assert _answers(cluster)
    cluster.destroy()


@_AS_ROOT
@_WITH_NAMESPACES
def test_root_runs_it_in_a_private_home_without_its_powers(private: Path) -> None:
    with Cluster(private / "pg", find_binaries(), settings=_FAST) as cluster:
        assert int(_status(cluster)["CapEff"], 16) == 0
        assert _answers(cluster)
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    cluster.destroy()


@_AS_ROOT
@_WITH_NAMESPACES
def test_a_folder_that_became_private_is_used_all_the_same(folder: Path, private: Path) -> None:
    open_folder = folder / "open"
    open_folder.mkdir(mode=0o755)
    before = Cluster(open_folder / "pg", find_binaries(), settings=_FAST)
    with before:
        assert _answers(before)
    for name in ("pg", "pg.password"):
        (open_folder / name).rename(private / name)
    moved = Cluster(private / "pg", find_binaries(), settings=_FAST)
    with moved:
        assert _answers(moved)
    moved.destroy()


@_AS_ROOT
@pytest.mark.usefixtures("_no_unshare")
def test_programs_in_a_private_home_are_copied(folder: Path, private: Path) -> None:
    found = find_binaries()
    hidden = private / "package" / "pginstall"
    shutil.copytree(found.bin_dir.parent, hidden, symlinks=True)
    binaries = find_binaries(bin_dir=hidden / "bin")
    copies = set(Path("/var/tmp").glob("daypass-postgresql-*"))
    try:
        with Cluster(folder / "pg", binaries, settings=_FAST) as cluster:
            assert _status(cluster)["Uid"].split() == ["65534"] * 4
            assert _answers(cluster)
        cluster.destroy()
    finally:
        for each in set(Path("/var/tmp").glob("daypass-postgresql-*")) - copies:
            shutil.rmtree(each)


@_AS_ROOT
@pytest.mark.usefixtures("_no_unshare")
def test_a_private_home_without_namespaces_is_refused_with_advice(private: Path) -> None:
    cluster = Cluster(private / "pg", find_binaries(), settings=_FAST)
    with pytest.raises(EmbeddedError, match="Choose a state folder outside of a private home"):
        cluster.start()


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(folder: Path) -> None:
    deep = folder / ("d" * 90)
    deep.mkdir(mode=0o711)
    with Cluster(deep / "pg", find_binaries(), settings=_FAST) as cluster:
        assert _answers(cluster)
        with psycopg.connect(cluster.conninfo("postgres")) as connection:
            row = connection.execute("show unix_socket_directories").fetchone()
        assert row is not None
        socket_dir = Path(row[0])
        assert deep not in socket_dir.parents
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
        cluster.kill()
        cluster.start()
        assert _answers(cluster)
    assert not socket_dir.exists()
    cluster.destroy()


def test_a_short_socket_folder_of_another_is_not_used(folder: Path) -> None:
    deep = folder / ("e" * 90)
    deep.mkdir(mode=0o711)
    with Cluster(deep / "pg", find_binaries(), settings=_FAST) as cluster:
        with psycopg.connect(cluster.conninfo("postgres")) as connection:
            row = connection.execute("show unix_socket_directories").fetchone()
    assert row is not None
    socket_dir = Path(row[0])
    socket_dir.mkdir(mode=0o755)
    try:
        with pytest.raises(EmbeddedError, match="is in the way and is another's"):
            cluster.start()
    finally:
        socket_dir.rmdir()
        cluster.destroy()


def test_a_stale_pid_file_does_not_hit_an_innocent_process(folder: Path) -> None:
    cluster = Cluster(folder / "pg", find_binaries(), settings=_FAST)
    cluster.start()
    cluster.kill()
    owner = cluster.data_dir.stat().st_uid
    bystander = subprocess.Popen(["/bin/sleep", "300"], user=owner if os.geteuid() == 0 else None)
    try:
        pid_file = cluster.data_dir / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
        assert not cluster.is_running()
        cluster.kill()
        cluster.stop()
        assert bystander.poll() is None
        cluster.start()
        assert _answers(cluster)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
        cluster.destroy()
