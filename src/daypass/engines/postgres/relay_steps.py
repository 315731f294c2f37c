"""What each message of a client comes to: read, judged, written down, and put among what goes on.

What is refused has a stand-in sent in its place that fails on the server. So a transaction is
aborted, a pipeline skipped to its end and an answer given in its order as after any error; the
server's words for it are replaced by ours on the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from daypass.domain.errors import Invalid
from daypass.domain.limits import Parameters, bare
from daypass.engines.contract import StatementFacts
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.quoting import MAX_NAME_BYTES
from daypass.engines.postgres.relay_conversation import (
    BIND,
    CLOSE,
    DESCRIBE,
    EXECUTE,
    PARSE,
    QUERY,
    Conversation,
    Entry,
    Portal,
    Run,
)
from daypass.engines.postgres.relay_effects import change_names, uncertain
from daypass.engines.postgres.relay_judge import Judge, ReadsApart, would_take
from daypass.engines.postgres.relay_names import key_of
from daypass.engines.postgres.relay_parameters import as_fixed, bound_names, bound_values
from daypass.engines.postgres.relay_reading import (
    FEATURE_NOT_SUPPORTED,
    INSUFFICIENT_PRIVILEGE,
    TOO_LARGE,
    Reading,
    Refusal,
)
from daypass.engines.postgres.relay_server import FAILING_PARSE, FAILING_TEXT
from daypass.engines.postgres.splice import quote_schema
from daypass.engines.postgres.statements import statement_facts
from daypass.engines.postgres.wire.body import message
from daypass.engines.postgres.wire.client_messages import Close, Describe, Execute, Query
from daypass.engines.postgres.wire.violation import NOT_UTF8, PROTOCOL_VIOLATION, ProtocolViolation
from daypass.engines.relay_contract import OtherGrant, Started

FAILING_QUERY: Final = Query(FAILING_TEXT).build()

_UNNAMED: Final = b""

APART_BYTES: Final = 4096
"""Longer texts take long enough to read that others would feel it."""
_TURN_S: Final = 0.02
_ELSEWHERE_S: Final = 0.005
_NOT_UTF8: Final = Refusal("unparsable", "the text is not UTF-8", NOT_UTF8)
_FUNCTION_CALL: Final = Refusal(
    "function_call",
    "calls of functions past the statements are not relayed",
    FEATURE_NOT_SUPPORTED,
    "Call the function in a statement: SELECT f(…).",
)
_NOT_APPROVED: Final = Refusal(
    "not_approved_text",
    "the grant is for an exact statement, and this is another",
    INSUFFICIENT_PRIVILEGE,
)
_OTHER_VALUES: Final = Refusal(
    "not_approved_values",
    "the grant is for this statement with other values",
    INSUFFICIENT_PRIVILEGE,
    "Send the approved values, as text.",
)
_NO_UNNAMED: Final = Refusal("no_statement", "unnamed prepared statement does not exist", "26000")
_TOO_MANY: Final = Refusal(
    "too_many_prepared", "this session holds as many prepared statements as one may", TOO_LARGE
)


class Steps:
    """Deals with one message after the other, as long as `ClientSide` lets it.

    A handler returns whether that could be done now: else the message comes again, unchanged.
    `out` is what goes to the server; `aside` says that a text is being read elsewhere, or that
    others have their turn; `spent_s` is how long texts were read for in this turn.
    """

    __slots__ = (
        "_apart",
        "_exact",
        "_judge",
        "_keep",
        "_not_approved",
        "_talk",
        "aside",
        "handlers",
        "out",
        "spent_s",
    )

    def __init__(self, talk: Conversation, plan: PostgresPlan, apart: ReadsApart | None) -> None:
        self._talk = talk
        self._apart = apart
        self._judge = Judge(plan, talk.names)
        self._keep = talk.limits.parameters
        self._exact: dict[str, list[tuple[str | None, ...] | None]] = {}
        for each in talk.limits.exact:
            self._exact.setdefault(bare(each.text), []).append(each.parameters)
        self._not_approved = replace(
            _NOT_APPROVED,
            hint=f"daypass grant {talk.limits.grant_id} shows what was approved: send that as it "
            f"is, with values as parameters. daypass request {talk.limits.place} --statement "
            '"…" --reason "…" asks for another.',
        )
        self.aside = False
        self.spent_s = 0.0
        self.out: list[bytes] = []
        self.handlers: dict[int, Callable[[bytes], bool]] = {
            ord("Q"): self._query,
            ord("P"): self._parse,
            ord("B"): self._bind,
            ord("D"): self._describe,
            ord("E"): self._execute,
            ord("C"): self._close,
            ord("F"): self._function_call,
        }

    def _query(self, raw: bytes) -> bool:
        talk = self._talk
        if raw[-1] != 0:
            raise ProtocolViolation("a query without its end")
        read = self._read(raw[5:-1])
        if read is None:
            return False
        if isinstance(read, Refusal):
            return self._refuse_query(read, raw[5:-1].decode("utf-8", "replace"), None)
        refusal = self._may_not(read)
        if refusal is not None:
            return self._refuse_query(refusal, read.text, read)
        if read.effects and uncertain(read, talk.names, talk.epoch):
            return False
        statements = read.statements
        entry = Entry(QUERY, read)
        origin = read.origin or "simple"
        if read.effects:
            statements, origin = change_names(entry, read, origin, talk)
        run = talk.start(Started(read.text, statements, (), origin))
        if isinstance(run, Refusal):
            for _, definition in entry.definitions or ():
                talk.names.void(definition)
            return self._refuse_query(run, read.text, read)
        entry.run = run
        talk.queue.append(entry)
        talk.epoch += 1
        if read.made:
            self._judge.made(read.made)
        if read.copies_in:
            entry.copies_left = read.copies_in
            talk.awaiting_copy = entry
        self.out.append(raw if read.spliced is None else read.spliced)
        return True

    def _parse(self, raw: bytes) -> bool:
        talk = self._talk
        name_end = raw.index(b"\0", 5)
        text_end = raw.index(b"\0", name_end + 1)
        key = key_of(raw[5:name_end])
        written = raw[name_end + 1 : text_end]
        read = self._read(written)
        if read is None:
            return False
        reading = read if isinstance(read, Reading) else None
        refusal = read if isinstance(read, Refusal) else self._may_not(read)
        if refusal is None and talk.names.full:
            refusal = _TOO_MANY
        entry = Entry(PARSE, reading, refusal=refusal)
        if refusal is not None:
            talk.refuse(refusal, written.decode("utf-8", "replace"), reading)
            # The unnamed statement goes away, as when the server cannot read a text.
            if key == _UNNAMED:
                entry.definitions = [(0, talk.names.define(key, None, talk.epoch))]
                self.out.append(message(b"P", b"\0", FAILING_TEXT.encode(), b"\0\0\0"))
            else:
                self.out.append(FAILING_PARSE)
            talk.queue.append(entry)
            return True
        entry.definitions = [(0, talk.names.define(key, reading, talk.epoch))]
        talk.queue.append(entry)
        if reading is None or reading.spliced is None:
            self.out.append(raw)
        else:
            self.out.append(
                message(b"P", raw[5 : name_end + 1], reading.spliced[5:-1], raw[text_end:])
            )
        return True

    def _bind(self, raw: bytes) -> bool:
        talk = self._talk
        portal_key, statement_key, at = bound_names(raw)
        statement_key = key_of(statement_key)
        found = talk.names.find(statement_key)
        if found is not None and found.unsettled(talk.epoch):
            return False
        reading = found.reading if found is not None else None
        if reading is None:
            reading = _unknown_statement(statement_key)
            if statement_key == _UNNAMED and found is None:
                # The server may have one all the same: a Parse that it could not read left the one
                # before it, and that would run under no text.
                return self._refuse_step(_NO_UNNAMED, reading)
            if self._exact:
                return self._refuse_step(self._not_approved, reading)
        try:
            fixed = self._exact.get(bare(reading.text)) if self._exact else None
            if fixed is not None and None not in fixed:
                meant = as_fixed(raw, [each for each in fixed if each is not None])
                if meant is None:
                    return self._refuse_step(_OTHER_VALUES, reading)
                raw = meant
                at = bound_names(raw)[2]
            values = bound_values(raw, at) if self._keep is not Parameters.NONE else ()
        except ProtocolViolation as error:
            return self._refuse_step(
                Refusal("invalid_bind", error.message, PROTOCOL_VIOLATION), reading
            )
        keep = self._keep
        if keep is Parameters.FULL and reading.guarded and values:
            keep = Parameters.HASH
        portal = Portal(key_of(portal_key), reading, talk.epoch)
        portal.started = Started(
            reading.text, reading.statements, values, reading.origin or "extended", keep
        )
        entry = Entry(BIND, reading, portal=portal)
        executes = True
        if reading.effects:
            executes = all(each.executes for each in reading.effects)
            if executes:
                if uncertain(reading, talk.names, talk.epoch):
                    return False
                # Rows of an EXECUTE can be had by FETCH too, past any Execute.
                statements, origin = change_names(entry, reading, "extended", talk)
                portal.started = replace(portal.started, statements=statements, origin=origin)
        if executes:
            # To plan a statement may be to run some of it: functions that are called immutable.
            run = talk.start(portal.started)
            if isinstance(run, Refusal):
                return self._refuse_step(run, reading)
            run.portal = portal
            portal.run = entry.run = run
        portal.previous = talk.portals.get(portal.key)
        talk.portals[portal.key] = portal
        talk.queue.append(entry)
        self.out.append(raw)
        return True

    def _execute(self, raw: bytes) -> bool:
        talk = self._talk
        end = raw.index(b"\0", 5)
        portal = talk.portals.get(key_of(raw[5:end]))
        if portal is None:
            return self._execute_unknown(raw)
        if not portal.bound and portal.epoch != talk.epoch:
            return False
        reading = portal.reading
        run = portal.run
        entry = Entry(EXECUTE, reading, portal=portal)
        if run is not None:
            run.since = talk.clock()
        if run is None or run.outcome:
            started = portal.started
            if started is None or (reading.effects and uncertain(reading, talk.names, talk.epoch)):
                return False
            if reading.effects:
                statements, origin = change_names(entry, reading, "extended", talk)
                started = Started(
                    started.text, statements, started.parameters, origin, started.keep
                )
            begun = talk.start(started)
            if isinstance(begun, Refusal):
                for _, definition in entry.definitions or ():
                    talk.names.void(definition)
                return self._refuse_step(begun, reading)
            run = begun
            run.portal = portal
            portal.run = run
        entry.run = run
        talk.queue.append(entry)
        if reading.made:
            self._judge.made(reading.made)
        if reading.copies_in:
            entry.copies_left = 1
            talk.awaiting_copy = entry
        self.out.append(raw)
        return True

    def _execute_unknown(self, raw: bytes) -> bool:
        """Run a portal that was not bound here: a cursor that SQL has declared."""
        execute = Execute.read(raw)
        many = str(execute.max_rows) if execute.max_rows > 0 else "ALL"
        text = f"FETCH {many} FROM {quote_schema(execute.portal)}"
        refusal = None
        if self._exact and text not in self._exact:
            refusal = self._not_approved
        statements: tuple[StatementFacts, ...] = ()
        if 0 < len(execute.portal.encode()) <= MAX_NAME_BYTES:
            try:
                statements = statement_facts(text)
            except Invalid as error:
                refusal = Refusal(error.detail_code, error.message)
        reading = Reading(text, statements)
        if refusal is None:
            run = self._talk.start(Started(text, statements, (), "extended"))
            if isinstance(run, Run):
                self._talk.queue.append(Entry(EXECUTE, reading, run))
                self.out.append(raw)
                return True
            refusal = run
        return self._refuse_step(refusal, reading)

    def _describe(self, raw: bytes) -> bool:
        if raw.find(b"\0", 6) != len(raw) - 1 or raw[5] not in b"SP" or not raw.isascii():
            Describe.read(raw)
        self._talk.queue.append(Entry(DESCRIBE))
        self.out.append(raw)
        return True

    def _close(self, raw: bytes) -> bool:
        talk = self._talk
        close = Close.read(raw)
        key = key_of(close.name.encode())
        entry = Entry(CLOSE)
        if close.what == "S":
            if talk.names.unsettled(key, talk.epoch):
                return False
            entry.definitions = [(0, talk.names.define(key, None, talk.epoch))]
        else:
            talk.portals.pop(key, None)
        talk.queue.append(entry)
        self.out.append(raw)
        return True

    def _function_call(self, _raw: bytes) -> bool:
        return self._refuse_query(_FUNCTION_CALL, "", None)

    def _read(self, written: bytes) -> Reading | Refusal | None:
        """Read a text, or set it aside: then it waits, and comes again."""
        try:
            text = written.decode()
        except UnicodeDecodeError:
            return _NOT_UTF8
        judge = self._judge
        found = judge.at_hand(text)
        if found is not None:
            judge.forget()
            return found
        apart = self._apart
        if apart is not None and (len(written) > APART_BYTES or self.spent_s > _TURN_S):
            self.aside = True
            self._talk.ports.aside(
                partial(judge.read_apart, text, apart) if len(written) > APART_BYTES else None
            )
            return None
        clock = self._talk.clock
        began = clock()
        found = judge.read(text)
        self.spent_s += clock() - began
        return found

    def _may_not(self, reading: Reading) -> Refusal | None:
        """Say why a text may not be sent."""
        exact = self._exact
        if reading.refusal is None and exact and not reading.setting:
            return None if bare(reading.text) in exact else self._not_approved
        refusal = reading.refusal
        if refusal is None or not refusal.asks:
            return refusal
        limits = self._talk.limits
        other = self._elsewhere(reading.text)
        if other is not None:
            return replace(
                refusal,
                hint=f"This session is under grant {limits.grant_id}. Grant {other.grant_id} has "
                f"it, until {other.deadline:%Y-%m-%d %H:%M:%S} UTC: connect with "
                f"options='-c daypass.grant={other.grant_id}', or "
                f"daypass connect {limits.place} --grant {other.grant_id}",
            )
        return replace(
            refusal,
            hint=f"This session is under grant {limits.grant_id}. Ask for one that has it all: "
            f'daypass request {limits.place} {refusal.asks} --reason "…"',
        )

    def _elsewhere(self, text: str) -> OtherGrant | None:
        """Return another grant of the same person that has all that a denied text needs."""
        others = self._talk.limits.others
        # Reading a text takes time that others of the process wait for.
        if not others or len(text) > APART_BYTES:
            return None
        clock = self._talk.clock
        began = clock()
        found = None
        for each in others:
            if clock() - began > _ELSEWHERE_S:
                break
            if would_take(text, each.plan):
                found = each
                break
        self.spent_s += clock() - began
        return found

    def _refuse_query(self, refusal: Refusal, text: str, reading: Reading | None) -> bool:
        talk = self._talk
        talk.refuse(refusal, text, reading)
        talk.queue.append(Entry(QUERY, reading, refusal=refusal))
        talk.epoch += 1
        self.out.append(FAILING_QUERY)
        return True

    def _refuse_step(self, refusal: Refusal, reading: Reading) -> bool:
        talk = self._talk
        talk.refuse(refusal, reading.text, reading)
        talk.queue.append(Entry(PARSE, reading, refusal=refusal))
        self.out.append(FAILING_PARSE)
        return True


def _unknown_statement(key: bytes) -> Reading:
    """Read a statement that was not prepared in sight; most often the server knows it as little."""
    if not key:
        return Reading("")
    text = f"EXECUTE {quote_schema(key.decode('utf-8', 'replace'))}"
    return Reading(text, statement_facts(text))
