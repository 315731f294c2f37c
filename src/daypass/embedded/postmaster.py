"""A running PostgreSQL server as the kernel sees it: its pid file, its processes, their end.

`postmaster.pid` outlives a killed server, and its number may since belong to any other process:
nothing here signals a process before that is known to be the server of that very folder.
Reads /proc, so Linux only.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# The recorded start is the server's clock in whole seconds, the kernel's is counted from boot.
_START_TOLERANCE_S = 60.0
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says of the server that wrote it, running or not."""

    data_dir: Path
    pid: int
    started_at: int
    port: int
    socket_dir: Path | None
    shared_memory_id: int | None

    def is_running(self) -> bool:
        """Tell whether this server's process lives; another one with its number does not count."""
        if _state(self.pid) in (None, "Z", "X"):
            return False
        try:
            # The server's current directory is its data directory.
            return Path(f"/proc/{self.pid}/cwd").samefile(self.data_dir)
        except OSError:
            # Another user's process hides its directory: its start time must do.
            started = _started_at(self.pid)
            return started is not None and abs(started - self.started_at) <= _START_TOLERANCE_S

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server if it runs."""
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the server and all of its processes at once, as a failing machine would."""
        if not self.is_running():
            return
        with contextlib.suppress(ProcessLookupError):
            # Stopped first, so that no child is born between counting and killing.
            os.kill(self.pid, signal.SIGSTOP)
        children = _children(self.pid)
        for pid in (self.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if all(_state(pid) in (None, "Z", "X") for pid in (self.pid, *children)):
                return
            time.sleep(_POLL_S)
        raise TimeoutError(f"processes of the server in {self.data_dir} survived SIGKILL")

    def wait(self, timeout_s: float) -> bool:
        """Wait until the server has ended; tell whether it did in time."""
        deadline = time.monotonic() + timeout_s
        while self.is_running():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def drop_shared_memory(self) -> None:
        """Remove the segment a killed server left; only for a folder that is to be deleted."""
        ipcrm = shutil.which("ipcrm")
        if self.shared_memory_id is not None and ipcrm is not None and not self.is_running():
            subprocess.run(
                [ipcrm, "-m", str(self.shared_memory_id)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )


def read_postmaster(data_dir: Path) -> Postmaster | None:
    """Return what the pid file of a data directory says, or None without a complete one.

    The format is documented in PostgreSQL's `src/include/utils/pidfile.h`.
    """
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
        pid, started_at, port = int(lines[0]), int(lines[2]), int(lines[3])
    except (OSError, ValueError, IndexError):
        return None
    socket_dir = lines[4].strip() if len(lines) > 4 else ""
    shared_memory = lines[6].split() if len(lines) > 6 else []
    return Postmaster(
        data_dir=data_dir,
        # A single-user server writes its number negated.
        pid=abs(pid),
        started_at=started_at,
        port=port,
        socket_dir=Path(socket_dir) if socket_dir else None,
        shared_memory_id=int(shared_memory[1]) if len(shared_memory) == 2 else None,
    )


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on, or None if there is no process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in parentheses and may hold anything.
    return text.rpartition(")")[2].split()


def _state(pid: int) -> str | None:
    fields = _stat(pid)
    return fields[0] if fields else None


def _started_at(pid: int) -> float | None:
    fields = _stat(pid)
    if fields is None:
        return None
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot


def _children(parent: int) -> list[int]:
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            fields = _stat(int(each.name))
            if fields is not None and int(fields[1]) == parent:
                found.append(int(each.name))
    return found
