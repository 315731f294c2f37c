"""The launcher's whole life of a server, on real ones."""

import multiprocessing
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from daypass.embedded import Cluster, EmbeddedError, find_binaries
from tests.conftest import lacking
from tests.servers import binaries_of, make_database

_FAST = {"fsync": "off"}


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    """Return a server that was never started, and delete it afterwards."""
    made = Cluster(folder / "pg", find_binaries(), settings=_FAST)
    yield made
    made.destroy()
    assert not list(folder.iterdir())


def _one(cluster: Cluster, query: str) -> object:
    with psycopg.connect(cluster.conninfo("postgres")) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _alive(pid: str) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def test_fixtures_give_the_majors_asked_for(
    target_cluster: Cluster, store_cluster: Cluster, pg_major: int
) -> None:
    for cluster, major in ((target_cluster, pg_major), (store_cluster, 17)):
        with psycopg.connect(make_database(cluster)) as connection:
            assert connection.info.server_version // 10000 == major


def test_init_is_idempotent_and_keeps_the_password(cluster: Cluster) -> None:
    cluster.init()
    password = cluster.password_file.read_text()
    made = (cluster.data_dir / "PG_VERSION").stat().st_mtime_ns
    cluster.init()
    assert cluster.password_file.read_text() == password
    assert (cluster.data_dir / "PG_VERSION").stat().st_mtime_ns == made
    assert not cluster.is_running()


def test_init_that_was_interrupted_is_done_again(cluster: Cluster) -> None:
    half = cluster.data_dir.with_name("pg.new")
    half.mkdir(mode=0o700)
    (half / "PG_VERSION").write_text("17\n")
    cluster.start()
    assert _one(cluster, "select 1") == 1
    assert not half.exists()


def test_a_running_server_is_used_and_left_to_who_started_it(cluster: Cluster) -> None:
    with cluster:
        started = _one(cluster, "select pg_postmaster_start_time()")
        with Cluster(cluster.data_dir, cluster.binaries, settings=_FAST) as other:
            assert _one(other, "select pg_postmaster_start_time()") == started
        assert cluster.is_running()
    assert not cluster.is_running()
    with pytest.raises(EmbeddedError, match="does not run"):
        cluster.conninfo("postgres")


def test_only_the_owner_gets_near(cluster: Cluster) -> None:
    with cluster:
        assert stat.S_IMODE(cluster.data_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE(cluster.password_file.stat().st_mode) == 0o600
        methods = "select array_agg(distinct auth_method) from pg_hba_file_rules"
        assert _one(cluster, methods) == ["scram-sha-256"]
        # Nothing but the socket: no TCP.
        assert _one(cluster, "show listen_addresses") == ""
        assert _one(cluster, "show unix_socket_directories") == str(cluster.data_dir)


@pytest.mark.parametrize("host", ["127.0.0.1", None])
def test_no_password_no_entry(target_cluster: Cluster, host: str | None) -> None:
    good = target_cluster.conninfo("postgres")
    where = host or str(target_cluster.data_dir)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(make_conninfo(good, host=where, password="wrong"))
    with psycopg.connect(make_conninfo(good, host=where)) as connection:
        assert connection.info.user == "postgres"


def test_kill_leaves_no_process_and_loses_nothing_committed(cluster: Cluster) -> None:
    cluster.start()
    with psycopg.connect(cluster.conninfo("postgres")) as connection:
        connection.execute("create table kept as select 42 as answer")
    pid = int((cluster.data_dir / "postmaster.pid").read_text().split()[0])
    children = _children(pid)
    assert children
    cluster.kill()
    assert not cluster.is_running()
    assert not [each for each in (str(pid), *children) if _alive(each)]
    cluster.start()
    assert _one(cluster, "select answer from kept") == 42


def test_stop_ends_open_sessions_and_every_process(cluster: Cluster) -> None:
    cluster.start()
    pid = int((cluster.data_dir / "postmaster.pid").read_text().split()[0])
    connection = psycopg.connect(cluster.conninfo("postgres"))
    connection.execute("select 1")
    children = _children(pid)
    cluster.stop()
    cluster.stop()
    assert not [each for each in (str(pid), *children) if _alive(each)]
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")
    connection.close()


def _start(data_dir: Path) -> None:
    Cluster(data_dir, find_binaries(), settings=_FAST).start()


def test_starters_that_meet_end_with_one_server(cluster: Cluster) -> None:
    # Spawned: a forked child would share this process's locks.
    context = multiprocessing.get_context("spawn")
    starters = [context.Process(target=_start, args=(cluster.data_dir,)) for _ in range(3)]
    for each in starters:
        each.start()
    for each in starters:
        each.join(60)
    assert [each.exitcode for each in starters] == [0, 0, 0]
    assert _one(cluster, "select 1") == 1
    log = cluster.log_file.read_text()
    assert log.count("starting PostgreSQL") == 1


def test_a_setting_it_refuses_is_told_with_the_log(folder: Path) -> None:
    cluster = Cluster(folder / "pg", find_binaries(), settings={"shared_buffers": "a lot"})
    with pytest.raises(EmbeddedError, match='invalid value for parameter "shared_buffers"'):
        cluster.start()
    assert not cluster.is_running()
    cluster.destroy()


def test_settings_arrive_as_written(folder: Path) -> None:
    odd = 'it\'s $HOME; `id` "x"'
    settings = {**_FAST, "application_name": odd, "max_connections": "7"}
    with Cluster(folder / "pg", find_binaries(), settings=settings) as cluster:
        assert _one(cluster, "show max_connections") == "7"
        query = "select reset_val from pg_settings where name = 'application_name'"
        assert _one(cluster, query) == odd
    cluster.destroy()


def test_another_major_is_refused(cluster: Cluster) -> None:
    cluster.init()
    other = binaries_of(16)
    if other is None:
        lacking("PostgreSQL 16 is not installed")
    with pytest.raises(EmbeddedError, match="was made by PostgreSQL 17"):
        Cluster(cluster.data_dir, other).start()


def test_the_environment_does_not_redirect_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGDATA": "/nowhere", "PGPORT": "1", "PGOPTIONS": "-c nothing=1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PGOPTIONS")
    with cluster:
        assert _one(cluster, "show port") == "5432"
        assert _one(cluster, "show data_directory") == str(cluster.data_dir)
