"""The one root of Daypass's errors; each carries a stable code and a message safe to show."""

from __future__ import annotations

from typing import ClassVar

from daypass.domain.decision import Decision


class Error(Exception):
    """Something Daypass will not or cannot do.

    `code` is stable and machine-readable, `message` may be shown to whoever asked, `next_step` says
    what to do; the private cause, if any, is the exception's `__cause__`.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, next_step: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.detail_code = code or self.code


class Invalid(Error):
    """The input is wrong; `problems` names each place and what was wrong there."""

    code = "invalid"

    def __init__(
        self,
        message: str,
        *,
        problems: tuple[tuple[str, str], ...] = (),
        next_step: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step, code=code)
        self.problems = problems


class Unauthenticated(Error):
    """Nobody is known to be asking."""

    code = "unauthenticated"


class Denied(Error):
    """A decision said no; the decision comes along, with its rule and what to do next."""

    code = "denied"

    def __init__(self, decision: Decision, *, code: str | None = None) -> None:
        super().__init__(decision.summary(), next_step=decision.next_step, code=code)
        self.decision = decision


class NotFound(Error):
    """It does not exist, or the caller may not know that it does: both look the same."""

    code = "not_found"


class Conflict(Error):
    """The state has moved on, or somebody else did it first."""

    code = "conflict"


class Unavailable(Error):
    """A target or the store cannot be reached; trying again may succeed."""

    code = "unavailable"
