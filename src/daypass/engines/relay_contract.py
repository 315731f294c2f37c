"""What the gateway knows of an engine's own protocol: it moves bytes, the engine reads them.

`Greeting` and `Relay` are without I/O, as h11 is: bytes go in, bytes and events come out, and the
same bytes give the same events however they were cut. `Line` is a connection to a target that has
signed in as a session's account. Nothing here awaits; whoever drives it owns sockets and time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from daypass.domain.errors import Error
from daypass.domain.limits import ExactStatement, Parameters
from daypass.engines.contract import Plan, SessionSpec, StatementFacts

# Until a client is let in


@dataclass(frozen=True, slots=True)
class Hello:
    """Who a client says it is; nobody has believed it yet.

    `database` is `instance/database`; `asked` holds its `daypass.*` options without the prefix
    (`grant`, `reason`, `wait`), `settings` whatever else it wants set in its session.
    """

    user: str
    database: str
    application: str
    asked: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[tuple[str, str], ...] = ()
    replication: bool = False


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What a proof is tried against: the keys of RFC 5802 for one access token."""

    stored_key: bytes
    server_key: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Start TLS now; the client is told by what is outgoing.

    `direct`: it began by itself, and what was received is for TLS; it has to agree on ALPN.
    """

    direct: bool = False


@dataclass(frozen=True, slots=True)
class Identified:
    """The client has said who it is: answer with `Greeting.challenge`."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Proven:
    """The client holds the access token of that verifier: answer with `admit` or `refuse`."""

    verifier: int


@dataclass(frozen=True, slots=True)
class Unproven:
    """The client's proof fits none of the verifiers: answer with `refuse`."""


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """The client wants the statement cancelled that runs under this key; it gets no answer.

    The key has as much of the one given to `admit` as the client could keep: its first 8 bytes, or
    all. Close once the cancel was sent: clients wait for that.
    """

    key: bytes


@dataclass(frozen=True, slots=True)
class Gone:
    """It is over: send what is outgoing, then close. `reason` is for the log."""

    reason: str


GreetingEvent = StartTls | Identified | Proven | Unproven | CancelAsked | Gone


class Greeting(Protocol):
    """What is said with a client until it is let in; bounded in bytes, whatever it sends."""

    def receive(self, data: bytes) -> tuple[GreetingEvent, ...]:
        """Take bytes of the client; never raises for what they are."""

    def outgoing(self) -> bytes:
        """Take the bytes to send to the client now, empty if none."""

    def tls_started(self, certificate: bytes) -> None:
        """Go on over TLS; `certificate` is ours in DER, for the channel binding."""

    def challenge(self, salt: bytes, iterations: int, verifiers: Sequence[ScramVerifier]) -> None:
        """Ask for a proof; with no verifiers it is asked for all the same, and fits none."""

    def notice(self, text: str, detail: str = "") -> None:
        """Tell a client something while it waits to be let in, after its proof."""

    def refuse(self, error: Error) -> None:
        """Say why it is not let in; then it is over."""

    def admit(self, line: Line, key: bytes, notices: Sequence[str]) -> bytes:
        """Let it in with the server's own parameters and our key to cancel by.

        Returns what it has sent already: the relay's first bytes.
        """


# The connection to a target


class Line(Protocol):
    """A connection to a target, signed in as a session's account, with nothing running on it.

    Its transport is paused and has a protocol that drops what comes; whoever takes it sets another
    and resumes reading. `reserved` are bytes the server has sent beyond its greeting.
    """

    @property
    def transport(self) -> asyncio.Transport:
        """Return the connection, TLS and all."""

    @property
    def backend_id(self) -> int:
        """Return the server's own number of the connection."""

    @property
    def account(self) -> str:
        """Return the account's name on the target."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """Return what the server said of its settings as it let the account in, in its order."""

    @property
    def reserved(self) -> bytes:
        """Return what came after the server was ready."""

    async def cancel(self) -> None:
        """Have the server cancel what runs on it, over a connection of its own."""


@runtime_checkable
class RelayTarget(Protocol):
    """What a target does beyond `Target`, where its engine's own protocol can be relayed."""

    async def dial(
        self, plan: Plan, spec: SessionSpec, settings: Sequence[tuple[str, str]]
    ) -> Line:
        """Do as `open_session` does, and leave the connection to whoever relays.

        `settings` are the client's own; those a session may not set are left out.
        """


# The relay


@dataclass(frozen=True, slots=True)
class Started:
    """A statement about to be forwarded; what an entry says of it.

    `parameters` are those bound to it, as text: one sent in binary is written as its bytes
    (`\\x0000002a`), None is NULL. They may be kept only as `keep` says: it is `HASH` too where the
    rule says `FULL` and one may be compared with a masked column. With `NONE` there are none.
    `origin` is `simple`, `extended`, `execute` (of a prepared one) or `copy`.
    """

    text: str
    statements: tuple[StatementFacts, ...]
    parameters: tuple[str | None, ...] = ()
    origin: str = "simple"
    keep: Parameters = Parameters.FULL


