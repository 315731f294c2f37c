"""Texts answered by both ways, and how the answers compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from daypass.engines.contract import Verdict
from daypass.engines.postgres.parsing import fingerprint_of
from daypass.engines.postgres.statements import prepare_under
from tests.splices.raw import Answer, Wire
from tests.splices.ways import Ways

_CANCELED: Final = "57014"


@dataclass
class Compared:
    """What was found; `equal` are fingerprints, as written, of texts with the same answer.

    `spliced` counts those whose text was changed. `alone` are texts that do not even give the same
    answer twice by one way: random numbers, times, sequences, the session's own name.
    """

    equal: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return the counts for people."""
        return f"{len(self.equal)} equal by fingerprint; {dict(sorted(self.counts.items()))}"


async def compare(ways: Ways, texts: Iterable[tuple[str, str]], found: Compared) -> None:
    """Ask both ways for each text, with its fingerprint, in a transaction that is taken back."""
    for text, fingerprint in texts:
        if fingerprint in found.equal:
            continue
        prepared = prepare_under(text, ways.plan.session_scope)
        answer = await _in_transaction(ways.gateway, text)
        if prepared.verdict is not Verdict.FORWARD:
            found.counts[f"denied: {prepared.code}"] += 1
            if not answer.sqlstate:
                found.wrong.append(f"to be denied, and answered: {text[:500]}")
            continue
        expected = await _in_transaction(ways.direct, prepared.text)
        if _CANCELED in (answer.sqlstate, expected.sqlstate):
            found.counts["took too long"] += 1
        elif answer != expected:
            again = await _in_transaction(ways.direct, prepared.text)
            if again != expected or _tells_who(text):
                found.counts["not the same twice"] += 1
                found.alone.append(text)
            else:
                told = f"{answer.sqlstate} {answer.text!r} / {expected.sqlstate} {expected.text!r}"
                found.wrong.append(f"{text[:500]}: {told}")
        elif answer.sqlstate:
            found.counts["the same error"] += 1
        else:
            found.equal.add(fingerprint or fingerprint_of(text))
            found.counts["equal"] += 1
            found.counts["equal, spliced"] += prepared.text != text


async def begin(ways: Ways) -> None:
    """Bound what one statement may take, and leave notices out: they have names of accounts."""
    for wire in (ways.gateway, ways.direct):
        for text in ("set statement_timeout = '700ms'", "set client_min_messages = 'error'"):
            assert not (await wire.ask(text)).sqlstate


async def _in_transaction(wire: Wire, text: str) -> Answer:
    await wire.ask("begin")
    answer = await wire.ask(text)
    await wire.ask("rollback")
    return answer


def _tells_who(text: str) -> bool:
    lower = text.lower()
    return any(word in lower for word in ("_user", "_role", "backend_pid", "pg_stat", "pg_lock"))
