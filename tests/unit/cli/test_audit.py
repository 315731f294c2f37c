"""What a line of the audit log says: who, about what, and what happened."""

from pathlib import Path
from typing import Any

import pytest

from daypass.cli.audit import about_of, says_of, who_of
from daypass.cli.audit_check import verify, verify_proof
from daypass.cli.failure import Failure


def entry(kind: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(("request_id", "grant_id", "session_id"))
    names = dict.fromkeys(("actor", "database", "subject", "rule"))
    return {"kind": kind, "content": content, **numbers, **names, **more}


@pytest.mark.parametrize(
    ("found", "about", "says"),
    [
        (
            entry("exposure.accepted", {"key": "a:b", "reason": "known"}, database="prod/shop"),
            "prod/shop",
            "a:b: known",
        ),
        (entry("policy.applied", {"version": 7, "note": "summer"}), "", "version 7 summer"),
        (
            entry(
                "instance.changed",
                {
                    "instance": "prod",
                    "before": {"host": "a", "port": 1},
                    "after": {"host": "b", "port": 1},
                    "credential_changed": True,
                },
            ),
            "prod",
            "changed host, credential",
        ),
        (
            entry(
                "access.denied",
                {
                    "database": "prod/shop",
                    "decision": {"reasons": [{"text": "no rule opens it"}]},
                    "reason": "let me",
                },
            ),
            "prod/shop",
            "no rule opens it let me",
        ),
        (entry("group.changed", {"group": "dba", "put_in": 3}), "group dba", ""),
        (entry("target.reconciled", {"instance": 1}), "", ""),
        (entry("grant.ended", {}, grant_id=4, rule="r"), "grant 4", "r"),
        (
            entry(
                "statement.ended",
                {"statement": "5.1", "outcome": "done", "rows": 1, "duration_us": 1250},
                session_id=5,
            ),
            "session 5",
            "done, 1 row, 1.2 ms",
        ),
        (
            entry("statement.ended", {"outcome": "failed", "sqlstate": "42703", "rows": 0}),
            "",
            "failed, SQLSTATE 42703, 0 rows",
        ),
        (
            entry("statement.ended", {"outcome": "unknown", "reason": "its gateway was killed"}),
            "",
            "unknown its gateway was killed",
        ),
        (
            entry("token.issued", {"token": 7, "name": "laptop", "capabilities": ["connect"]}),
            "",
            "token 7 'laptop': connect",
        ),
        (
            entry("token.revoked", {"token": 8, "name": "", "with_token": 7}),
            "",
            "token 8, with token 7",
        ),
        (entry("login.failed", {"principal": 3}), "", "wrong password"),
        (entry("login.failed", {"principal": 3, "by": "gateway"}), "", "no token fits"),
    ],
)
def test_a_line_names_what_it_is_about(found: dict[str, Any], about: str, says: str) -> None:
    assert (about_of(found), says_of(found)) == (about, says)


def test_a_shortened_grant_says_from_when_to_when() -> None:
    content = {
        "from": "2020-02-03T10:00:00.000000Z",
        "to": "2020-02-03T09:30:00.000000Z",
        "reason": "",
    }
    first, arrow, second = says_of(entry("grant.shortened", content)).partition(" → ")
    assert arrow
    assert first.startswith("2020-02-0")
    assert second < first


def test_whoever_checks_without_a_key_hears_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(Failure) as checked:
        verify(tmp_path)
    with pytest.raises(Failure) as proven:
        verify_proof(tmp_path / "entry.json")
    for each in (checked, proven):
        assert "daypass audit key" in " ".join(each.value.next_steps)


def test_a_failed_login_is_nobody_s_and_not_daypass_s() -> None:
    tried = entry("login.failed", {"principal": 3}, subject="ada@example.com")
    assert who_of(tried) == "as ada@example.com"
    assert who_of(entry("login.failed", {"principal": None})) == "somebody unknown"
    assert who_of(entry("grant.ended", {})) == "Daypass"
