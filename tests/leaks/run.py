"""Run attacks in a session, judge what reached it, and show that the same leaks elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.leaks.attack import DOCUMENTED, MASKED, Again, Attack, Bound, By, FunctionCall, Step
from tests.leaks.truth import Connection, Truth, connected
from tests.leaks.wire import Reply, Rows, Wire

ABSENT: Final = "dp_v_0000000000000000_absent"
"""Stands for the views of a schema the session has none of."""

REFUSED: Final = "refused"
"""Stands for the SQLSTATE of a connection that was not let in: the client library tells none."""

_SCHEMAS: Final = ("sales", "billing", "hr", "app", "public")
_BOUND_S: Final = "set statement_timeout = '15s'; set lock_timeout = '3s'"


class Verdict(StrEnum):
    """How an attack ended; LEAKED is the one that must not be."""

    MASKED = "masked"
    REFUSED = "refused"
    DOCUMENTED = "documented"
    LEAKED = "leaked"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attack: the first error's SQLSTATE if any, and what was seen."""

    attack: Attack
    verdict: Verdict
    sqlstate: str
    seen: tuple[str, ...]
    text: str

    @property
    def manner(self) -> str:
        """Return how it ended, in the words of `Attack.expect`."""
        return self.sqlstate or MASKED

    @property
    def as_expected(self) -> bool:
        """Say whether it ended as the attack says it does under its own scope."""
        if self.attack.expect == DOCUMENTED:
            return self.verdict is Verdict.DOCUMENTED
        return self.manner in self.attack.expect.split("|")


@dataclass(slots=True)
class Trace:
    """Everything that one run of the steps showed, and everything it said."""

    replies: list[Reply] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    account: str = ""
    others: dict[str, Connection] = field(default_factory=dict)
    """Connections of somebody else, open until the end."""

    @property
    def text(self) -> str:
        """Return all that was seen."""
        return "\n".join(reply.text for reply in self.replies)

    @property
    def sqlstate(self) -> str:
        """Return that of the first error."""
        return next((reply.sqlstate for reply in self.replies if reply.sqlstate), "")

    @property
    def rows(self) -> Rows:
        """Return the rows of the last reply that had any."""
        return next((reply.rows for reply in reversed(self.replies) if reply.rows), [])


@dataclass(frozen=True, slots=True)
class Stage:
    """Where attacks run: how to come in, and what their placeholders stand for.

    `superuser` leads to the same database; `conninfo` is that of the session's account, for
    further connections. `transaction` has steps rolled back at the end.
    """

    open: Callable[[], Wire | str]
    superuser: str
    conninfo: str
    names: dict[str, str]
    owner: str
    transaction: bool = False
    lacks: frozenset[str] = frozenset()
    """Features that the server was built without."""

    def say(self, text: str, guess: str = "") -> str:
        """Put names and a guess into a text."""
        names = {**self.names, "guess": guess}
        return _replaced(text, {f"<{name}>": value for name, value in names.items()})


def names_of(truth: Truth, account: str, other: str = ABSENT) -> dict[str, str]:
    """Return what placeholders stand for in a session."""
    schemas = {name: truth.view_schemas.get(name, ABSENT) for name in _SCHEMAS}
    return {**schemas, **truth.view_schemas, "account": account, "other": other}


def owner_names(account: str = "shop_owner") -> dict[str, str]:
    """Return what placeholders stand for to the owner: the relations themselves."""
    return {**{name: name for name in _SCHEMAS}, "account": account, "other": "sales"}


def run(attack: Attack, stage: Stage, truth: Truth, *, at_home: bool = True) -> Outcome:
    """Run an attack in a session and judge it.

    Not `at_home`, its scope is another one than the attack is for, and what an error tells, or an
    answer about filtered rows, may be in order there.
    """
    right, wrong = truth.guesses(attack.guess) if attack.guess else ("", "")
    with _undone(attack, stage):
        trace = _perform(attack, stage, right)
    seen = [
        f"{value!r} of {place}"
        for value, place in truth.secrets.found_in(trace.text, "\n".join(trace.said)).items()
    ]
    if attack.guess and truth.hides(attack.guess):
        with _undone(attack, stage):
            other = _perform(attack, stage, wrong)
        if _response(trace, right) != _response(other, wrong):
            seen.append(f"whether a guess at {attack.guess} is right")
    hidden = all(truth.hides(each) and (at_home or each.count(".") > 1) for each in attack.about)
    if attack.answer and hidden and trace.rows == truth.answer(attack.answer):
        seen.append(f"the true answer to: {attack.answer}")
    if attack.tells == trace.sqlstate != "" and hidden:
        seen.append(f"the error {trace.sqlstate}, by which something hidden shows")
    if not seen:
        verdict = Verdict.REFUSED if trace.sqlstate else Verdict.MASKED
    else:
        verdict = Verdict.DOCUMENTED if attack.expect == DOCUMENTED else Verdict.LEAKED
    return Outcome(attack, verdict, trace.sqlstate, tuple(seen), trace.text)


