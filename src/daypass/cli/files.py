"""Read the files of a policy, or any other text the user names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from daypass.cli.failure import Failure, usage

_MOST_BYTES = 900_000


def read_text(file: Path) -> str:
    """Read one file as UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise usage(f"{file} cannot be read", why=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise usage(f"{file} is not UTF-8", why=str(error)) from error


def read_policy(paths: Sequence[Path]) -> dict[str, str]:
    """Read files, and the YAML files of folders, by names that are short and not ambiguous."""
    files: dict[str, str] = {}
    for path in paths:
        found = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
        if not found:
            raise usage(f"{path} holds no YAML files", next_step="name the folder of your policy")
        for file in found:
            name = str(file.relative_to(path)) if path.is_dir() else file.name
            if name in files:
                name = str(file)
            files[name] = read_text(file)
    if sum(map(len, files.values())) > _MOST_BYTES:
        raise usage("these files are too large for a policy")
    return files


def write_text(file: Path, text: str) -> None:
    """Write a new file; one that is there is left as it is."""
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise usage(f"{file} is there already", next_step="name another file") from error
    except OSError as error:
        raise Failure(f"{file} cannot be written", why=[error.strerror or str(error)]) from error


def write_private(file: Path, text: str) -> None:
    """Write a file that its owner alone reads, whole or not at all."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    draft.replace(file)
