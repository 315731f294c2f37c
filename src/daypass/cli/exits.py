"""Exit codes of the command line; docs/cli.md explains them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DENIED = 3
    WAITING = 4
    NOT_FOUND = 5
    CONFLICT = 6
    UNAVAILABLE = 7
    NOT_LOGGED_IN = 8
    EXPOSED_LOW = 10
    EXPOSED_MEDIUM = 11
    EXPOSED_HIGH = 12
    INTERRUPTED = 130


OF_SEVERITY: Final[Mapping[str, ExitCode]] = {
    "low": ExitCode.EXPOSED_LOW,
    "medium": ExitCode.EXPOSED_MEDIUM,
    "high": ExitCode.EXPOSED_HIGH,
}
"""What `daypass doctor` ends with when this is the gravest that nobody accepted."""

_OF_STATUS: Final[Mapping[int, ExitCode]] = {
    400: ExitCode.USAGE,
    401: ExitCode.NOT_LOGGED_IN,
    403: ExitCode.DENIED,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    413: ExitCode.USAGE,
    422: ExitCode.USAGE,
    429: ExitCode.UNAVAILABLE,
    502: ExitCode.UNAVAILABLE,
    503: ExitCode.UNAVAILABLE,
    504: ExitCode.UNAVAILABLE,
}


def exit_of_status(status: int) -> ExitCode:
    """Return what a command ends with when the server answered with a status of failure."""
    return _OF_STATUS.get(status, ExitCode.FAILED)
