"""What a session's relay writes down: statements that start, are refused, and end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from daypass.audit.entry import Json
from daypass.domain.errors import Unavailable
from daypass.domain.limits import Parameters
from daypass.domain.permit import SessionPermit
from daypass.domain.principal import Actor
from daypass.engines.contract import StatementFacts
from daypass.engines.relay_contract import Ended, Refused, Started
from daypass.gateway.journal.encoding import form_of, frame_of, json_of
from daypass.gateway.journal.format import OpenStatement
from daypass.gateway.journal.journal import Journal
from daypass.operations.statement_entries import (
    Recording,
    denied_entry,
    ended_entry,
    kept_parameters,
    may_set_password,
    started_entry,
    statement_facts,
    statement_reference,
    statement_text,
    storable,
)

_log = structlog.get_logger(__name__)
_CARE = (Parameters.FULL, Parameters.HASH, Parameters.NONE)
"""Ways to record parameters; each keeps less than the one before."""
_KNOWN = 64
"""So many texts of a session have what is known of them at hand."""
_KNOWN_LENGTH = 2**14


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a text: the entry of its start, but for what each sending has of its own.

    `form` is that of all texts that do the same; `length` and `text` are this one's, as JSON.
    """

    statements: tuple[StatementFacts, ...]
    form: bytes
    length: bytes
    text: bytes
    keeps: bool
    """Whether parameters may be kept at all."""


