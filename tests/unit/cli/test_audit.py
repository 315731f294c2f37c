"""What a line of the audit log says: who, about what, and what happened."""

from typing import Any

import pytest

from daypass.cli.audit import about_of, says_of, who_of


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
    ],
)
def test_a_line_names_what_it_is_about(found: dict[str, Any], about: str, says: str) -> None:
    assert (about_of(found), says_of(found)) == (about, says)


def test_a_failed_login_is_nobody_s_and_not_daypass_s() -> None:
    tried = entry("login.failed", {"principal": 3}, subject="ada@example.com")
    assert who_of(tried) == "as ada@example.com"
    assert who_of(entry("login.failed", {"principal": None})) == "somebody unknown"
    assert who_of(entry("grant.ended", {})) == "Daypass"
