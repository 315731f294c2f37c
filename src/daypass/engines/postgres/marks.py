"""Comments by which Daypass knows its own roles and schemas again, and another installation's."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import orjson

_KEY = "daypass"


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose an object is; for a scope, where its views are and what they were when made.

    `views` is a digest of every view of the scope, `heir` who gets what a session leaves behind.
    """

    installation: str
    database: str = ""
    database_oid: int = 0
    views: str = ""
    heir: str = ""

    def text(self) -> str:
        """Return the comment."""
        facts = {name: value for name, value in asdict(self).items() if value}
        facts[_KEY] = facts.pop("installation", "")
        return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()


def read_mark(comment: object) -> Mark | None:
    """Read a comment, or return None when it is no mark."""
    if not isinstance(comment, str):
        return None
    try:
        facts = orjson.loads(comment)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(facts, dict) or not isinstance(facts.get(_KEY), str):
        return None

    def text(name: str) -> str:
        value = facts.get(name, "")
        return value if isinstance(value, str) else ""

    oid = facts.get("database_oid", 0)
    return Mark(
        installation=facts[_KEY],
        database=text("database"),
        database_oid=oid if isinstance(oid, int) else 0,
        views=text("views"),
        heir=text("heir"),
    )
