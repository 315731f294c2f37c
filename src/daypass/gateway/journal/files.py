"""A journal's files: reserved before they are used, so that a full disk shows ahead of time."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

AHEAD = "ahead"
LOCK = "lock"
_SEGMENT = re.compile(r"([0-9]{20})\.segment")
_ZEROS = bytes(2**20)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class Segment:
    """One file: records lie from `start` to `end`, the last of them is `last`."""

    path: Path
    first: int
    size: int
    start: int
    end: int
    last: int


def segment_path(folder: Path, first: int) -> Path:
    """Return the file of the segment that begins with a record."""
    return folder / f"{first:020d}.segment"


def segment_paths(folder: Path) -> tuple[tuple[int, Path], ...]:
    """List a journal's segments with their first record, in order."""
    found = []
    for path in folder.iterdir():
        match = _SEGMENT.fullmatch(path.name)
        if match:
            found.append((int(match[1]), path))
    return tuple(sorted(found))


def reserve(path: Path, size: int, *, fill: bool) -> int:
    """Make a file of zeros for its owner alone, its space taken; return it open.

    To `fill` it takes some tens of milliseconds, and spares every later write and sync finding a
    place for it. Raises `OSError`, and then there is no file.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
        for at in range(0, size if fill else 0, len(_ZEROS)):
            os.pwrite(fd, _ZEROS[: size - at], at)
        os.fsync(fd)
    except OSError:
        os.close(fd)
        path.unlink()
        raise
    return fd


def clear_from(fd: int, offset: int, size: int) -> None:
    """Make everything from an offset zero again, its space taken. Raises `OSError`."""
    os.ftruncate(fd, offset)
    os.posix_fallocate(fd, 0, size)
    os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """Put the folder's names on disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def take_lock(folder: Path) -> int | None:
    """Take a journal's folder for this process until the descriptor is closed; None if it is taken.

    The lock ends with its process, however that ends.
    """
    try:
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it before may have removed the folder since: then this is the lock of nothing.
        now = (folder / LOCK).stat()
        if os.path.samestat(now, os.fstat(fd)):
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(fd)
    return None


def remove_folder(folder: Path) -> None:
    """Remove a journal that nobody needs any more; the caller holds its lock."""
    for path in (*(each for _, each in segment_paths(folder)), folder / AHEAD, folder / LOCK):
        with suppress(FileNotFoundError):
            path.unlink()
    folder.rmdir()


def boot_id() -> str:
    """Return what names this start of the machine; empty where nothing tells."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
