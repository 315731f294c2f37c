"""Reads the texts of a session: what is decided under its plan, with what the session has made.

Answers are shared by all sessions of a plan. A session with temporary tables or prepared statements
of its own may be allowed more than they say, never less; so only denials are looked at again.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from daypass.domain.catalog import RelationName
from daypass.domain.errors import Invalid
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import Plan, PreparedText, StatementFacts, Verdict
from daypass.engines.postgres import relay_shapes
from daypass.engines.postgres.parsing import Node, parse_text, string
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.relay_names import PreparedNames
from daypass.engines.postgres.relay_parameters import may_compare
from daypass.engines.postgres.relay_reading import (
    FEATURE_NOT_SUPPORTED,
    INSUFFICIENT_PRIVILEGE,
    TOO_LARGE,
    NameEffect,
    Reading,
    Refusal,
)
from daypass.engines.postgres.statement_classes import Analysis
from daypass.engines.postgres.statement_decision import SessionScope, relations_read
from daypass.engines.postgres.statements import analyses_of, prepare_under
from daypass.engines.postgres.wire.client_messages import Query

_SQLSTATES: Final = {
    "unparsable": "42601",
    "too_large": TOO_LARGE,
    "too_deep": "54001",
    "unknown_relation": "42P01",
    "splice_mismatch": FEATURE_NOT_SUPPORTED,
    "copy_view": FEATURE_NOT_SUPPORTED,
}
"""What clients know such errors by; every other denial is one of privilege."""

_TRANSACTIONS: Final = frozenset(
    {
        "BEGIN",
        "COMMIT",
        "RELEASE",
        "ROLLBACK",
        "SAVEPOINT",
        "SHOW",
        "START TRANSACTION",
    }
)
_DRIVER_VARIABLES: Final = frozenset(
    {"application_name", "client_encoding", "client_min_messages", "extra_float_digits"}
)
_MAX_HINTED: Final = 8

ReadsApart = Callable[
    [str, PostgresPlan, Mapping[str, AbstractSet[RelationName]], AbstractSet[str]],
    Awaitable[tuple[Reading, Reading]],
]
"""Reads a text elsewhere: as it is under its plan, and with what the session has made."""


class Judge:
    """Reads texts for one session; `temporary` are names of the temporary tables it has made."""

    __slots__ = ("_names", "_plan", "_readings", "_ready", "_scope", "_temporary")

    def __init__(self, plan: PostgresPlan, names: PreparedNames) -> None:
        self._plan = plan
        self._scope = plan.session_scope
        self._readings = self._scope.readings
        self._names = names
        self._temporary: frozenset[str] = frozenset()
        self._ready: Reading | None = None

    def at_hand(self, text: str) -> Reading | None:
        """Return what a text is, if nothing has to be read for it."""
        ready = self._ready
        if ready is not None and ready.text == text:
            return ready
        found = self._readings.get(text)
        if found is None:
            return relay_shapes.find(self._scope.shapes, text)
        return None if depends_on_session(found, self._temporary) else found

    async def read_apart(self, text: str, read: ReadsApart) -> None:
        """Have a text read elsewhere; it is at hand afterwards."""
        shared, self._ready = await read(text, self._plan, self._prepared(), self._temporary)
        if shared.refusal is None:
            # A refusal may be for the time it took.
            self._readings.put(text, shared)

    def forget(self) -> None:
        """Keep no text at hand that was read elsewhere: it was sent."""
        self._ready = None

    def read(self, text: str) -> Reading:
        """Say what a text is; a hit costs about a microsecond."""
        found = self._readings.get(text)
        if found is None:
            found = read_text(text, self._scope, self._plan)
            self._readings.put(text, found)
            relay_shapes.keep(self._scope.shapes, found)
        if depends_on_session(found, self._temporary):
            return read_text(text, self._with_its_own(), self._plan)
        return found

    def made(self, names: frozenset[str]) -> None:
        """Note temporary tables that were asked for; whether they came about makes no difference.

        A name of the scope never becomes one of theirs, and the server looks at it all the same.
        """
        self._temporary |= names

    def _with_its_own(self) -> SessionScope:
        return replace(self._scope, prepared=self._prepared(), temporary=self._temporary)

    def _prepared(self) -> dict[str, frozenset[RelationName]]:
        return {
            key.decode("utf-8", "replace"): found.reading.read
            for key in self._names
            if (found := self._names.find(key)) is not None and found.reading is not None
        }


def depends_on_session(found: Reading, temporary: AbstractSet[str]) -> bool:
    """Say whether a text is to be looked at again, with what its session has made."""
    return found.refusal is not None and (
        bool(temporary) or found.refusal.code == "explain_execute"
    )


def read_text(text: str, scope: SessionScope, plan: PostgresPlan) -> Reading:
    """Decide about a text and gather what a relay needs to know of it."""
    prepared = prepare_under(text, scope)
    if prepared.verdict is not Verdict.FORWARD:
        return Reading(text, prepared.statements, _refusal(text, prepared, scope))
    analyses = analyses_of(text)
    read = frozenset[RelationName]().union(*(relations_read(each, scope) for each in analyses))
    copies = [each for each in prepared.statements if each.command == "COPY"]
    return Reading(
        text=text,
        statements=prepared.statements,
        spliced=None if prepared.text == text else Query(prepared.text).build(),
        shifts=prepared.shifts,
        effects=_effects(text, analyses),
        copies_in=sum(StatementClass.COPY_IN in each.classes for each in copies),
        made=frozenset[str]().union(*(each.made for each in analyses)),
        read=read,
        guarded=_guarded(text, analyses, scope, plan),
        setting=all(_only_sets(each) for each in analyses),
        origin="copy" if copies else "",
    )


def would_take(text: str, plan: Plan) -> bool:
    """Say whether a session under another plan could send a text."""
    return (
        isinstance(plan, PostgresPlan)
        and prepare_under(text, plan.session_scope).verdict is Verdict.FORWARD
    )


def resolved(
    statements: tuple[StatementFacts, ...], prepared: Mapping[int, Reading]
) -> tuple[StatementFacts, ...]:
    """Return facts with what EXECUTE stands for put in; `prepared` by the statement's place."""
    return tuple(
        _with_prepared(each, prepared[place]) if place in prepared else each
        for place, each in enumerate(statements)
    )


