"""What policy answers: allowed, denied or needs approval, always with reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The three answers."""

    ALLOWED = "allowed"
    DENIED = "denied"
    NEEDS_APPROVAL = "needs_approval"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: a stable code, a sentence for people, and the rule it comes from, if any."""

    code: str
    text: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class ApproverSpec:
    """Who may give an approval: exactly one of the ways a step names approvers.

    `kind` is `group`, `user`, `owners`, `manager` or `external`; `name` is the group's name, the
    person's e-mail address or the external decider's name, and empty for `owners` and `manager`.
    """

    kind: str
    name: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "owners":
                return "owners"
            case "manager":
                return "requester.manager"
            case _:
                return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step of approval: `count` distinct people out of any of `approvers`."""

    approvers: tuple[ApproverSpec, ...]
    count: int = 1

    def __str__(self) -> str:
        return f"{self.count} of {', '.join(str(a) for a in self.approvers)}"


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer of policy.

    `rule` is the access rule that decided, `steps` what must be approved (in order; empty unless
    the outcome is `NEEDS_APPROVAL`), `next_step` what the person asking can do now.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]
    rule: str | None = None
    steps: tuple[StepSpec, ...] = ()
    next_step: str = ""

    def summary(self) -> str:
        """Return the reasons as one text."""
        return "; ".join(reason.text for reason in self.reasons) or self.outcome.value
