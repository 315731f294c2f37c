"""Approvals: distinct people, never the requester, judged by the facts of now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daypass.domain.decision import ApproverSpec, StepSpec
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import DaypassRole, Principal, PrincipalKind
from daypass.policy.approvals import (
    Approval,
    Delegation,
    Vote,
    eligible,
    may_approve,
    progress,
)
from tests.unit.policy.sample import NOW, database, person

DBA = ApproverSpec("group", "dba")
SECURITY = ApproverSpec("group", "security")
ALICE = person("alice", "dba", manager="Mary@example.com")
BOB = person("bob", "dba")
CARL = person("carl", "dba", "security")
DORA = person("dora", "security")
MARY = person("mary")
OWNER = person("olga", "shop-team")
EVE = person("eve")


def approval(*steps: StepSpec, requester: Principal = ALICE) -> Approval:
    return Approval(steps, requester, database())


ONE = approval(StepSpec((DBA,)))
TWO = approval(StepSpec((DBA, SECURITY), 2))
TWO_STEPS = approval(StepSpec((DBA,)), StepSpec((SECURITY,)))


def yes(step: int, who: Principal, behalf: Principal | None = None) -> Vote:
    return Vote(step, True, who, behalf)


def code(
    case: Approval,
    who: Principal,
    votes: tuple[Vote, ...] = (),
    delegations: tuple[Delegation, ...] = (),
    step: int = 0,
) -> str:
    return may_approve(case, step, who, votes, delegations, NOW).reason.code


def away(who: Principal, to: Principal, hours: int = 1) -> Delegation:
    return Delegation(who, to.id, NOW - timedelta(hours=1), NOW + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("spec", "who", "answer"),
    [
        (DBA, BOB, "may_approve"),
        (DBA, EVE, "not_an_approver"),
        (ApproverSpec("owners"), OWNER, "may_approve"),
        (ApproverSpec("owners"), BOB, "not_an_approver"),
        (ApproverSpec("manager"), MARY, "may_approve"),
        (ApproverSpec("manager"), BOB, "not_an_approver"),
        (ApproverSpec("user", "EVE@example.com"), EVE, "may_approve"),
        (ApproverSpec("external", "cab"), EVE, "not_an_approver"),
    ],
)
def test_who_a_step_means(spec: ApproverSpec, who: Principal, answer: str) -> None:
    assert code(approval(StepSpec((spec,))), who) == answer


def test_an_owner_may_be_a_person() -> None:
    facts = database(owners=frozenset({"eve@example.com"}))
    case = Approval((StepSpec((ApproverSpec("owners"),)),), ALICE, facts)
    assert code(case, EVE) == "may_approve"


def test_nobody_without_a_manager_is_managed_by_everybody() -> None:
    case = approval(StepSpec((ApproverSpec("manager"),)), requester=replace(ALICE, manager=None))
    assert code(case, replace(EVE, email="")) == "not_an_approver"
    empty = approval(StepSpec((ApproverSpec("manager"),)), requester=replace(ALICE, manager=""))
    assert code(empty, replace(EVE, email="")) == "not_an_approver"


def test_never_the_requester_whatever_their_role() -> None:
    assert code(ONE, replace(ALICE, roles=frozenset({DaypassRole.ADMIN}))) == "own_request"
    assert progress(ONE, [yes(0, ALICE)]).remaining == 1


def test_never_the_owner_of_the_service_account_that_asks() -> None:
    robot = Principal(
        PrincipalId(9), PrincipalKind.SERVICE_ACCOUNT, "robot", "robot@x", owner=BOB.id
    )
    case = approval(StepSpec((DBA,)), requester=robot)
    assert code(case, BOB) == "own_request"
    assert not progress(case, [yes(0, BOB)]).done
    assert code(case, CARL) == "may_approve"


def test_never_a_service_account_nor_somebody_inactive() -> None:
    robot = replace(BOB, kind=PrincipalKind.SERVICE_ACCOUNT)
    assert code(ONE, robot) == "approver_not_a_person"
    assert code(ONE, replace(BOB, active=False)) == "approver_inactive"
    assert not progress(ONE, [yes(0, robot)]).done
    assert not progress(ONE, [yes(0, replace(BOB, active=False))]).done


def test_an_approval_counts_only_while_its_giver_is_in_the_group() -> None:
    assert progress(TWO, [yes(0, BOB), yes(0, CARL)]).done
    left = replace(BOB, groups=frozenset())
    state = progress(TWO, [yes(0, left), yes(0, CARL)])
    assert (state.done, state.step, state.remaining) == (False, 0, 1)


def test_one_person_in_two_groups_counts_once() -> None:
    assert progress(TWO, [yes(0, CARL), yes(0, CARL)]).remaining == 1
    assert code(TWO, CARL, (yes(0, CARL),)) == "already_approved"
    assert progress(TWO, [yes(0, CARL), yes(0, DORA)]).done


def test_one_person_counts_once_across_steps() -> None:
    state = progress(TWO_STEPS, [yes(0, CARL), yes(1, CARL)])
    assert (state.step, state.remaining, state.done) == (1, 1, False)
    assert code(TWO_STEPS, CARL, (yes(0, CARL),), step=1) == "already_approved"
    assert progress(TWO_STEPS, [yes(0, CARL), yes(1, DORA)]).done


def test_steps_go_in_order() -> None:
    assert code(TWO_STEPS, DORA, step=1) == "not_this_step"
    assert code(TWO_STEPS, DORA, (yes(0, BOB),), step=1) == "may_approve"
    assert code(TWO_STEPS, BOB, (yes(0, CARL),), step=0) == "not_this_step"
    # An approval that came too early does not move the first step.
    assert progress(TWO_STEPS, [yes(1, DORA)]).step == 0


def test_any_no_ends_it() -> None:
    no = Vote(0, False, BOB)
    state = progress(TWO, [yes(0, CARL), no])
    assert (state.done, state.denied_by) == (False, no)
    assert code(TWO, DORA, (no,)) == "already_decided"


def test_a_finished_request_takes_no_more() -> None:
    assert code(ONE, CARL, (yes(0, BOB),)) == "already_decided"


def test_a_delegate_stands_in_while_it_lasts() -> None:
    found = may_approve(ONE, 0, EVE, (), [away(BOB, EVE)], NOW)
    assert (found.may, found.on_behalf_of) == (True, BOB)
    assert code(ONE, EVE, (), (away(BOB, EVE, hours=0),)) == "not_an_approver"
    assert code(ONE, EVE, (), (away(BOB, DORA),)) == "not_an_approver"
    assert progress(ONE, [yes(0, EVE, BOB)]).done


def test_ones_own_right_goes_first() -> None:
    found = may_approve(ONE, 0, CARL, (), [away(BOB, CARL)], NOW)
    assert (found.may, found.on_behalf_of) == (True, None)


def test_no_delegation_from_the_requester_or_to_them() -> None:
    assert code(ONE, EVE, (), (away(ALICE, EVE),)) == "not_an_approver"
    assert not progress(ONE, [yes(0, EVE, ALICE)]).done
    assert code(ONE, ALICE, (), (away(BOB, ALICE),)) == "own_request"
    assert not progress(ONE, [yes(0, ALICE, BOB)]).done


def test_no_delegation_from_somebody_who_left() -> None:
    for left in (replace(BOB, active=False), replace(BOB, groups=frozenset())):
        assert code(ONE, EVE, (), (away(left, EVE),)) == "not_an_approver"
        assert not progress(ONE, [yes(0, EVE, left)]).done


def test_no_delegation_of_a_delegation() -> None:
    chain = (away(BOB, EVE), away(EVE, MARY))
    assert code(ONE, MARY, (), chain) == "not_an_approver"


def test_one_delegate_for_two_people_counts_once() -> None:
    both = (away(BOB, EVE), away(CARL, EVE))
    first = (yes(0, EVE, BOB),)
    assert code(TWO, EVE, first, both) == "already_approved"
    assert progress(TWO, [*first, yes(0, EVE, CARL)]).remaining == 1


def test_somebody_and_their_delegate_count_once() -> None:
    assert progress(TWO, [yes(0, BOB), yes(0, EVE, BOB)]).remaining == 1
    assert code(TWO, EVE, (yes(0, BOB),), (away(BOB, EVE),)) == "not_an_approver"
    second = may_approve(TWO, 0, EVE, [yes(0, BOB)], [away(BOB, EVE), away(CARL, EVE)], NOW)
    assert second.on_behalf_of == CARL


def test_an_external_decider_counts_once_where_named() -> None:
    case = approval(StepSpec((ApproverSpec("external", "cab"), DBA), 2))
    vote = Vote(0, True, None, external="cab")
    assert progress(case, [vote, vote]).remaining == 1
    assert progress(case, [vote, yes(0, BOB)]).done
    assert progress(ONE, [vote]).remaining == 1
    assert progress(case, [Vote(0, True, None, external="other")]).remaining == 2


def test_a_vote_on_a_step_that_is_not_there_counts_for_nothing() -> None:
    assert progress(ONE, [yes(7, BOB), yes(-1, BOB)]).remaining == 1


def test_no_steps_are_done() -> None:
    assert progress(approval(), []).done


def test_who_can_still_be_told() -> None:
    people = (ALICE, BOB, CARL, DORA, EVE)
    assert eligible(ONE, 0, people, [], [away(BOB, EVE)], NOW) == (BOB, CARL, EVE)


_PEOPLE = [ALICE, BOB, CARL, DORA, EVE, OWNER]
_VOTES = st.lists(
    st.builds(
        yes,
        st.integers(0, 2),
        st.sampled_from(_PEOPLE),
        st.one_of(st.none(), st.sampled_from(_PEOPLE)),
    ),
    max_size=12,
)
_STEPS = st.lists(
    st.builds(
        StepSpec,
        st.lists(
            st.sampled_from([DBA, SECURITY, ApproverSpec("owners")]),
            min_size=1,
            max_size=3,
            unique=True,
        ).map(tuple),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@given(_STEPS, _VOTES)
def test_done_takes_as_many_distinct_people_as_all_steps_ask_for(
    steps: tuple[StepSpec, ...], votes: list[Vote]
) -> None:
    case = approval(*steps)
    if progress(case, votes).done:
        people = {v.approver.id for v in votes if v.approver is not None} - {ALICE.id}
        assert len(people) >= sum(step.count for step in steps)


@given(_STEPS, _VOTES, st.sampled_from(_PEOPLE))
def test_nobody_can_do_alone_what_asks_for_two(
    steps: tuple[StepSpec, ...], votes: list[Vote], person_: Principal
) -> None:
    alone = [v for v in votes if v.approver == person_]
    if sum(step.count for step in steps) > 1:
        assert not progress(approval(*steps), alone).done


@given(_STEPS, _VOTES)
def test_each_vote_that_may_be_given_brings_it_forward(
    steps: tuple[StepSpec, ...], votes: list[Vote]
) -> None:
    case = approval(*steps)
    state = progress(case, votes)
    if state.done:
        return
    for who in eligible(case, state.step, _PEOPLE, votes, [], NOW):
        after = progress(case, [*votes, yes(state.step, who)])
        assert (after.step, -after.remaining) > (state.step, -state.remaining)
