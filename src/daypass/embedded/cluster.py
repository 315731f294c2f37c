"""One PostgreSQL server that Daypass itself makes, starts and stops."""

import contextlib
import fcntl
import os
import secrets
import shlex
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Literal, Self

from psycopg.conninfo import make_conninfo

from daypass.embedded.addresses import socket_dir
from daypass.embedded.binaries import Binaries
from daypass.embedded.errors import EmbeddedError
from daypass.embedded.identity import Identity, choose_identity
from daypass.embedded.postmaster import Postmaster, read_postmaster

# Without TCP the number is but a part of the socket's name.
_SOCKET_PORT: Final = 5432
_START_TIMEOUT_S: Final = 300
_STOP_TIMEOUT_S: Final = 60.0

_DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "max_connections": "100",
        "shared_buffers": "32MB",
        # A back end whose client was killed notices it even while it runs a statement.
        "client_connection_check_interval": "1s",
        "password_encryption": "scram-sha-256",
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
)


class Cluster:
    """A PostgreSQL server in a data directory of its own, reached by password only.

    Everything it needs lies beside the data directory `DIR`: the superuser's password in
    `DIR.password` (0600), `DIR.lock` for starters that meet, the server's log in `DIR/server.log`.
    Without a port it listens on a Unix socket in a 0700 folder and nowhere else; with one, on the
    loopback address too. All methods are idempotent and may be called from any process.
    """

    def __init__(
        self,
        data_dir: Path,
        binaries: Binaries,
        *,
        port: int | None = None,
        superuser: str = "postgres",
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.binaries = binaries
        self.port = port
        self.superuser = superuser
        self._settings = {**_DEFAULTS, **settings}
        self._started_here = False

    @property
    def password_file(self) -> Path:
        """Return the 0600 file that holds the superuser's password."""
        return self._beside("password")

    @property
    def log_file(self) -> Path:
        """Return the server's log."""
        return self.data_dir / "server.log"

    def init(self) -> None:
        """Make the data directory unless it is there."""
        with self._locked():
            self._init()

    def start(self) -> None:
        """Start the server and wait until it answers; one that runs already is used as it is.

        Raises EmbeddedError with the end of the server's log when it does not come up.
        """
        with self._locked():
            self._init()
            if self.is_running():
                return
            identity = self._identity()
            self._clear_remains(identity)
            port = self.port or _SOCKET_PORT
            listen = {
                "listen_addresses": "127.0.0.1" if self.port else "",
                "port": str(port),
                "unix_socket_directories": str(socket_dir(self.data_dir, port, identity)),
            }
            options = " ".join(
                f"-c {shlex.quote(f'{name}={value}')}"
                for name, value in {**self._settings, **listen}.items()
            )
            arguments = ["start", "-w", "-s", "-t", str(_START_TIMEOUT_S)]
            arguments += ["-D", str(self.data_dir), "-l", str(self.log_file), "-o", options]
            try:
                identity.run("pg_ctl", arguments, timeout_s=_START_TIMEOUT_S + 30)
            except EmbeddedError as error:
                raise EmbeddedError(f"{error}\n{self._log_tail()}") from error
            self._started_here = True

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server: roll back what is open (`fast`) or leave it to recovery (`immediate`).

        A server that does not end in a minute is stopped immediately, then killed.
        """
        with self._locked():
            server = read_postmaster(self.data_dir)
            if server is not None:
                if mode == "fast":
                    server.signal(signal.SIGINT)
                    server.wait(_STOP_TIMEOUT_S)
                server.signal(signal.SIGQUIT)
                if not server.wait(_STOP_TIMEOUT_S):
                    server.kill()
                self._remove_socket(server)
            self._started_here = False

    def kill(self) -> None:
        """End every process of the server with SIGKILL, as a failing machine would."""
        server = read_postmaster(self.data_dir)
        if server is not None:
            server.kill()

    def destroy(self) -> None:
        """Stop the server without care and delete everything that belongs to it."""
        server = read_postmaster(self.data_dir)
        self.stop("immediate")
        if server is not None:
            server.drop_shared_memory()
        for folder in (self.data_dir, self._beside("new")):
            if folder.exists():
                shutil.rmtree(folder)
        for suffix in ("password", "pwfile", "lock"):
            self._beside(suffix).unlink(missing_ok=True)

    def is_running(self) -> bool:
        """Tell whether the server of this data directory runs, whoever started it."""
        server = read_postmaster(self.data_dir)
        return server is not None and server.is_running()

    def conninfo(self, dbname: str, user: str | None = None, password: str | None = None) -> str:
        """Return a libpq connection string; the superuser's, with its password, unless told.

        It names the TCP address if the server has one, else the socket.
        """
        if user is None or user == self.superuser:
            user = self.superuser
            password = password or self._password()
        server = self._server()
        host = "127.0.0.1" if self.port else str(server.socket_dir or "")
        return make_conninfo(
            "", host=host, port=server.port, dbname=dbname, user=user, password=password
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What others started is theirs to stop.
        if self._started_here:
            self.stop()

    def _beside(self, suffix: str) -> Path:
        return self.data_dir.with_name(f"{self.data_dir.name}.{suffix}")

    def _identity(self) -> Identity:
        return choose_identity(self.binaries, self.data_dir.parent)

    def _server(self) -> Postmaster:
        server = read_postmaster(self.data_dir)
        if server is None or not server.is_running():
            raise EmbeddedError(f"the PostgreSQL server of {self.data_dir} does not run")
        return server

    def _password(self) -> str:
        try:
            return self.password_file.read_text().strip()
        except OSError as error:
            raise EmbeddedError(f"the superuser's password cannot be read: {error}") from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.data_dir.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        descriptor = os.open(self._beside("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _init(self) -> None:
        if self.data_dir.exists():
            try:
                found = (self.data_dir / "PG_VERSION").read_text().strip()
            except OSError as error:
                raise EmbeddedError(f"{self.data_dir} is no data directory: {error}") from error
            if found != str(self.binaries.version):
                raise EmbeddedError(
                    f"{self.data_dir} was made by PostgreSQL {found},"
                    f" and these programs are PostgreSQL {self.binaries.version}"
                )
            return
        identity = self._identity()
        # Made under another name, so that a data directory that exists is a complete one.
        new = self._beside("new")
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(mode=0o700)
        identity.give(new)
        password = secrets.token_urlsafe(32)
        _write_private(self.password_file, password)
        # initdb reads the password as the server's user, who may not read the file that stays.
        handed = self._beside("pwfile")
        _write_private(handed, password)
        try:
            identity.give(handed)
            arguments = ["-D", str(new), "-U", self.superuser, f"--pwfile={handed}"]
            arguments += ["--auth-local=scram-sha-256", "--auth-host=scram-sha-256"]
            arguments += ["--encoding=UTF8", "--locale=C.UTF-8", "--lc-messages=C"]
            if self._settings.get("fsync") == "off":
                arguments.append("--no-sync")
            identity.run("initdb", arguments, timeout_s=_START_TIMEOUT_S)
        finally:
            handed.unlink(missing_ok=True)
        new.rename(self.data_dir)

    def _clear_remains(self, identity: Identity) -> None:
        """Remove what a killed server left that would keep a new one from starting."""
        server = read_postmaster(self.data_dir)
        if server is not None:
            self._remove_socket(server)
            # Its number may belong to another process of the same user by now, or to a zombie:
            # PostgreSQL would take that one for itself. The shared memory it checks next still
            # guards the data.
            (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        if os.geteuid() == 0 and self.data_dir.stat().st_uid != identity.owner:
            # It ran as another user before: the programs or the folder have moved since.
            for folder, _, names in os.walk(self.data_dir):
                for path in (Path(folder), *(Path(folder, name) for name in names)):
                    os.chown(path, identity.owner, identity.owner, follow_symlinks=False)

    def _remove_socket(self, server: Postmaster) -> None:
        if server.socket_dir is None:
            return
        for name in (f".s.PGSQL.{server.port}", f".s.PGSQL.{server.port}.lock"):
            (server.socket_dir / name).unlink(missing_ok=True)
        if server.socket_dir != self.data_dir:
            with contextlib.suppress(OSError):
                server.socket_dir.rmdir()

    def _log_tail(self) -> str:
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-20:])
        except OSError:
            return ""


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