@dataclass(frozen=True, slots=True)
class Refused:
    """A statement that is not forwarded, and why."""

    text: str
    statements: tuple[StatementFacts, ...]
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a statement ended: `rows` and `size_bytes` as they went to the client."""

    outcome: str
    """`done`, `failed`, `cancelled` (by a user), `lost` (the server went away), `skipped` (never
    run: something before it in its pipeline failed)."""
    rows: int = 0
    size_bytes: int = 0
    duration_us: int = 0
    sqlstate: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class OtherGrant:
    """A grant that another session could be opened under."""

    grant_id: int
    deadline: datetime
    plan: Plan


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """What one session may do; None is no limit.

    A message of more than `message_bytes` that has to be read whole is refused. Rows and bytes are
    counted per statement: at the limit it is cancelled and the client told which rule says so.
    """

    message_bytes: int = 64 * 2**20
    statement_timeout_s: float | None = None
    rows: int | None = None
    size_bytes: int | None = None
    parameters: Parameters = Parameters.FULL
    exact: tuple[ExactStatement, ...] = ()
    """The only ones that may be sent, of an exact-statement grant; else none. Space around a text
    and semicolons behind it make no difference, nothing else. Fixed values are sent as they were
    approved, as text, where the client's mean the same."""
    place: str = "INSTANCE/DATABASE"
    """What the database is asked for as, and the grant's number: for what denials say."""
    grant_id: int = 0
    others: tuple[OtherGrant, ...] = ()
    """Of the same person on the same database, as they were when the session began."""


class RelayPorts(Protocol):
    """What a relay has done for it. All calls are made in the order things happen."""

    def to_server(self, data: bytes | memoryview) -> None:
        """Send bytes to the server."""

    def to_client(self, data: bytes | memoryview) -> None:
        """Send bytes to the client."""

    def started(self, statement: Started) -> int:
        """Write a statement down before it is forwarded, and return its number.

        Raises `Unavailable` when it cannot be written down: then it is not forwarded (I4).
        """

    def refused(self, statement: Refused) -> None:
        """Write a refusal down."""

    def ended(self, number: int, end: Ended) -> None:
        """Write down how a statement ended."""

    def cancel(self) -> None:
        """Have what runs on the server cancelled, soon."""

    def aside(self, work: Callable[[], Awaitable[None]] | None) -> None:
        """Let others have their turn, and work that takes long be done; then call `taken_up`."""

    def over(self, reason: str) -> None:
        """Close both ends once what was sent is sent: the client left, or spoke what it may not."""


class Relay(Protocol):
    """What goes on between a client that was let in and its session: every message is known."""

    def from_client(self, data: bytes) -> None:
        """Take bytes of the client."""

    def from_server(self, data: bytes) -> None:
        """Take bytes of the server."""

    def server_gone(self) -> None:
        """Note that the server closed the connection: the client is told, what ran is `lost`."""

    def client_gone(self) -> None:
        """Note that the client closed the connection."""

    def tell(self, text: str, detail: str = "") -> None:
        """Give the client a notice as soon as one may stand between two messages."""

    def end(self, error: Error) -> None:
        """End the session: the client gets the error at its place in the protocol, then `over`."""

    def stop_statement(self, reason: str) -> None:
        """Have what runs cancelled, and the client told this reason instead of the server's."""

    def hold(self) -> None:
        """Let nothing more go to the server, from the next message on."""

    def resume(self) -> None:
        """Let what waited go on."""

    def taken_up(self) -> None:
        """Go on with what was set aside by `RelayPorts.aside`, which is done."""

    @property
    def held(self) -> bool:
        """Say whether messages of the client wait: no more of it is read until they do not.

        It changes in `from_client`, `from_server`, `hold`, `resume` and `taken_up` alone.
        """

    @property
    def running(self) -> tuple[str, datetime] | None:
        """Return the text that runs now and since when, if one does."""

    @property
    def idle(self) -> bool:
        """Say whether nothing runs and no transaction is open: where a drain may end it."""


@runtime_checkable
class RelayEngine(Protocol):
    """What an engine does beyond `Engine`, where its own protocol can be relayed."""

    @property
    def alpn(self) -> str:
        """Return the protocol's name in ALPN, for clients that begin with TLS at once."""

    def greeting(self, *, tls: str) -> Greeting:
        """Begin with a client; `tls` is `required`, `offered` or `none`."""

    def relay(self, plan: Plan, line: Line, ports: RelayPorts, limits: RelayLimits) -> Relay:
        """Begin to relay between a client that was let in and its line."""
