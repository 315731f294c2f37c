"""A log's parts in a folder: written once, whole or not at all, on disk before they count."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from daypass.audit.tiles import CHECKPOINT_PATH
from daypass.domain.errors import Conflict, Unavailable

_FOLDER_MODE = 0o750
_PART_MODE = 0o440
_CHECKPOINT_MODE = 0o640


class LogFolder:
    """Parts of one log below a folder, which any web server may serve as they are.

    A part is there whole or not at all, whoever is killed; one that is there never changes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        """Return a part by its path; None when it is not there."""
        try:
            return self._place(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def write_parts(self, parts: dict[str, bytes]) -> None:
        """Write parts; raises `Conflict` where another one is already, and never replaces it."""
        folders: set[Path] = set()
        for path, data in parts.items():
            place = self._place(path)
            try:
                self._make_folders(place.parent, folders)
                if not self._write_once(place, data):
                    continue
            except OSError as error:
                raise _unwritable(place, error) from error
            folders.add(place.parent)
        for folder in folders:
            _sync(folder)

    def write_checkpoint(self, data: bytes) -> None:
        """Put a checkpoint in the place of the one before, after all it tells of."""
        place = self._place(CHECKPOINT_PATH)
        try:
            self._make_folders(place.parent, set())
            temporary = _written(place, data, _CHECKPOINT_MODE)
            temporary.replace(place)
            _sync(place.parent)
        except OSError as error:
            raise _unwritable(place, error) from error

    def drop_partials(self, path: str) -> None:
        """Remove the partial tiles of a part that is full now."""
        folder = self._place(path + ".p")
        with contextlib.suppress(FileNotFoundError):
            for each in list(folder.iterdir()):
                each.unlink()
            folder.rmdir()

    def _place(self, path: str) -> Path:
        parts = path.split("/")
        if not all(parts) or any(part.startswith(".") or "\0" in part for part in parts):
            raise ValueError(f"{path!r} is no path of a log")
        return self.root.joinpath(*parts)

    def _write_once(self, place: Path, data: bytes) -> bool:
        if not place.exists():
            temporary = _written(place, data, _PART_MODE)
            try:
                # Not `replace`: two who write at once must not take each other's away.
                os.link(temporary, place)
            except FileExistsError:
                pass
            else:
                return True
            finally:
                temporary.unlink()
        if place.read_bytes() != data:
            raise Conflict(
                f"{place} is already there, and another one: this log was continued elsewhere, or"
                " the store was put back to an older state",
                next_step="docs/operations.md, “The audit log”: nothing was written over",
                code="log_forked",
            )
        return False

    def _make_folders(self, folder: Path, changed: set[Path]) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            with contextlib.suppress(FileExistsError):
                each.mkdir(mode=_FOLDER_MODE)
            changed.add(each.parent)


def _written(place: Path, data: bytes, mode: int) -> Path:
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
    except BaseException:
        temporary.unlink()
        raise
    return temporary


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(place: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"the log cannot be written at {place}: {error.strerror}",
        next_step="make room or mend the folder (log.folder); entries wait in the store meanwhile",
        code="log_unwritable",
    )
