"""What a session's relay writes down: statements that start, are refused, and end."""

from __future__ import annotations

from dataclasses import replace

import structlog

from daypass.audit.entry import Json
from daypass.domain.errors import Unavailable
from daypass.domain.permit import SessionPermit
from daypass.domain.principal import Actor
from daypass.engines.contract import StatementFacts
from daypass.engines.relay_contract import Ended, Refused, Started
from daypass.gateway.journal.encoding import frame_of
from daypass.gateway.journal.journal import Journal
from daypass.operations.statement_entries import (
    Recording,
    denied_entry,
    ended_entry,
    started_entry,
    statement_facts,
    statement_reference,
    statement_text,
    storable,
)

_log = structlog.get_logger(__name__)
_KNOWN = 64
"""So many texts of a session have what is known of them at hand."""


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
        self._session_id = permit.session_id
        self._recording = recording
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
        self._known: dict[str, tuple[tuple[StatementFacts, ...], dict[str, Json]]] = {}

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
        content = self._content(number, statement.text, statement.statements)
        content["origin"] = statement.origin
        content |= statement_text(
            statement.text, statement.parameters, statement.statements, self._recording
        )
        try:
            self._sequence = self._journal.write(self._started, content)
        except TypeError as error:
            raise _unwritable() from error
        self._number = number
        self._running.add(number)
        return number

    def refused(self, statement: Refused) -> None:
        """Write a refusal down; one that cannot be is logged, since nothing is forwarded for it."""
        number = self._number + 1
        content = self._content(number, statement.text, statement.statements)
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
        content: dict[str, Json] = {
            "statement": statement_reference(self._session_id, number),
            "outcome": end.outcome,
            "rows": end.rows,
            "size_bytes": end.size_bytes,
            "duration_us": end.duration_us,
            "sqlstate": end.sqlstate,
            "command": storable(end.command),
        }
        try:
            self._sequence = self._journal.write(self._ended, content)
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

    def _content(
        self, number: int, text: str, statements: tuple[StatementFacts, ...]
    ) -> dict[str, Json]:
        known = self._known.get(text)
        # The engine gives the same facts for the same text as long as nothing has changed.
        if known is None or known[0] is not statements:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            known = statements, statement_facts(statements)
            if len(text) < 2**14:
                self._known[text] = known
        return {**known[1], "statement": statement_reference(self._session_id, number)}


def _unwritable() -> Unavailable:
    return Unavailable(
        "the statement holds what the audit log cannot, and nothing is sent unrecorded",
        code="statement_unwritable",
    )
