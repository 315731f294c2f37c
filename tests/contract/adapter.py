"""What the contract suite asks of an engine's own half: a server, samples, and its dialect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

import pytest

from daypass.domain.catalog import RelationName
from daypass.engines.contract import DirectCredential, Engine, TargetAddress

Rows = list[tuple[str | None, ...]]


class Why(StrEnum):
    """Why a server refused a statement or a connection."""

    DENIED = "denied"
    """The account lacks the privilege, or cannot even see what it named."""
    ENDED = "grant ended"
    OUTSIDE = "outside of the row filter"
    NOT_WRITABLE = "a masked column cannot be written"
    CUT = "the connection is gone"
    CANCELED = "canceled"
    BROKEN = "the statement makes no sense"


class Refused(Exception):
    """A server refused something of a client's own."""

    def __init__(self, why: Why | None, text: str) -> None:
        super().__init__(text)
        self.why = why


class Client(Protocol):
    """A connection of somebody's own, such as the holder of a direct credential."""

    def run(self, statement: str) -> Rows:
        """Run one statement; return its rows as text. Raises `Refused`."""

    def close(self) -> None:
        """Close the connection."""


class Dialect(Protocol):
    """Statements that engines write differently."""

    sleep: str
    """Takes a minute and returns one row."""
    series: str
    """Returns the numbers from 1 to 1000, one to a row, in order."""
    fails: str
    """Fails while it runs."""
    nonsense: str
    """Does not parse."""
    leave_things: Sequence[str]
    """What a session does so as to own something, to hold locks and to change its own account."""


class EngineUnderTest(Protocol):
    """An engine, a server of its with a small database, and means to look at both from outside.

    The database has, in `schema`, `customers (id, name, email, region, born, salary)` with 100
    rows, of which row n is `Name n`, `user<n>@example.com`, region EU if n is even and US if not,
    born n days after New Year 1990, with a salary of 1000.5 + n; and `notes (id, customer, body)`
    with 10 rows.
    """

    engine: Engine
    database: str
    schema: str
    dialect: Dialect

    def address(self, installation: str = "test") -> TargetAddress:
        """Return where the server is and how Daypass's admin signs in."""

    def account(self) -> str:
        """Return a name for a session's account that was not used before."""

    def owner(self, statement: str) -> Rows:
        """Run a statement as the owner of the customer's relations."""

    def client(self, credential: DirectCredential) -> Client:
        """Connect with a direct credential. Raises `Refused`."""

    def why(self, code: str) -> Why | None:
        """Say what an error code of the server's means, if it is one the suite knows."""

    def exists(self, account: str) -> bool:
        """Say whether an account of that name exists."""

    def make_stranger(self) -> str:
        """Make something named like Daypass's accounts that is not its own; return its name."""

    def drop_stranger(self, name: str) -> None:
        """Drop it."""

    def footprint(self) -> frozenset[tuple[object, ...]]:
        """Return every row of the server's catalog that Daypass could have changed."""

    def relation(self, name: str) -> RelationName:
        """Return a relation's name."""


class Place(Protocol):
    """One kind and version of server to run the suite on."""

    name: str

    def start(self) -> AbstractContextManager[Place]:
        """Start the server. Skips the test where this machine lacks it."""

    def fresh(self) -> AbstractContextManager[EngineUnderTest]:
        """Make a database with the samples, and clean up after it."""


class Places(Protocol):
    """What each module in `engines/` defines under the name `places`."""

    def __call__(self, config: pytest.Config) -> Iterable[Place]:
        """Return the places of an engine, by the command line's choice."""
