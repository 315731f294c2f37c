"""Durations as people write them: `90s`, `15m`, `2h`, `1d`, `1h30m`."""

from __future__ import annotations

import re
from datetime import timedelta

from daypass.domain.errors import Invalid

_PART = re.compile(r"(\d+)([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(text: str) -> timedelta:
    """Read a duration.

    Raises `Invalid` when it is not one, or not longer than zero.
    """
    compact = text.replace(" ", "").lower()
    seconds = 0
    position = 0
    for part in _PART.finditer(compact):
        if part.start() != position:
            break
        seconds += int(part[1]) * _UNIT_S[part[2]]
        position = part.end()
    if position != len(compact) or not compact or seconds == 0 or seconds > 366 * 86400:
        raise Invalid(
            f"{text!r} is not a duration between 1s and 366d",
            next_step="write it like 90s, 15m, 2h, 1d or 1h30m",
            code="invalid_duration",
        )
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write a duration as people say it, to the second: `1h30m`, `45s`, `0s`."""
    seconds = round(duration.total_seconds())
    if seconds < 0:
        return "-" + format_duration(-duration)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"
