"""The body of an ask."""

from datetime import timedelta

import pytest

from daypass.cli.ask import ask_body
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure
from daypass.domain.duration import parse_duration
from daypass.domain.statement_class import StatementClass


def test_without_anything_it_asks_to_read_everything() -> None:
    body = ask_body("prod/shop")
    assert (body["classes"], body["relations"]) == (["explain", "select"], ["*.*"])
    assert "duration" not in body


def test_a_profile_says_the_rest_itself() -> None:
    body = ask_body("prod/shop", profile="triage")
    assert (body["classes"], body["relations"]) == ([], [])


def test_a_native_role_is_asked_for_instead_of_relations() -> None:
    body = ask_body("prod/shop", native_role="shop_readonly")
    assert (body["native_role"], body["relations"]) == ("shop_readonly", [])
    assert body["classes"] == ["explain", "select"]


def test_exact_statements_say_the_rest_themselves() -> None:
    body = ask_body("prod/shop", statements=["select $1"], parameters=["7"])
    assert body["statements"] == [{"text": "select $1", "parameters": ["7"]}]
    assert (body["classes"], body["relations"]) == ([], [])
    free = ask_body("prod/shop", statements=["select $1", "select 2"])
    assert [each["parameters"] for each in free["statements"]] == [None, None]
    for wrong in (
        {"statements": ["select 1"], "relations": ["sales.*"]},
        {"statements": ["select 1"], "classes": [StatementClass.SELECT]},
        {"statements": ["select $1", "select 2"], "parameters": ["7"]},
        {"parameters": ["7"]},
    ):
        with pytest.raises(Failure) as refused:
            ask_body("prod/shop", **wrong)
        assert refused.value.exit_code == ExitCode.USAGE


def test_filters_keep_everything_after_the_first_equals_sign() -> None:
    body = ask_body(
        "prod/shop",
        classes=[StatementClass.SELECT],
        filters=["sales.orders=region = 'EU'"],
        settings=["app.tenant=a=b"],
    )
    assert body["row_filters"] == {"sales.orders": "region = 'EU'"}
    assert body["settings"] == {"app.tenant": "a=b"}


def test_until_is_a_duration_from_the_start() -> None:
    body = ask_body("prod/shop", start="+1h", until="+3h")
    assert parse_duration(body["duration"]) == timedelta(hours=3)
    assert "starts_at" in body


@pytest.mark.parametrize(
    "given",
    [
        {"database": "shop"},
        {"duration": "1h", "until": "18:00"},
        {"duration": "soon"},
        {"filters": ["region"]},
        {"settings": ["=1"]},
        {"until": "2020-01-01T00:00"},
    ],
)
def test_what_makes_no_sense_is_not_sent(given: dict[str, object]) -> None:
    with pytest.raises(Failure) as caught:
        ask_body(**{"database": "prod/shop", **given})  # type: ignore[arg-type]
    assert caught.value.exit_code is ExitCode.USAGE
