"""What clients are told in words: on connecting, before the end, and at it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from daypass.domain.duration import format_duration
from daypass.domain.errors import Conflict, Error, Unavailable
from daypass.domain.limits import SessionLimits
from daypass.domain.scope import Scope
from daypass.operations.ask_on_connect import Wishes
from daypass.operations.kill_session import say_end
from daypass.store.sessions import WatchedSession

_RELATIONS: Final = 3
_COLUMNS: Final = 6
_TEXTS: Final = 5
_TEXT: Final = 200


def greeting_notices(
    grant_id: int,
    database: str,
    deadline: datetime,
    left: timedelta,
    scope: Scope,
    limits: SessionLimits,
) -> tuple[str, ...]:
    """Say in three lines what a session is under: its grant, what that opens, what it hides."""
    first = (
        f"grant {grant_id} on {database} until {clock_time(deadline)} "
        f"({format_duration(left)} left); every statement is recorded"
    )
    opened = _opened(scope)
    if limits.exact:
        opened = "nothing but what was approved may be sent: " + _texts(limits)
    bounds = _bounds(limits)
    if bounds:
        opened += f"; each statement may have {bounds}"
    hidden = []
    masked = [str(column) for column in scope.masked_columns()]
    if masked:
        hidden.append("masked: " + _some(masked, _COLUMNS))
    filtered = [str(each.name) for each in scope.relations if each.filters]
    if filtered:
        hidden.append("some rows are hidden in: " + _some(filtered))
    hidden.append(f"daypass grant {grant_id} shows all of it")
    return first, opened, "; ".join(hidden)


def not_needed(grant_id: int, wishes: Wishes, granted_for: str) -> str:
    """Say which options of a client came to nothing as a live grant was taken, empty if none."""
    named = [each for each in ("reason", "ticket", "for", "wait") if each in wishes.given]
    if wishes.ask is not None and wishes.ask.reason == granted_for:
        # It came of this very request.
        return ""
    if not named or (named == ["wait"] and wishes.grant_id is not None):
        return ""
    options = ", ".join(f"daypass.{each}" for each in named)
    return f"{options} not needed: grant {grant_id} is live, and no request was filed"


def _opened(scope: Scope) -> str:
    if scope.native_role is not None:
        return f"it opens what the role {scope.native_role} has"
    classes = ", ".join(sorted(each.value for each in scope.classes)) or "nothing"
    names = [str(each.name) for each in scope.relations if each.classes]
    return f"it opens {classes} on " + (_some(names) if names else "no relation")


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


def _some(names: Sequence[str], most: int = _RELATIONS) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


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
        say_end(found.close_reason),
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
