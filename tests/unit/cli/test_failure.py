"""Failures in three parts, and their exit codes."""

import json

import pytest

from daypass.cli import connection, output
from daypass.cli.exits import ExitCode, exit_of_status
from daypass.cli.failure import Failure, failure_of_problem, show_failure
from daypass.cli.follow import told_sentence
from daypass.cli.policy import findings_of, with_every_error
from daypass.cli.query import unreadable


@pytest.fixture(autouse=True)
def _fresh_consoles() -> None:
    output.console.cache_clear()
    output.error_console.cache_clear()


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [(400, 2), (422, 2), (401, 8), (403, 3), (404, 5), (409, 6), (412, 6), (429, 7), (503, 7)],
)
def test_each_status_has_its_exit_code(status: int, exit_code: int) -> None:
    assert exit_of_status(status) == exit_code


def test_what_is_not_there_is_said_once() -> None:
    document = {"code": "no_session", "detail": "there is no session 99 that you may see"}
    missing = failure_of_problem(document, 404, so="session 99 is not ended")
    assert (missing.what, list(missing.why)) == (document["detail"], [])
    over = failure_of_problem({"code": "x", "detail": "it is over"}, 409, so="it is not ended")
    assert (over.what, list(over.why)) == ("it is not ended", ["it is over"])


def test_whatever_else_fails_is_1() -> None:
    assert exit_of_status(500) is ExitCode.FAILED
    assert exit_of_status(302) is ExitCode.FAILED


def test_a_denial_says_each_reason_once() -> None:
    failure = failure_of_problem(
        {
            "code": "denied",
            "detail": "rule 'r' allows at most 2h, not 9h; rule 'r' asks for a ticket",
            "next_step": "ask again for at most 2h",
            "decision": {
                "rule": "r",
                "reasons": [
                    {"code": "too_long", "text": "rule 'r' allows at most 2h, not 9h"},
                    {"code": "ticket_missing", "text": "rule 'r' asks for a ticket"},
                ],
            },
        },
        403,
        so="prod/shop is not opened for you",
    )
    assert failure.exit_code is ExitCode.DENIED
    assert failure.why == (
        "rule 'r' allows at most 2h, not 9h",
        "rule 'r' asks for a ticket",
    )


def test_the_rule_is_named_where_the_reason_does_not() -> None:
    failure = failure_of_problem(
        {
            "code": "denied",
            "detail": "the ticket is wrong",
            "decision": {"rule": "r", "reasons": [{"code": "x", "text": "the ticket is wrong"}]},
        },
        403,
    )
    assert (failure.what, failure.why) == ("the ticket is wrong", ("rule 'r' decided",))


def test_every_problem_is_listed_with_its_place_and_none_twice() -> None:
    document = {
        "code": "policy",
        "detail": "the policy has problems: p.yaml:1:2: no such name",
        "problems": [
            {"place": "p.yaml:1:2", "problem": "no such name"},
            {"place": "p.yaml:9:1", "problem": "a duration is missing"},
        ],
    }
    assert failure_of_problem(document, 422).why == ("p.yaml:9:1: a duration is missing",)


def test_people_read_three_parts(capsys: pytest.CaptureFixture[str]) -> None:
    show_failure(
        Failure("no", why=["because"], next_steps=["do this"], exit_code=ExitCode.DENIED),
        as_json=False,
    )
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["denied: no", "  because", "→ do this"]
    assert captured.out == ""


def test_programs_read_the_problem(capsys: pytest.CaptureFixture[str]) -> None:
    show_failure(failure_of_problem({"code": "x", "detail": "y"}, 409), as_json=True)
    assert json.loads(capsys.readouterr().err) == {"code": "x", "detail": "y"}
    show_failure(Failure("no server", exit_code=ExitCode.UNAVAILABLE), as_json=True)
    assert json.loads(capsys.readouterr().err)["code"] == "not_available"


def test_nothing_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_failure(Failure("a\x1b[31mb\x07\u202ec"), as_json=False)
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("hint", "typed"),
    [
        ("daypass query prod/shop 'select 1'", "daypass --as ada query prod/shop 'select 1'"),
        (
            "daypass receipt 4 shows it; daypass request prod/shop asks again",
            "daypass --as ada receipt 4 shows it; daypass --as ada request prod/shop asks again",
        ),
        ("daypass --as ada request prod/shop", "daypass --as ada request prod/shop"),
        ("ask for a new one: daypass login URL", "ask for a new one: daypass login URL"),
        ("daypass serve (or: daypass demo)", "daypass serve (or: daypass demo)"),
        ("cat /etc/daypass settings", "cat /etc/daypass settings"),
    ],
)
def test_what_is_copied_acts_as_whoever_it_was_shown_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hint: str, typed: str
) -> None:
    show_failure(Failure("no", next_steps=[hint]), as_json=False)
    assert capsys.readouterr().err.splitlines()[-1] == f"→ {hint}"
    monkeypatch.setattr(connection.chosen, "who", "ada")
    show_failure(Failure("no", next_steps=[hint]), as_json=False)
    assert capsys.readouterr().err.splitlines()[-1] == f"→ {typed}"
    output.say_next(hint)
    assert capsys.readouterr().out == f"Next: {typed}\n"


def test_every_error_of_a_policy_is_listed_alike_and_ends_with_1() -> None:
    places = [("p.yaml:1:2", "no such name"), ("p.yaml:9:1", "a duration is missing")]
    document = {
        "code": "invalid_policy",
        "detail": "the policy has problems: p.yaml:1:2: no such name (and 1 more)",
        "problems": [{"place": place, "problem": text} for place, text in places],
    }
    failure = with_every_error(failure_of_problem(document, 422))
    assert failure.exit_code is ExitCode.FAILED
    assert failure.why == tuple(f"{place}: {text}" for place, text in places)
    found = findings_of(failure_of_problem(document, 422))
    assert [(each["place"], each["text"]) for each in found] == places
    denied = failure_of_problem({"code": "daypass_role", "detail": "no"}, 403)
    assert with_every_error(denied) is denied
    with pytest.raises(Failure):
        findings_of(denied)


def test_a_statement_that_cannot_be_read_is_no_denial_and_points_at_its_place() -> None:
    document = {"code": "unparsable", "detail": 'syntax error at or near "form" (character 10)'}
    failure = unreadable(failure_of_problem(document, 403, so="it did not run"), "select *\nform t")
    assert failure.exit_code is ExitCode.USAGE
    assert failure.what == 'the statement cannot be read: syntax error at or near "form"'
    assert failure.why[0].endswith("line 2: form t")
    assert failure.why[1].index("^") == failure.why[0].index("form")
    plain = failure_of_problem({"code": "unparsable", "detail": "no tree"}, 403)
    assert unreadable(plain, "x").what == "the statement cannot be read: no tree"


def test_who_is_told_of_a_break_glass_grant_is_what_channels_there_are() -> None:
    assert told_sentence([]).startswith("Nobody is told")
    assert told_sentence(["smtp", "webhook"]).startswith(
        "Everybody concerned is told by mail and by the webhooks;"
    )
    assert "webhooks" not in told_sentence(["smtp"])
