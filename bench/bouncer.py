"""pgbouncer beside the gateway: what another relay in front of a database makes of the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bench.place import Place
from bench.queries import direct_to
from daypass.embedded import free_port

_INSTALL = Path(__file__).parent.parent / "scripts" / "apt-install.sh"


@contextlib.asynccontextmanager
async def running_bouncer(place: Place) -> AsyncIterator[int | None]:
    """Run pgbouncer with session pooling, installed first where we may; yield its port."""
    program = _program()
    if program is None:
        sys.stderr.write("There is no pgbouncer to compare with: sudo apt-get install pgbouncer\n")
        yield None
        return
    port = free_port()
    direct = direct_to(place)
    home = Path(tempfile.mkdtemp(prefix="daypass-bench-bouncer-"))
    (home / "users").write_text(f'"{direct["PGUSER"]}" "{direct["PGPASSWORD"]}"\n')
    (home / "ini").write_text(
        f"[databases]\nshop = host=127.0.0.1 port={place.company.port} dbname=shop\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {home / 'users'}\npool_mode = session\n"
        "default_pool_size = 64\nmax_client_conn = 200\n"
    )
    command: Sequence[str] = (program, str(home / "ini"))
    if os.getuid() == 0:
        # It refuses to run as root.
        for each in (home, home / "users", home / "ini"):
            os.chown(each, 65534, 65534)
        command = (program, "-u", "nobody", str(home / "ini"))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await asyncio.sleep(1)
        if process.returncode is not None:
            raise RuntimeError("pgbouncer does not start")
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        shutil.rmtree(home)


def _program() -> str | None:
    found = _found()
    if found is None and os.getuid() == 0 and shutil.which("apt-get") is not None:
        # What fails is told by the script; then there is none.
        subprocess.run([str(_INSTALL), "pgbouncer"], check=False)
        found = _found()
    return found


def _found() -> str | None:
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
