"""A relay between two scripts: what a client sends and what a server answers are given as bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from daypass.domain.catalog import Column, RelationKind, RelationName
from daypass.domain.errors import Unavailable
from daypass.domain.ids import ScopeHash
from daypass.domain.masks import FullMask
from daypass.domain.statement_class import StatementClass
from daypass.engines.postgres.plan import PlannedColumn, PlannedRelation, PostgresPlan
from daypass.engines.postgres.relay import PostgresRelay
from daypass.engines.postgres.relay_judge import ReadsApart
from daypass.engines.postgres.statement_decision import SessionScope
from daypass.engines.postgres.wire.body import message
from daypass.engines.postgres.wire.client_messages import (
    COPY_DONE,
    FLUSH,
    SYNC,
    TERMINATE,
    Bind,
    Close,
    CopyData,
    CopyFail,
    Describe,
    Execute,
    Parse,
    Query,
)
from daypass.engines.postgres.wire.server_messages import (
    BIND_COMPLETE,
    CLOSE_COMPLETE,
    EMPTY_QUERY,
    NO_DATA,
    PARSE_COMPLETE,
    PORTAL_SUSPENDED,
    CommandComplete,
    CopyResponse,
    DataRow,
    NotificationResponse,
    ParameterStatus,
    ReadyForQuery,
    Report,
    RowDescription,
)
from daypass.engines.relay_contract import Ended, Refused, RelayLimits, Started

__all__ = [
    "BIND_COMPLETE",
    "CLOSE_COMPLETE",
    "COPY_DONE",
    "EMPTY_QUERY",
    "FLUSH",
    "NO_DATA",
    "PARSE_COMPLETE",
    "PORTAL_SUSPENDED",
    "SYNC",
    "TERMINATE",
    "Bind",
    "Close",
    "CopyData",
    "CopyFail",
    "CopyResponse",
    "Describe",
    "Execute",
    "NotificationResponse",
    "ParameterStatus",
    "Parse",
    "Query",
    "Talk",
    "bind",
    "complete",
    "copy_in",
    "error",
    "execute",
    "messages",
    "parse",
    "query",
    "ready",
    "row",
]


def _classes(words: str) -> frozenset[StatementClass]:
    return frozenset(StatementClass(word) for word in words.split())


_WORK = _classes("explain select insert update delete copy_in export")
_ORDERS = RelationName("sales", "orders")
_CUSTOMERS = RelationName("sales", "customers")
_SCOPE_HASH = ScopeHash("0123456789abcdef")
_VIEWS = "dp_v_0123456789abcdef_sales"


def _relation(name: RelationName, columns: str, masked: str) -> PlannedRelation:
    planned = tuple(
        PlannedColumn(
            Column(each, place, "text", "text"), FullMask() if each == masked else None, "text"
        )
        for place, each in enumerate(columns.split(), 1)
    )
    view = RelationName(_VIEWS, name.name)
    return PlannedRelation(name, RelationKind.TABLE, "owner", view, _WORK, frozenset(), planned, ())


def plan() -> PostgresPlan:
    """Return a plan for sales.orders and sales.customers, whose column `email` is masked."""
    scope = SessionScope(
        relation_classes=dict.fromkeys((_ORDERS, _CUSTOMERS), _WORK),
        classes=_WORK,
        view_schema_of={"sales": _VIEWS},
        search_path=("sales", "public"),
        known_relations=frozenset({_ORDERS, _CUSTOMERS, RelationName("sales", "secret")}),
        filtered=frozenset({_CUSTOMERS}),
    )
    return PostgresPlan(
        scope_hash=_SCOPE_HASH,
        database="shop",
        classes=_WORK,
        relations=(
            _relation(_ORDERS, "id total note", ""),
            _relation(_CUSTOMERS, "id email name", "email"),
        ),
        view_schemas=(("sales", _VIEWS),),
        granted_schemas=(),
        usable_schemas=("sales", "public"),
        guarded=(),
        owners=(),
        heir=None,
        callable=(),
        settings=(),
        native_role=None,
        left_out=(),
        blocked=(),
        timed_by_gateway=frozenset(),
        accepted_open=frozenset(),
        session_scope=scope,
    )


PLAN = plan()


@dataclass
class Talk:
    """A relay, and what came out of it: bytes for both sides, and the records in their order."""

    limits: RelayLimits = field(default_factory=RelayLimits)
    full: bool = False
    """Whether nothing can be written down."""
    apart: ReadsApart | None = None

    def __post_init__(self) -> None:
        self.server = bytearray()
        self.client = bytearray()
        self.log: list[Started | Refused | tuple[int, Ended]] = []
        self.cancels = 0
        self.closed: list[str] = []
        self.seconds = 0.0
        self.numbers = 0
        self.set_aside: list[Callable[[], Awaitable[None]] | None] = []
        self.relay = PostgresRelay(
            PLAN, self, self.limits, self._clock, self._now, apart=self.apart
        )

    def to_server(self, data: bytes | memoryview) -> None:
        """Keep what goes to the server."""
        assert not self.closed
        self.server += data

    def to_client(self, data: bytes | memoryview) -> None:
        """Keep what goes to the client."""
        assert not self.closed
        self.client += data

    def started(self, statement: Started) -> int:
        """Keep a start."""
        if self.full:
            raise Unavailable("the journal is full", next_step="make room")
        self.log.append(statement)
        self.numbers += 1
        return self.numbers

    def refused(self, statement: Refused) -> None:
        """Keep a refusal."""
        self.log.append(statement)

    def ended(self, number: int, end: Ended) -> None:
        """Keep an end."""
        assert number not in [each[0] for each in self.log if isinstance(each, tuple)]
        assert 1 <= number <= self.numbers
        self.log.append((number, end))

    def cancel(self) -> None:
        """Count the wish to cancel."""
        self.cancels += 1

    def aside(self, work: Callable[[], Awaitable[None]] | None) -> None:
        """Keep what is to be done elsewhere."""
        self.set_aside.append(work)

    def over(self, reason: str) -> None:
        """Keep the reason of the end."""
        assert not self.closed
        self.closed.append(reason)

    def says(self, *sent: bytes) -> bytes:
        """Let the client send, and return what the server gets of it."""
        self.server.clear()
        self.relay.from_client(b"".join(sent))
        return bytes(self.server)

    def answers(self, *sent: bytes) -> bytes:
        """Let the server send, and return what the client gets of it."""
        self.client.clear()
        self.relay.from_server(b"".join(sent))
        return bytes(self.client)

    @property
    def starts(self) -> list[Started]:
        """Return the starts so far."""
        return [each for each in self.log if isinstance(each, Started)]

    @property
    def refusals(self) -> list[Refused]:
        """Return the refusals so far."""
        return [each for each in self.log if isinstance(each, Refused)]

    @property
    def ends(self) -> dict[int, Ended]:
        """Return the ends so far by number."""
        return {each[0]: each[1] for each in self.log if isinstance(each, tuple)}

    def _clock(self) -> float:
        self.seconds += 0.001
        return self.seconds

    def _now(self) -> datetime:
        return datetime(2026, 11, 21, 12, tzinfo=UTC)


def query(text: str) -> bytes:
    """Return a Query."""
    return Query(text).build()


def parse(text: str, name: str = "") -> bytes:
    """Return a Parse."""
    return Parse(name, text).build()


def bind(*values: str | None, statement: str = "", portal: str = "") -> bytes:
    """Return a Bind with values as text."""
    encoded = tuple(None if each is None else each.encode() for each in values)
    return Bind(portal, statement, (), encoded).build()


def execute(portal: str = "", rows: int = 0) -> bytes:
    """Return an Execute."""
    return Execute(portal, rows).build()


def ready(status: str = "I") -> bytes:
    """Return a ReadyForQuery."""
    return ReadyForQuery(ord(status)).build()


def complete(tag: str) -> bytes:
    """Return a CommandComplete."""
    return CommandComplete(tag).build()


def row(*values: str) -> bytes:
    """Return a DataRow."""
    return DataRow(tuple(each.encode() for each in values)).build()


def error(sqlstate: str, text: str = "no", position: int | None = None) -> bytes:
    """Return an ErrorResponse as a server sends it."""
    return Report.of("ERROR", sqlstate, text, position=position).build()


def copy_in() -> bytes:
    """Return a CopyInResponse."""
    return CopyResponse("G", 0, (0,)).build()


def messages(data: bytes) -> list[bytes]:
    """Cut bytes into messages; they have to be whole."""
    found = []
    while data:
        end = 1 + int.from_bytes(data[1:5], "big")
        assert end <= len(data)
        found.append(data[:end])
        data = data[end:]
    return found


def fields(data: bytes) -> dict[str, str]:
    """Return the fields of the one ErrorResponse in these bytes."""
    reports = [Report.read(each) for each in messages(data) if each[:1] == b"E"]
    assert len(reports) == 1
    return {letter: value.decode() for letter, value in reports[0].fields}


ROWS = RowDescription(()).build()
BAD = message(b"p", b"x\0")
