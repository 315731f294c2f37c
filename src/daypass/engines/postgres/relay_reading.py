"""What a relay knows of a text: whether it may be sent, as what, and what it does to the session.

Values alone; `relay_judge` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from daypass.domain.catalog import RelationName
from daypass.engines.contract import StatementFacts
from daypass.engines.postgres.wire.server_messages import Report

INSUFFICIENT_PRIVILEGE = "42501"
FEATURE_NOT_SUPPORTED = "0A000"
LIMIT_EXCEEDED = "53400"
TOO_LARGE = "54000"
NOT_RECORDED = "58030"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something of a client is not sent on, as the client is told.

    `code` is for the audit log; `position` counts characters of the text, from 1. `asks` are the
    options of `daypass request` for what all of the text needs, where asking would help.
    """

    code: str
    message: str
    sqlstate: str = INSUFFICIENT_PRIVILEGE
    hint: str = ""
    position: int | None = None
    asks: str = ""

    def response(self) -> bytes:
        """Return the message that tells the client."""
        report = Report.of(
            "ERROR", self.sqlstate, self.message, hint=self.hint, position=self.position
        )
        return report.build()


@dataclass(frozen=True, slots=True)
class NameEffect:
    """What one statement of a text does with the names of prepared statements.

    `place` is the statement's in its text, from 0; `deallocates` is None where it does not, empty
    for all of them.
    """

    place: int
    prepares: str = ""
    executes: str = ""
    deallocates: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as a session may send it.

    `spliced` is the Query that goes instead of it, None where it goes as it came. `copies_in`
    counts COPY FROM STDIN; `made` are temporary tables; `read` full names of relations it reads;
    `guarded` says that a parameter of it may be compared with a masked column; `setting` that it
    does no more than to begin and end transactions or to set what drivers set.
    """

    text: str
    statements: tuple[StatementFacts, ...] = ()
    refusal: Refusal | None = None
    spliced: bytes | None = None
    shifts: tuple[tuple[int, int], ...] = ()
    effects: tuple[NameEffect, ...] = ()
    copies_in: int = 0
    made: frozenset[str] = frozenset()
    read: frozenset[RelationName] = frozenset()
    guarded: bool = False
    setting: bool = False
    origin: str = ""
    """`copy` for what copies rows from or to the client, else empty."""