class StatementLog:
    """The journal as one session sees it; not shared between sessions."""

    def __init__(
        self,
        journal: Journal,
        permit: SessionPermit,
        actor: Actor,
        rule: str | None,
        recording: Recording,
    ) -> None:
        actor = replace(
            actor, address=storable(actor.address), application=storable(actor.application)
        )
        self._journal = journal
        self._permit = permit
        self._session_id = permit.session_id
        self._recording = recording
        self._care = {each: max(each, recording.parameters, key=_CARE.index) for each in Parameters}
        self._constant = {"journal": str(journal.id)}
        self._started = frame_of(started_entry(permit, actor, rule, {}))
        self._ended = frame_of(ended_entry(permit, {}))
        self._refused = frame_of(
            denied_entry(
                actor,
                {},
                database_id=permit.database_id,
                grant_id=permit.grant_id,
                session_id=permit.session_id,
                rule=rule,
            )
        )
        self._number = 0
        self._sequence = 0
        self._running: set[int] = set()
        self._known: dict[str, _Known] = {}
        self._forms: dict[tuple[object, ...], bytes] = {}
        self._ends: dict[tuple[str, str, str], bytes] = {}

    @property
    def number(self) -> int:
        """Return how many statements the session has sent or tried to send."""
        return self._number

    @property
    def running(self) -> frozenset[int]:
        """Return the statements that have no end yet."""
        return frozenset(self._running)

    def started(self, statement: Started) -> int:
        """Write a statement down before it is forwarded, and return its number in the session.

        Raises `Unavailable` when it cannot be written down: then it is not forwarded (I4).
        """
        number = self._number + 1
        known = self._known.get(statement.text)
        # The engine gives the same facts for the same text as long as nothing has changed.
        if known is None or known.statements is not statement.statements:
            known = self._learn(statement)
        parameters = b"[]"
        try:
            if statement.parameters and known.keeps:
                keep = self._care[statement.keep]
                parameters = json_of(
                    kept_parameters(statement.parameters, keep, self._recording.key)
                )
            form, origin = known.form, json_of(statement.origin)
            reference = statement_reference(self._session_id, number)
            of = self._permit
            self._sequence = self._journal.start(
                OpenStatement(
                    reference, of.principal_id, of.database_id, of.grant_id, of.session_id
                ),
                lambda at, sequence: (
                    form
                    % (
                        *(at, known.length, origin, parameters, b"%d" % sequence),
                        *(b'"%b"' % reference.encode(), known.text),
                    )
                ),
            )
        except TypeError as error:
            raise _unwritable() from error
        self._number = number
        self._running.add(number)
        return number

    def refused(self, statement: Refused) -> None:
        """Write a refusal down; one that cannot be is logged, since nothing is forwarded for it."""
        number = self._number + 1
        content = statement_facts(statement.statements)
        content["statement"] = statement_reference(self._session_id, number)
        content |= statement_text(statement.text, (), statement.statements, self._recording)
        content["code"] = statement.code
        content["reason"] = storable(statement.reason)
        self._number = number
        try:
            self._sequence = self._journal.write(self._refused, content)
        except (TypeError, Unavailable) as error:
            _log.error("denial_not_recorded", session=self._session_id, error=str(error))

    def ended(self, number: int, end: Ended) -> None:
        """Write down how a statement ended; a second end of it is none.

        Where that fails the journal writes it once it works again; should the process be gone by
        then, whoever recovers the journal writes an end for it: `unknown`.
        """
        if number not in self._running:
            return
        self._running.discard(number)
        reference = statement_reference(self._session_id, number)
        kind = end.command, end.outcome, end.sqlstate
        form = self._ends.get(kind) or self._learn_end(kind)
        try:
            self._sequence = self._journal.end(
                reference,
                lambda at, sequence: (
                    form
                    % (
                        *(at, b"%d" % end.duration_us, b"%d" % end.rows, b"%d" % sequence),
                        *(b"%d" % end.size_bytes, b'"%b"' % reference.encode()),
                    )
                ),
            )
        except (TypeError, Unavailable) as error:
            _log.error(
                "end_not_recorded_yet", session=self._session_id, statement=number, error=str(error)
            )

    def end_all(self, outcome: str) -> None:
        """Write down that everything which still runs ended with its session."""
        for number in sorted(self._running):
            self.ended(number, Ended(outcome))

    async def synced(self) -> None:
        """Return once all that was written down here is on disk, for a rule that says `strict`.

        Raises `Unavailable` when it does not get there.
        """
        await self._journal.synced(self._sequence)

    def _learn(self, statement: Started) -> _Known:
        text, statements = statement.text, statement.statements
        written = statement_text(text, (), statements, self._recording)
        try:
            form = self._form(statements, written.get("hash"))
            of_its_own = json_of(written["length"]), json_of(written["text"])
        except TypeError as error:
            raise _unwritable() from error
        known = _Known(statements, form, *of_its_own, not may_set_password(text, statements))
        if len(text) < _KNOWN_LENGTH:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[text] = known
        return known

    def _form(self, statements: tuple[StatementFacts, ...], text_hash: Json) -> bytes:
        """Write the form of texts whose facts are the same: they may differ in literals."""
        alike = (
            text_hash,
            *((s.classes, s.read, s.written, s.functions, s.fingerprint) for s in statements),
        )
        form = self._forms.get(alike)
        if form is None:
            constant: dict[str, Json] = {**statement_facts(statements), **self._constant}
            if text_hash is not None:
                constant["hash"] = text_hash
            form = form_of(self._started, constant, _OF_A_START)
            if len(self._forms) >= _KNOWN:
                self._forms.clear()
            self._forms[alike] = form
        return form

    def _learn_end(self, kind: tuple[str, str, str]) -> bytes:
        command, outcome, sqlstate = (storable(each) for each in kind)
        constant = {**self._constant, "command": command, "outcome": outcome, "sqlstate": sqlstate}
        form = form_of(self._ended, constant, _OF_AN_END)
        if len(self._ends) >= _KNOWN:
            self._ends.clear()
        self._ends[kind] = form
        return form


_OF_A_START = ("length", "origin", "parameters", "sequence", "statement", "text")
_OF_AN_END = (*("duration_us", "rows", "sequence", "size_bytes", "statement"),)


def _unwritable() -> Unavailable:
    return Unavailable(
        "the statement holds what the audit log cannot, and nothing is sent unrecorded",
        code="statement_unwritable",
    )
