"""The table of routes for people: who may call each, what it records, what it shows once."""

from __future__ import annotations

import inspect

from daypass.api.app import declared_routes
from daypass.api.facts import Declared

_HEAD = """# Routes of the API

Written by `scripts/api_routes.py` from what the routes declare; do not edit it by hand. Each
declaration is tested: nobody known to be calling is answered 401, an access token without the
capability 403, a principal without the role 403, and what somebody may not know of 404.

"""


def route_table() -> str:
    """Return the table as Markdown."""
    lines = [_HEAD]
    tag = ""
    for declared in declared_routes():
        if declared.tag != tag:
            tag = declared.tag
            lines.append(
                f"{'' if tag == 'health' else chr(10)}## {tag}\n\n"
                "| route | what it does | who may call it | capability | entries | shown once |\n"
                "|---|---|---|---|---|---|\n"
            )
        lines.append(_line(declared))
    return "".join(lines)


def _line(declared: Declared) -> str:
    facts = declared.facts
    summary = inspect.cleandoc(declared.endpoint.__doc__ or "").partition("\n")[0]
    cells = (
        f"`{declared.method} {declared.path}`",
        summary,
        facts.callers.text,
        facts.capability.value if facts.capability else "",
        ", ".join(kind.value for kind in facts.entries),
        ", ".join(facts.secret_fields),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
