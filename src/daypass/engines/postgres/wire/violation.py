"""What a peer sent that the protocol does not know."""

from __future__ import annotations

from daypass.domain.errors import Error

PROTOCOL_VIOLATION = "08P01"
TOO_LARGE = "54000"
NOT_UTF8 = "22021"


class ProtocolViolation(Error):
    """A peer sent bytes that are no message; `sqlstate` is what a client is told.

    The message names the kind of message and the place in it, never its content.
    """

    code = "protocol_violation"

    def __init__(self, message: str, *, sqlstate: str = PROTOCOL_VIOLATION) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