def of_prepare(reading: Reading, place: int) -> Reading:
    """Return the one PREPARE of a text, as whoever executes it needs it."""
    facts = reading.statements[place]
    return Reading(text=facts.text, statements=(facts,), read=reading.read, guarded=reading.guarded)


def _with_prepared(facts: StatementFacts, prepared: Reading) -> StatementFacts:
    inner = prepared.statements
    explains = facts.command == "EXPLAIN" and facts.classes == {StatementClass.EXPLAIN}
    classes = facts.classes if explains else facts.classes.union(*(i.classes for i in inner))
    return replace(
        facts,
        text=prepared.text if facts.command == "EXECUTE" else facts.text,
        classes=classes,
        read=facts.read.union(*(i.read for i in inner)),
        written=facts.written if explains else facts.written.union(*(i.written for i in inner)),
        functions=facts.functions.union(*(i.functions for i in inner)),
        fingerprint=inner[0].fingerprint if len(inner) == 1 else facts.fingerprint,
    )


def _effects(text: str, analyses: tuple[Analysis, ...]) -> tuple[NameEffect, ...]:
    given_up: dict[int, str] = {}
    commands = [each.facts.command for each in analyses]
    if any(each.startswith("DEALLOCATE") or each == "DISCARD ALL" for each in commands):
        for place, statement in enumerate(parse_text(text)[1]):
            if statement.kind == "DeallocateStmt":
                given_up[place] = string(statement.node, "name")
            elif commands[place] == "DISCARD ALL":
                given_up[place] = ""
    return tuple(
        NameEffect(place, each.prepares, each.executes, given_up.get(place))
        for place, each in enumerate(analyses)
        if each.prepares or each.executes or place in given_up
    )


def _guarded(
    text: str, analyses: tuple[Analysis, ...], scope: SessionScope, plan: PostgresPlan
) -> bool:
    """Say whether a parameter may meet a masked column; a native role has none."""
    if "$" not in text:
        return False
    touched = {scope.place(name, scope.temporary)[1] for a in analyses for name, _ in a.uses}
    masked = {
        column.base.name: name
        for name in touched
        if (relation := plan.relation(name)) is not None
        for column in relation.columns
        if column.mask is not None
    }
    if not masked:
        return False
    written = {scope.place(name, scope.temporary)[1] for a in analyses for name in a.facts.written}
    if written & set(masked.values()):
        return True
    trees: list[Node] = [each.node for each in parse_text(text)[1]]
    return may_compare(trees, frozenset(masked))


def _only_sets(analysis: Analysis) -> bool:
    facts = analysis.facts
    if facts.classes or facts.functions or facts.read or facts.written:
        return False
    if facts.command == "SET":
        return bool(analysis.variables) and analysis.variables <= _DRIVER_VARIABLES
    return facts.command in _TRANSACTIONS


def _refusal(text: str, prepared: PreparedText, scope: SessionScope) -> Refusal:
    message = prepared.reason
    position = None
    if prepared.code == "unparsable":
        position = _position(text)
        if position is not None:
            message = message.removesuffix(f" (character {position})")
    sqlstate = _SQLSTATES.get(prepared.code, INSUFFICIENT_PRIVILEGE)
    asks = _asks(prepared, scope) if prepared.missing_classes else ""
    return Refusal(prepared.code, message, sqlstate, "", position, asks)


def _asks(prepared: PreparedText, scope: SessionScope) -> str:
    """Return how to ask for one grant that has all that a text needs: it is used in one session."""
    classes = prepared.missing_classes.union(*(each.classes for each in prepared.statements))
    if classes & {StatementClass.UPDATE, StatementClass.DELETE}:
        # The server asks for it where a condition says which rows.
        classes |= {StatementClass.SELECT}
    named = {
        scope.place(name, scope.temporary)[1]
        for each in prepared.statements
        for name in each.read | each.written
    }
    relations = {*prepared.missing, *(each for each in named if each in scope.relation_classes)}
    if len(relations) > _MAX_HINTED:
        relations = set(prepared.missing[:_MAX_HINTED])
    asked = [f"-c {each}" for each in sorted(each.value for each in classes)]
    asked += [f"-t {shlex.quote(str(each))}" for each in sorted(relations)]
    return " ".join(asked)


def _position(text: str) -> int | None:
    try:
        parse_text(text)
    except Invalid as error:
        place = error.problems[0][0].removeprefix("character ") if error.problems else ""
        return int(place) if place.isdecimal() else None
    return None
