"""The command to type instead."""

from typing import Any

import pytest

from daypass.cli.again import again, example_of
from daypass.cli.failure import Failure, failure_of_problem

ASK = ["request", "prod/shop", "--profile", "oncall-read", "-r", "slow"]


def denied(*reasons: tuple[str, str], next_step: str = "") -> Failure:
    document: dict[str, Any] = {
        "code": "denied",
        "detail": "; ".join(text for _, text in reasons),
        "next_step": next_step,
        "decision": {"rule": "r", "reasons": [{"code": c, "text": t} for c, t in reasons]},
    }
    return failure_of_problem(document, 403, so="prod/shop is not opened for you")


def test_too_long_becomes_as_long_as_allowed() -> None:
    failure = denied(
        ("too_long", "rule 'r' allows at most 2h, not 9h"), next_step="ask again for at most 2h"
    )
    for given in (["--for", "9h"], ["--for=9h"], ["--until", "23:00"]):
        assert again([*ASK, *given], failure) == (
            "daypass request prod/shop --profile oncall-read --reason slow --for 2h"
        )


def test_more_time_becomes_what_the_grant_may_still_have() -> None:
    text = "rule 'r' allows at most 30m more (2h from the grant's start), not 3h"
    failure = denied(("too_long", text), next_step="ask again for at most 30m")
    assert again(["extend", "7", "--for", "3h"], failure) == "daypass extend 7 --for 30m"
    used_up = denied(("no_more_time", "it cannot be extended"), next_step="ask for a new grant")
    assert again(["extend", "7", "--for", "3h"], used_up) is None


def test_a_missing_ticket_is_shown_by_example() -> None:
    failure = denied(
        ("ticket_missing", "rule 'r' asks for a ticket"),
        next_step=r"ask again with a ticket that matches '^INC-\d+$', or for explain only",
    )
    assert again(ASK, failure) == (
        "daypass request prod/shop --profile oncall-read --reason slow --ticket INC-42"
    )


def test_a_missing_reason_is_left_to_be_filled_in() -> None:
    failure = denied(("reason_missing", "rule 'r' asks for a reason"))
    assert again(["request", "prod/shop"], failure) == 'daypass request prod/shop --reason "…"'


def test_the_first_way_that_is_named_is_followed() -> None:
    failure = denied(
        ("no_rule", "no access rule covers this request"),
        next_step="ask again for explain and select only (it then needs approval), "
        "or with the profile 'triage'",
    )
    assert again(["request", "prod/shop", "-c", "ddl", "-r", "x"], failure) == (
        "daypass request prod/shop --reason x --class explain --class select"
    )
    failure = denied(("no_rule", "no"), next_step="ask again with the profile 'triage'")
    assert again(["request", "prod/shop", "-t", "sales.*", "-r", "x"], failure) == (
        "daypass request prod/shop --reason x --profile triage"
    )
    failure = denied(
        ("unmask_denied", "rule 'r' does not allow to unmask columns"),
        next_step="ask again without unmasking",
    )
    assert again(["request", "prod/shop", "--unmask", "a.b.c"], failure) == (
        "daypass request prod/shop"
    )


def test_a_misspelt_name_is_written_right() -> None:
    failure = Failure(
        "no relation matches 'sales.customer'; did you mean sales.customers or sales.stores?"
    )
    assert again(["request", "prod/shop", "-t", "sales.customer"], failure) == (
        "daypass request prod/shop --relation sales.customers"
    )
    failure = Failure("no relation sales.customer is known; did you mean sales.customers?")
    text = "select * from sales.customer where x = 'my_sales.customer'"
    assert again(["query", "prod/shop", text], failure) is not None
    assert "from sales.customers where" in str(again(["query", "prod/shop", text], failure))
    assert "my_sales.customer'" in str(again(["query", "prod/shop", text], failure))


def test_where_nothing_can_be_told_there_is_nothing() -> None:
    assert again(ASK, denied(("rule_denies", "rule 'r' denies it"))) is None
    assert again(ASK, Failure("the server is down")) is None


@pytest.mark.parametrize(
    ("pattern", "example"),
    [(r"^INC-\d+$", "INC-42"), (r"^(CHG|INC)-\d+$", "CHG-42"), (r"^[A-Z]{3}$", "…"), ("(", "…")],
)
def test_examples_of_patterns(pattern: str, example: str) -> None:
    assert example_of(pattern) == example
