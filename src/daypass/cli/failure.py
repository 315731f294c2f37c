"""What goes wrong, said in three parts: what, why, and what to do next."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from daypass.cli.exits import ExitCode, exit_of_status

_WORDS = {
    ExitCode.USAGE: "not understood",
    ExitCode.DENIED: "denied",
    ExitCode.WAITING: "waiting",
    ExitCode.NOT_FOUND: "not found",
    ExitCode.CONFLICT: "too late",
    ExitCode.UNAVAILABLE: "not available",
    ExitCode.NOT_LOGGED_IN: "not logged in",
}


class Failure(Exception):
    """A command cannot go on.

    `document` is the server's problem, printed instead of the text for programs.
    """

    def __init__(
        self,
        what: str,
        *,
        why: Sequence[str] = (),
        next_steps: Sequence[str] = (),
        exit_code: ExitCode = ExitCode.FAILED,
        document: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = tuple(line for line in why if line)
        self.next_steps = tuple(step for step in next_steps if step)
        self.exit_code = exit_code
        self.document = document

    @property
    def code(self) -> str:
        """Return the server's stable code, if it was the server who said no."""
        return str((self.document or {}).get("code", ""))

    @property
    def reasons(self) -> tuple[Mapping[str, Any], ...]:
        """Return the reasons of the decision behind it, if there was one."""
        decision = (self.document or {}).get("decision") or {}
        return tuple(decision.get("reasons", ()))


def usage(what: str, *, why: str = "", next_step: str = "") -> Failure:
    """Return the failure of input that cannot be understood."""
    return Failure(what, why=(why,), next_steps=(next_step,), exit_code=ExitCode.USAGE)


def failure_of_problem(document: Mapping[str, Any], status: int, *, so: str = "") -> Failure:
    """Turn a problem of the API into a failure; `so` says what did not happen because of it."""
    if status == HTTPStatus.NOT_FOUND:
        # That there is no such thing says it all.
        so = ""
    detail = str(document.get("detail") or document.get("title") or f"HTTP status {status}")
    problems = [
        f"{each['place']}: {each['problem']}" if each.get("place") else str(each["problem"])
        for each in document.get("problems", ())
        # A single problem is often the detail itself, which then names the place.
        if str(each["problem"]) not in detail
    ]
    decision = document.get("decision") or {}
    reasons = [str(each["text"]) for each in decision.get("reasons", ())]
    # The detail of a denial is its reasons, joined: each on a line of its own reads better.
    told = reasons if "; ".join(reasons) == detail else [detail]
    why = [*(told if so or len(told) > 1 else ()), *problems]
    what = so or (detail if len(told) == 1 else "this is not allowed")
    rule = decision.get("rule")
    if rule and not any(repr(rule) in line or f"'{rule}'" in line for line in (what, *why)):
        why.append(f"rule '{rule}' decided")
    return Failure(
        what,
        why=why,
        next_steps=[str(document.get("next_step") or "")],
        exit_code=exit_of_status(status),
        document=document,
    )


def show_failure(failure: Failure, *, as_json: bool) -> None:
    """Print a failure to standard error: three parts for people, the problem for programs."""
    if as_json:
        document = dict(failure.document or {}) or {
            "code": _WORDS.get(failure.exit_code, "failed").replace(" ", "_"),
            "detail": failure.what,
            "problems": [{"place": "", "problem": line} for line in failure.why],
            "next_step": "; ".join(failure.next_steps),
        }
        print(json.dumps(document, ensure_ascii=False), file=sys.stderr)
        return
    from rich.text import Text

    from daypass.cli.output import as_here, clean, error_console

    console = error_console()
    style = "yellow" if failure.exit_code is ExitCode.WAITING else "red"
    word = _WORDS.get(failure.exit_code, "failed")
    console.print(Text.assemble((f"{word}: ", f"bold {style}"), clean(failure.what)))
    for line in failure.why:
        console.print(Text("  " + clean(line)), soft_wrap=True)
    for step in failure.next_steps:
        console.print(Text.assemble(("→ ", "bold"), clean(as_here(step))), soft_wrap=True)
