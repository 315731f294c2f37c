"""What a client of PostgreSQL is told when Daypass itself says no.

SQLSTATEs are the server's own, so that drivers understand them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from daypass.domain.errors import (
    Conflict,
    Denied,
    Error,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from daypass.engines.postgres.wire.server_messages import Report
from daypass.engines.postgres.wire.violation import ProtocolViolation

INVALID_AUTHORIZATION: Final = "28000"
_INTERNAL_ERROR: Final = "XX000"

_OF_KIND: Final[Mapping[type[Error], str]] = {
    Denied: INVALID_AUTHORIZATION,
    Unauthenticated: "28P01",
    NotFound: "3D000",
    Unavailable: "57P03",
    Conflict: "55000",
    Invalid: "22023",
}
_TOO_MANY: Final = "53300"
_OF_CODE: Final[Mapping[str, str]] = {
    "too_many_connections": _TOO_MANY,
    "too_many_tries": _TOO_MANY,
    "grant_ended": INVALID_AUTHORIZATION,
}


def sqlstate_of(error: Error) -> str:
    """Return the SQLSTATE under which somebody who asks to be let in is told of an error."""
    if isinstance(error, ProtocolViolation):
        return error.sqlstate
    by_code = _OF_CODE.get(error.detail_code)
    if by_code is not None:
        return by_code
    for kind, sqlstate in _OF_KIND.items():
        if isinstance(error, kind):
            return sqlstate
    return _INTERNAL_ERROR


def fatal_report(error: Error, sqlstate: str = "") -> Report:
    """Return an error after which the connection ends, with what to do next as its hint."""
    return Report.of("FATAL", sqlstate or sqlstate_of(error), error.message, hint=error.next_step)


def notice(text: str, detail: str = "") -> Report:
    """Return something a client is told by the way."""
    return Report.of("NOTICE", "00000", text, detail=detail)
