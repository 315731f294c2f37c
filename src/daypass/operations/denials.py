"""Say no with one reason, where a rule of Daypass itself decides and not policy."""

from __future__ import annotations

from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Denied


def denied(code: str, text: str, *, next_step: str = "") -> Denied:
    """Return the error that denies for one reason."""
    decision = Decision(Outcome.DENIED, (Reason(code, text),), next_step=next_step)
    return Denied(decision, code=code)
