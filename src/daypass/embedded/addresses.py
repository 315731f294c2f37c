"""Where a server listens: a free port, and a folder for its Unix socket that is short enough."""

import hashlib
import os
import socket
import stat
import tempfile
from pathlib import Path

from daypass.embedded.errors import EmbeddedError
from daypass.embedded.identity import Identity

# sun_path holds 108 bytes, the last of them a zero.
_SOCKET_PATH_BYTES = 107


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listened on a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def socket_dir(data_dir: Path, port: int, identity: Identity) -> Path:
    """Return a 0700 folder of the server's user for its socket, made if need be.

    It is the data directory itself unless its path is too long for a socket's; then it is one in
    the temporary folder, always the same for a data directory.
    """
    if _fits(data_dir, port):
        return data_dir
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    for parent in dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp"))):  # noqa: S108 - checked below
        folder = parent / f"daypass-{digest}"
        if not _fits(folder, port) or not identity.can_reach(parent):
            continue
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            # Everybody may write there: what is there already must be the server's own.
            found = folder.lstat()
            mine = stat.S_ISDIR(found.st_mode) and found.st_uid == identity.owner
            if not mine or stat.S_IMODE(found.st_mode) != 0o700:
                raise EmbeddedError(f"{folder} is in the way and is another's: remove it") from None
        else:
            identity.give(folder)
        return folder
    raise EmbeddedError(f"no folder short enough for the socket of the server in {data_dir}")


def _fits(folder: Path, port: int) -> bool:
    return len(os.fsencode(folder / f".s.PGSQL.{port}.lock")) <= _SOCKET_PATH_BYTES
