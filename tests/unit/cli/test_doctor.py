"""What the doctor ends with, and what it offers whom."""

import shlex
from typing import Any

import pytest

from daypass.cli.client import database_path
from daypass.cli.doctor import exit_of, next_steps, only
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure


def finding(key: str, *databases: str, may_accept: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "key": key,
        "severity": "high",
        "databases": list(databases),
        "may_accept": list(may_accept),
        "accepted": None,
    }


def answer(*findings: dict[str, Any], problem: str = "", sync_error: str = "") -> dict[str, Any]:
    return {
        "instance": "prod",
        "findings": list(findings),
        "databases": [
            {"name": "shop", "sync_error": sync_error},
            {"name": "metrics", "sync_error": ""},
        ],
        "worst": "high" if findings else None,
        "problem": problem,
        "complete": not problem and not sync_error,
    }


def test_what_could_not_be_looked_at_is_7_unless_worse_was_found() -> None:
    assert exit_of(answer()) is ExitCode.OK
    assert exit_of(answer(problem="the target cannot be reached")) is ExitCode.UNAVAILABLE
    assert exit_of(answer(finding("a:b", "shop"), problem="away")) is ExitCode.EXPOSED_HIGH


def test_one_database_is_complete_by_itself() -> None:
    found = answer(sync_error="no right to read")
    assert exit_of(only(found, "shop")) is ExitCode.UNAVAILABLE
    assert exit_of(only(found, "metrics")) is ExitCode.OK
    assert exit_of(only(found, "never_read")) is ExitCode.UNAVAILABLE


def test_only_what_whoever_asks_may_do_is_offered_ready_to_be_copied() -> None:
    key = "leaking_view:sales.Legacy Customers"
    assert next_steps(answer(finding(key, "shop")), "") == []
    steps = next_steps(answer(finding("a:b"), finding(key, "shop", may_accept=("shop",))), "")
    assert shlex.split(steps[1])[:5] == ["daypass", "exposure", "accept", "prod/shop", key]
    wide = finding("standing_login:tom", may_accept=("shop", "metrics"))
    assert "prod/metrics" in next_steps(answer(wide), "metrics")[1]
    assert "prod/shop" in next_steps(answer(wide), "")[1]


@pytest.mark.parametrize("name", ["prod", "prod/", "/shop"])
def test_an_instance_is_no_database(name: str) -> None:
    with pytest.raises(Failure) as caught:
        database_path(name)
    assert caught.value.exit_code is ExitCode.USAGE
