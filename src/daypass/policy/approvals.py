"""Progress of approval: who may still approve, for whom, and when a step is done.

Everything is judged by facts of now: an approval counts while its approver is active and still one
of those the step names. One person counts once in a whole request, whatever groups they are in and
whomever they stand in for, and so does the person stood in for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from daypass.domain.decision import ApproverSpec, Reason, StepSpec
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Principal, PrincipalKind
from daypass.policy.facts import DatabaseFacts


@dataclass(frozen=True, slots=True)
class Delegation:
    """An away person's word that somebody else may approve in their place, for a while."""

    away: Principal
    delegate: PrincipalId
    starts_at: datetime
    ends_at: datetime

    def holds(self, now: datetime) -> bool:
        """Say whether it holds at a moment."""
        return self.starts_at <= now < self.ends_at


@dataclass(frozen=True, slots=True)
class Vote:
    """A yes or no to one step (counted from zero), with the approver as they are now.

    `on_behalf_of` is whom a delegate stood in for; `external` names the decider of a vote that no
    person gave, whose `approver` is None.
    """

    step: int
    approve: bool
    approver: Principal | None
    on_behalf_of: Principal | None = None
    external: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """The facts approvals of one request are judged by."""

    steps: tuple[StepSpec, ...]
    requester: Principal
    database: DatabaseFacts


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether somebody may vote on a step, for whom, and the reason where they may not."""

    may: bool
    reason: Reason
    on_behalf_of: Principal | None = None


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far approval has come.

    `step` is the index of the first step not done, or the number of steps; `remaining` how many
    approvals it lacks; `denied_by` the vote that ended it.
    """

    step: int
    remaining: int
    done: bool
    denied_by: Vote | None = None


_MAY = Reason("may_approve", "may approve this step")


def names(
    spec: ApproverSpec, person: Principal, requester: Principal, database: DatabaseFacts
) -> bool:
    """Say whether an approver spec means this person."""
    match spec.kind:
        case "group":
            return spec.name in person.groups
        case "user":
            return _same_address(spec.name, person.email)
        case "owners":
            return not database.owners.isdisjoint(person.groups) or any(
                _same_address(owner, person.email) for owner in database.owners
            )
        case "manager":
            return requester.manager is not None and _same_address(requester.manager, person.email)
        case _:
            return False


def _same_address(left: str, right: str) -> bool:
    return bool(left) and left.casefold() == right.casefold()


def is_requester(person: Principal, requester: Principal) -> bool:
    """Say whether a person asks themselves: as the requester, or as its service account's owner."""
    return person.id == requester.id or (
        requester.owner is not None and person.id == requester.owner
    )


def in_own_right(step: StepSpec, person: Principal, approval: Approval) -> bool:
    """Say whether the step names this person, leaving aside whether they voted already."""
    return (
        person.active
        and person.kind is PrincipalKind.PERSON
        and not is_requester(person, approval.requester)
        and any(names(a, person, approval.requester, approval.database) for a in step.approvers)
    )


def counts(vote: Vote, approval: Approval) -> bool:
    """Say whether a yes still counts by the facts of now, leaving aside who else voted.

    A delegation that ended since does not undo a vote given under it.
    """
    if not vote.approve or not 0 <= vote.step < len(approval.steps):
        return False
    step = approval.steps[vote.step]
    if vote.approver is None:
        return bool(vote.external) and ApproverSpec("external", vote.external) in step.approvers
    if vote.on_behalf_of is None:
        return in_own_right(step, vote.approver, approval)
    return (
        vote.approver.active
        and vote.approver.kind is PrincipalKind.PERSON
        and not is_requester(vote.approver, approval.requester)
        and in_own_right(step, vote.on_behalf_of, approval)
    )


def progress(approval: Approval, votes: Sequence[Vote]) -> StepProgress:
    """Count the votes, in the order they were given; any no ends it.

    A step is done by as many distinct people as it asks for, none of whom counts for another step.
    """
    for vote in votes:
        if not vote.approve:
            return StepProgress(vote.step, 0, done=False, denied_by=vote)
    used: set[int | str] = set()
    given = [0] * len(approval.steps)
    for vote in votes:
        if not counts(vote, approval):
            continue
        people = _people(vote)
        if used.isdisjoint(people):
            used |= people
            given[vote.step] += 1
    for index, step in enumerate(approval.steps):
        if given[index] < step.count:
            return StepProgress(index, step.count - given[index], done=False)
    return StepProgress(len(approval.steps), 0, done=True)


def _people(vote: Vote) -> set[int | str]:
    """Return who is used up by a vote: the approver and whoever they stand in for."""
    if vote.approver is None:
        return {f"external:{vote.external}:{vote.step}"}
    people: set[int | str] = {int(vote.approver.id)}
    if vote.on_behalf_of is not None:
        people.add(int(vote.on_behalf_of.id))
    return people


def may_approve(
    approval: Approval,
    step: int,
    person: Principal,
    votes: Sequence[Vote],
    delegations: Sequence[Delegation],
    now: datetime,
) -> Eligibility:
    """Say whether a person may say yes or no to a step now, in their own right or for another.

    The first reason that holds is given; a delegate of several people stands in for the first who
    is named and has not been used up.
    """
    state = progress(approval, votes)
    if state.done or state.denied_by is not None:
        return _no("already_decided", "the request is decided already")
    if step != state.step:
        which = "is done already" if step < state.step else "is not up yet: steps go in order"
        return _no("not_this_step", f"step {step + 1} {which}")
    if not person.active:
        return _no("approver_inactive", "your account is not active")
    if person.kind is not PrincipalKind.PERSON:
        return _no("approver_not_a_person", "service accounts do not approve")
    if person.id == approval.requester.id:
        return _no("own_request", "nobody approves their own request, whatever their role")
    if is_requester(person, approval.requester):
        return _no("own_request", "the request is your own service account's")
    used = set[int | str]().union(*(_people(v) for v in votes if counts(v, approval)))
    if int(person.id) in used:
        return _no("already_approved", "you count once in a request, and have been counted")
    spec = approval.steps[step]
    if in_own_right(spec, person, approval):
        return Eligibility(True, _MAY)
    for delegation in delegations:
        away = delegation.away
        if (
            delegation.delegate == person.id
            and delegation.holds(now)
            and int(away.id) not in used
            and in_own_right(spec, away, approval)
        ):
            text = f"may approve this step on behalf of {away.email or away.name}"
            return Eligibility(True, Reason("may_approve", text), away)
    wanted = ", ".join(str(a) for a in spec.approvers)
    return _no("not_an_approver", f"step {step + 1} needs {wanted}")


def eligible(
    approval: Approval,
    step: int,
    people: Sequence[Principal],
    votes: Sequence[Vote],
    delegations: Sequence[Delegation],
    now: datetime,
) -> tuple[Principal, ...]:
    """List who of these people may vote on a step now: whom to tell, and whether anybody can."""
    return tuple(
        person
        for person in people
        if may_approve(approval, step, person, votes, delegations, now).may
    )


def _no(code: str, text: str) -> Eligibility:
    return Eligibility(False, Reason(code, text))