def _perform(attack: Attack, stage: Stage, guess: str) -> Trace:
    trace = Trace()
    wire = stage.open()
    if isinstance(wire, str):
        trace.replies.append(Reply(sqlstate=REFUSED, pieces=[wire]))
        return trace
    trace.account = wire.account
    try:
        wire.send(_BOUND_S)
        rolled_back = stage.transaction and not attack.commits
        if rolled_back:
            wire.send("begin")
        for step in attack.steps:
            _step(step, stage, wire, guess, trace)
        if "listen" in attack.text.lower():
            trace.replies.append(wire.listen(0.5))
        if rolled_back:
            wire.send("rollback")
        if attack.lasting:
            _forget(wire, stage)
    finally:
        wire.close()
        for connection in trace.others.values():
            connection.close()
    return trace


def _step(step: Step, stage: Stage, wire: Wire, guess: str, trace: Trace) -> None:
    match step:
        case str():
            text = stage.say(step, guess)
            trace.said.append(text)
            trace.replies.append(wire.send(text))
        case Bound():
            bound = Bound(
                stage.say(step.sql, guess),
                tuple(stage.say(each, guess) for each in step.parameters),
                step.binary,
            )
            trace.said += [bound.sql, *bound.parameters]
            trace.replies.append(wire.send(bound))
        case By():
            _by(step, stage, guess, trace)
        case Again():
            _again(step, stage, guess, trace)
        case FunctionCall():
            with connected(stage.superuser) as connection:
                row = connection.execute(
                    "select %s::regprocedure::oid::bigint", (step.function,)
                ).fetchone()
            assert row is not None
            arguments = [stage.say(each, guess) for each in step.arguments]
            trace.said += arguments
            trace.replies.append(wire.call(int(str(row[0])), arguments))


def _by(step: By, stage: Stage, guess: str, trace: Trace) -> None:
    """Let somebody else do something. Raises when that fails: the attack is not what it says."""
    connection = trace.others.get(step.who)
    if connection is None:
        connection = trace.others[step.who] = connected(stage.superuser)
        connection.execute("set lock_timeout = '5s'")
        if step.who != "superuser":
            role = stage.owner if step.who == "owner" else step.who
            connection.execute(sql.SQL("set session authorization {}").format(sql.Identifier(role)))
    for statement in step.sql.split(";\n"):
        connection.execute(stage.say(statement, guess).encode())


def _again(step: Again, stage: Stage, guess: str, trace: Trace) -> None:
    given = {
        "password": step.password,
        "dbname": step.database,
        "options": step.options,
        "replication": "database" if step.replication else None,
    }
    wire = Wire.open(make_conninfo(stage.conninfo, **{k: v for k, v in given.items() if v}))
    if isinstance(wire, str):
        trace.replies.append(Reply(sqlstate=REFUSED, pieces=[wire]))
        return
    text = stage.say(step.sql, guess)
    trace.said.append(text)
    trace.replies.append(wire.send(text))
    wire.close()


def _forget(wire: Wire, stage: Stage) -> None:
    """Take back what an attack changed of its own account, as the account may."""
    wire.send("rollback")
    wire.send("reset session authorization; reset role; alter role current_user reset all")
    password = conninfo_to_dict(stage.conninfo).get("password")
    if password and not stage.transaction:
        literal = sql.Literal(str(password)).as_string(None)
        wire.send(f"alter role current_user password {literal}")


@contextmanager
def _undone(attack: Attack, stage: Stage) -> Iterator[None]:
    try:
        yield
    finally:
        if attack.undo:
            with connected(stage.superuser) as connection:
                for statement in attack.undo:
                    try:
                        connection.execute(stage.say(statement).encode())
                    except psycopg.errors.UndefinedObject:
                        continue


def _response(trace: Trace, guess: str) -> tuple[object, ...]:
    """Return what a client can tell apart, the guess and its account's own name aside."""
    own = {trace.account: "<account>"} if trace.account else {}
    return tuple(
        (reply.sqlstate, _replaced(reply.text, {**own, guess: "?", guess.lower(): "?"}))
        for reply in trace.replies
    )


def _replaced(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def lacking(superuser: str) -> frozenset[str]:
    """Return the features that a server was built without."""
    with connected(superuser) as connection:
        try:
            connection.execute("select xmlelement(name x)")
        except psycopg.errors.FeatureNotSupported:
            return frozenset({"xml"})
    return frozenset()


def run_all(
    attacks: Iterable[Attack], stage: Stage, truth: Truth, told: Callable[[Outcome], None]
) -> Counter[Verdict]:
    """Run every attack the server knows, tell of each, and count how they ended."""
    counts: Counter[Verdict] = Counter()
    wire = stage.open()
    if isinstance(wire, str):
        raise ConnectionError(wire)
    major = wire.major
    wire.close()
    for each in attacks:
        if each.applies(major) and each.feature not in stage.lacks:
            outcome = run(each, stage, truth, at_home=False)
            counts[outcome.verdict] += 1
            told(outcome)
    return counts
