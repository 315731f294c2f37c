"""What is suggested once something is open."""

from typing import Any

import pytest

from daypass.cli.follow import next_commands


def grant(**asked: Any) -> dict[str, Any]:
    usual = {"relations": ["sales.orders"], "classes": ["select"], "statements": []}
    return {
        "id": 7,
        "database": "prod/shop",
        "state": "active",
        "direct_credentials": False,
        "scope": {"relations": [{"name": "sales.orders"}]},
        "asked": {**usual, **asked},
    }


def exact(text: str, parameters: list[str] | None = None) -> dict[str, Any]:
    return {"text": text, "parameters": parameters}


@pytest.mark.parametrize(
    ("found", "command"),
    [
        (grant(), "daypass query prod/shop 'select * from sales.orders limit 5'"),
        (
            grant(statements=[exact("update t set a = 'b' where c = 9")]),
            """daypass query prod/shop --grant 7 'update t set a = '"'"'b'"'"' where c = 9'""",
        ),
        (
            grant(statements=[exact("select $1", ["1"]), exact("select 2")]),
            "daypass query prod/shop --grant 7 'select 2'",
        ),
        (grant(classes=["export"]), "daypass proxy prod/shop --grant 7"),
        (grant(statements=[exact("select $1", ["1"])]), "daypass connect prod/shop --grant 7"),
    ],
)
def test_what_is_suggested_is_what_the_grant_lets_through(
    found: dict[str, Any], command: str
) -> None:
    assert next_commands(found) == [command]
