"""Moments and spans as people say them, and read as people write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from daypass.cli.failure import usage
from daypass.domain.duration import format_duration, parse_duration
from daypass.domain.errors import Invalid

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_UNITS = (("day", 86400), ("h", 3600), ("min", 60), ("s", 1))


def now() -> datetime:
    """Return this moment, in the local time zone."""
    return datetime.now().astimezone()


def moment_of(text: str) -> datetime:
    """Read a moment as the API writes it, into the local time zone."""
    return datetime.fromisoformat(text).astimezone()


def say_moment(text: str | None, *, at: datetime | None = None) -> str:
    """Say a moment: `14:05` today, `tomorrow 09:00`, `Mon 24 Nov 09:00`, else with its year."""
    if not text:
        return ""
    then, here = moment_of(text), at or now()
    days = (then.date() - here.date()).days
    clock = f"{then:%H:%M}"
    match days:
        case 0:
            return clock
        case 1:
            return f"tomorrow {clock}"
        case -1:
            return f"yesterday {clock}"
        case _:
            year = "" if then.year == here.year else f" {then.year}"
            return f"{then:%a} {then.day} {then:%b}{year} {clock}"


def say_span(span: timedelta) -> str:
    """Say a span with its two greatest units: `1 h 30 min`, `45 s`, `3 days`."""
    seconds = max(0, round(span.total_seconds()))
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            name = "days" if unit == "day" and count > 1 else unit
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def say_left(deadline: str, *, at: datetime | None = None) -> str:
    """Say how long is left until a deadline, or how long ago it was."""
    left = moment_of(deadline) - (at or now())
    if left > timedelta():
        return f"{say_span(left)} left"
    return f"ended {say_span(-left)} ago"


def say_duration(text: str) -> str:
    """Say a duration that the API writes compactly."""
    try:
        return say_span(parse_duration(text))
    except Invalid:
        return text


def read_duration(text: str, option: str) -> timedelta:
    """Read the duration of an option."""
    try:
        return parse_duration(text)
    except Invalid as error:
        raise usage(f"{option}: {error.message}", next_step=error.next_step) from error


def read_moment(text: str, option: str, *, at: datetime | None = None) -> datetime:
    """Read a moment: `18:00` (the next one), `+30m`, `2026-11-24T09:00` with a zone or without."""
    here = at or now()
    clock = _CLOCK.fullmatch(text.strip())
    if clock is not None:
        then = here.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return then if then > here else then + timedelta(days=1)
    if text.startswith("+"):
        return here + read_duration(text[1:], option)
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except ValueError as error:
        raise usage(
            f"{option}: {text!r} is no moment",
            next_step="write it like 18:00, +30m or 2026-11-24T09:00",
        ) from error


def write_span(span: timedelta) -> str:
    """Write a span for the API."""
    return format_duration(span)
