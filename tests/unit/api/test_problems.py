"""One table says which HTTP status an error has."""

import pytest

from daypass.api.problems import STATUS_OF_CLASS, problem_of, problem_response, status_of
from daypass.domain import errors
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.operations.login_throttle import TooManyTries

DECISION = Decision(
    Outcome.DENIED, (Reason("too_long", "too long", "r1"),), rule="r1", next_step="ask for 1h"
)

CASES = [
    (errors.Invalid("x"), 422, "invalid"),
    (errors.Invalid("x", code="malformed"), 400, "malformed"),
    (errors.Invalid("x", code="too_large"), 413, "too_large"),
    (errors.Unauthenticated("x"), 401, "unauthenticated"),
    (errors.Denied(DECISION), 403, "denied"),
    (errors.Denied(DECISION, code="csrf"), 403, "csrf"),
    (errors.NotFound("x"), 404, "not_found"),
    (errors.Conflict("x"), 409, "conflict"),
    (errors.Conflict("x", code="revision_changed"), 412, "revision_changed"),
    (errors.Conflict("x", code="revision_conflict"), 412, "revision_conflict"),
    (errors.Unavailable("x"), 503, "unavailable"),
    (errors.Error("x"), 500, "error"),
    (TooManyTries(7), 429, "too_many_tries"),
]


@pytest.mark.parametrize(("error", "status", "code"), CASES, ids=lambda each: str(each)[:30])
def test_status(error: errors.Error, status: int, code: str) -> None:
    problem = problem_of(error, "r-1")
    assert (problem.status, problem.code, problem.request_id) == (status, code, "r-1")
    assert problem.type == f"urn:daypass:problem:{code}"


def test_every_class_of_error_is_in_the_table() -> None:
    classes = {
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.Error)
    }
    assert classes == set(STATUS_OF_CLASS)


def test_a_denial_says_which_rule_and_what_next() -> None:
    problem = problem_of(errors.Denied(DECISION))
    assert problem.next_step == "ask for 1h"
    assert problem.decision is not None
    assert problem.decision.rule == "r1"
    assert [each.code for each in problem.decision.reasons] == ["too_long"]


def test_each_place_of_wrong_input_is_named() -> None:
    wrong = errors.Invalid("two things", problems=(("a.yaml:3:1", "no"), ("b", "neither")))
    places = [(each.place, each.problem) for each in problem_of(wrong).problems]
    assert places == [("a.yaml:3:1", "no"), ("b", "neither")]


def test_the_cause_stays_inside() -> None:
    error = errors.Unavailable("the store does not answer")
    error.__cause__ = RuntimeError("password=hunter2")
    assert b"hunter2" not in bytes(problem_response(error).body)


def test_a_subclass_has_the_status_of_its_class() -> None:
    class Nearer(errors.Conflict):
        code = "nearer"

    assert status_of(Nearer("x")) == 409
