"""What clients are told in words: on connecting, before the end, and at it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from daypass.domain.duration import format_duration
from daypass.domain.errors import Conflict, Error, Unavailable
from daypass.domain.limits import SessionLimits
from daypass.domain.scope import Scope
from daypass.store.sessions import WatchedSession

_NAMED: Final = 12
_TEXTS: Final = 5
_TEXT: Final = 200


def greeting_notices(
    grant_id: int,
    database: str,
    deadline: datetime,
    left: timedelta,
    scope: Scope,
    limits: SessionLimits,
    address: str,
) -> tuple[str, ...]:
    """Say what a session is under: its grant, its deadline, what is masked, and its limits."""
    first = (
        f"grant {grant_id} on {database} until {clock_time(deadline)} "
        f"({format_duration(left)} left); every statement is recorded"
    )
    notices = [first]
    masked = [str(column) for column in scope.masked_columns()]
    if masked:
        notices.append("masked: " + _some(masked))
    filtered = [str(each.name) for each in scope.relations if each.filters]
    if filtered:
        notices.append("some rows are hidden in: " + _some(filtered))
    bounds = _bounds(limits)
    if bounds:
        notices.append(f"each statement may have {bounds}")
    if limits.exact:
        notices.append("nothing but what was approved may be sent: " + _texts(limits))
    if address:
        notices.append(f"details: {address}/grants/{grant_id}")
    return tuple(notices)


def _bounds(limits: SessionLimits) -> str:
    said = []
    if limits.statement_timeout_s is not None:
        said.append(f"{limits.statement_timeout_s:g} s")
    if limits.rows is not None:
        said.append(f"{limits.rows} rows")
    if limits.size_bytes is not None:
        said.append(f"{limits.size_bytes} bytes")
    return ", ".join(said)


def _texts(limits: SessionLimits) -> str:
    texts = [" ".join(each.text.split()) for each in limits.statements]
    more = len(texts) - _TEXTS
    shown = [each if len(each) <= _TEXT else each[:_TEXT] + "…" for each in texts[:_TEXTS]]
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def ends_soon(grant_id: int, deadline: datetime, left: timedelta) -> str:
    """Say that a session ends soon."""
    return (
        f"grant {grant_id} ends in {format_duration(left)}, at {clock_time(deadline)}: this "
        f"session is cut then. daypass extend {grant_id} asks for more time"
    )


def deadline_moved(grant_id: int, deadline: datetime, left: timedelta) -> str:
    """Say that a session ends at another time than was said."""
    return f"grant {grant_id} now ends at {clock_time(deadline)} ({format_duration(left)} left)"


def deadline_came(grant_id: int, database: str) -> Error:
    """Return the error a session ends with at its deadline."""
    return Conflict(
        f"grant {grant_id} on {database} ended: its deadline came",
        next_step=f'daypass request {database} --reason "…" asks for a new one',
        code="grant_ended",
    )


def why_ended(found: WatchedSession, database: str) -> Error:
    """Return the error a session ends with that the store says is over."""
    if found.end_cause is not None:
        cause = found.end_cause.replace("_", " ")
        said = f": {found.end_reason}" if found.end_reason else ""
        return Conflict(
            f"grant {found.grant_id} on {database} ended ({cause}){said}",
            next_step=f'daypass request {database} --reason "…" asks for a new one',
            code="grant_ended",
        )
    return Conflict(
        f"the session was ended: {found.close_reason or 'it is over'}",
        next_step=f"daypass grant {found.grant_id} shows what the grant gives now",
        code="session_killed",
    )


def shutting_down() -> Error:
    """Return the error sessions end with when their gateway stops."""
    return Unavailable(
        "the gateway is shutting down", next_step="connect again", code="gateway_stops"
    )


def clock_time(moment: datetime) -> str:
    """Write a moment for people, in UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
