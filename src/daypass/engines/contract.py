"""What operations and shells know of an engine; one suite tests that every engine obeys it.

A plan goes through `compile` (pure) → `apply` → `verify`; sessions are opened under an applied plan
and closed by `close`; `remove_scope` takes away what `apply` made. Every call on a `Target` is
idempotent, may be repeated after a crash at any point, and ends in the same state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from daypass.domain.catalog import Catalog, RelationName
from daypass.domain.exposure import Exposure
from daypass.domain.ids import ScopeHash
from daypass.domain.scope import LeftOut, RowFilter, Scope
from daypass.domain.secret import Secret
from daypass.domain.statement_class import StatementClass


@dataclass(frozen=True, slots=True)
class TargetAddress:
    """Where an instance is and how its admin signs in; `options` are the engine's own parameters.

    `installation` marks what this Daypass makes there, so that two never clean up after each other.
    """

    host: str
    port: int
    admin_user: str
    admin_password: Secret
    installation: str
    admin_database: str = ""
    tls_mode: str = "prefer"
    options: Mapping[str, str] = field(default_factory=dict)


class Plan(Protocol):
    """What makes one database obey a scope; made by `Engine.compile`, opaque to everybody else."""

    @property
    def scope_hash(self) -> ScopeHash:
        """Return the content address: equal plans have equal hashes, on one database."""

    @property
    def database(self) -> str:
        """Return the database's name on its instance."""

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Return what the scope asked for and does not get, with reasons."""

    @property
    def blocked(self) -> tuple[Exposure, ...]:
        """Return exposures that deny every session under this plan until mended or accepted."""

    @property
    def given(self) -> Mapping[RelationName, frozenset[StatementClass]]:
        """Return the relations that sessions get, with what they may do with each."""

    @property
    def opens_nothing(self) -> bool:
        """Say whether all that the scope asked for is left out: a session could do nothing."""

    @property
    def timed_by_gateway(self) -> frozenset[StatementClass]:
        """Return the classes that end by termination alone."""

    def describe(self) -> tuple[str, ...]:
        """Return the statements it will run, in order, for people to read."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What the database says of an applied plan; `problems` is empty when it holds."""

    problems: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """One session to open: `account` is its name on the target, `deadline` by the store's clock.

    `settings` are session settings; `connection_limit` matters to direct credentials alone.
    """

    account: str
    deadline: datetime
    application: str = "daypass"
    settings: tuple[tuple[str, str], ...] = ()
    connection_limit: int = 1


@dataclass(frozen=True, slots=True)
class DirectCredential:
    """A credential shown once; it ends with the grant."""

    host: str
    port: int
    database: str
    user: str
    password: Secret
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of a result: its name and the engine's type name."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class StatementResult:
    """The end of one statement: rows as text (None is NULL), at most as many as asked for.

    `sqlstate` and `error` are set when the server refused it; `row_count` is the server's own.
    `lost` says that the session itself ended under it: what became of a write is not known.
    """

    columns: tuple[ResultColumn, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    row_count: int = 0
    truncated: bool = False
    command: str = ""
    notices: tuple[str, ...] = ()
    sqlstate: str = ""
    error: str = ""
    hint: str = ""
    error_position: int | None = None
    duration_s: float = 0.0
    size_bytes: int = 0
    lost: bool = False


class Session(Protocol):
    """One open connection to a target as a session account."""

    @property
    def account(self) -> str:
        """Return the account's name on the target."""

    @property
    def backend_id(self) -> int:
        """Return the server's own number of the connection."""

    async def execute(
        self,
        statement: str,
        *,
        parameters: Sequence[str | None] = (),
        max_rows: int = 1000,
        max_bytes: int | None = None,
        timeout_s: float | None = None,
    ) -> StatementResult:
        """Run one statement as it is; a cancelled call cancels the server's work.

        Rows past `max_rows`, or past `max_bytes` of values, are not kept: `truncated` says so.
        """

    async def cancel(self) -> None:
        """Cancel the running statement, if any."""

    async def aclose(self) -> None:
        """Close the connection; the account stays until `Target.close`."""


@dataclass(frozen=True, slots=True)
class Closure:
    """What was seen when accounts were closed, by the store's clock (UTC).

    `closed_at`: no login, no backend, no membership left. `removed_at`: nothing left at all.
    `terminated` counts backends, `rolled_back` prepared transactions, `dropped` objects they owned;
    `probes` says in words what was looked for and found gone; `missing` lists what is still there.
    """

    accounts: tuple[str, ...]
    closed_at: datetime | None
    removed_at: datetime | None
    terminated: int = 0
    rolled_back: int = 0
    dropped: int = 0
    probes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountSeen:
    """What an account can do now: `deadline` is by the target's clock, None for never.

    `scopes` are those it is a member of; `excess` says in words what it has that no account is
    ever given.
    """

    can_login: bool
    deadline: datetime | None
    scopes: frozenset[ScopeHash]
    excess: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """What of this Daypass exists on a target now: accounts, scopes, and backends per account."""

    accounts: Mapping[str, AccountSeen]
    scopes: frozenset[tuple[str, ScopeHash]]
    """(database, hash) of every scope with anything left of it."""
    backends: Mapping[str, tuple[int, ...]]
    """The server's number of each connection; what works for one in parallel is not another."""
    strangers: tuple[str, ...] = ()
    """Things named like ours that are not: shown, never touched."""


@dataclass(frozen=True, slots=True)
class StandingLogin:
    """A login that exists without any grant; `score` is how much it could do (0 to 100)."""

    name: str
    kind: str
    """`human`, `program`, `admin` or `system`, as far as names and activity tell."""
    score: int
    privileges: tuple[str, ...]
    last_seen: datetime | None
    reasons: tuple[str, ...]


class Target(Protocol):
    """One instance, reached with its admin credential."""

    async def check_admin(self, database: str) -> tuple[Exposure, ...]:
        """List rights the admin credential lacks or has too many of, with the SQL to mend it."""

    async def databases(self) -> tuple[str, ...]:
        """List the databases of the instance."""

    async def read_catalog(self, database: str) -> Catalog:
        """Read one database's catalog in one snapshot."""

    async def sample(
        self, database: str, relation: RelationName, columns: Sequence[str], rows: int
    ) -> tuple[tuple[str | None, ...], ...]:
        """Read up to `rows` rows of some columns as text, to suggest tags; nothing is kept."""

    async def clock_offset(self) -> timedelta:
        """Return the target's clock minus this machine's."""

    async def apply(self, plan: Plan) -> None:
        """Make what the plan describes; a second call finds it made."""

    async def verify(self, plan: Plan) -> Verified:
        """Ask the database for the privileges sessions under the plan really have."""

    async def remove_scope(self, database: str, scope_hash: ScopeHash) -> None:
        """Take away what `apply` made; sessions still under it lose their access."""

    async def open_session(self, plan: Plan, spec: SessionSpec) -> Session:
        """Make the account, sign in as it, and take its login away again.

        Raises `Unavailable` when the target cannot be reached and `Conflict` when somebody else was
        found signed in as the account (they are terminated).
        """

    async def issue_credential(self, plan: Plan, spec: SessionSpec) -> DirectCredential:
        """Make an account that keeps its login until the deadline, for a client of its own."""

    async def set_deadline(self, accounts: Sequence[str], deadline: datetime) -> None:
        """Move the deadline of existing accounts, inside the database."""

    async def terminate(self, accounts: Sequence[str]) -> int:
        """End every backend of the accounts; return how many there were."""

    async def close(self, accounts: Sequence[str]) -> Closure:
        """Revoke the accounts for good, however their sessions resist, and prove it."""

    async def inventory(self) -> Inventory:
        """List what of this Daypass exists on the instance, in every database."""

    async def standing_logins(self) -> tuple[StandingLogin, ...]:
        """Score every login that exists without a grant."""

    async def aclose(self) -> None:
        """Close the admin connections."""


class Verdict(StrEnum):
    """Whether a statement may be sent under a scope."""

    FORWARD = "forward"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class StatementFacts:
    """What one statement does, from its text alone.

    `fingerprint` is equal for statements that differ in literals only. `functions` are names as
    written. Unqualified relations have an empty schema.
    """

    text: str
    classes: frozenset[StatementClass]
    read: frozenset[RelationName]
    written: frozenset[RelationName]
    functions: frozenset[str]
    command: str
    fingerprint: str = ""
    unsafe: str = ""
    """Why a session may never send it (changes role, session guard, …); empty if it may."""


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text ready to forward under a plan, or the reason it is denied."""

    verdict: Verdict
    statements: tuple[StatementFacts, ...]
    text: str = ""
    code: str = ""
    reason: str = ""
    missing: tuple[RelationName, ...] = ()
    """Relations it names that the scope does not have: what to request."""
    missing_classes: frozenset[StatementClass] = frozenset()
    shifts: tuple[tuple[int, int], ...] = ()
    """(offset in characters of the original, characters added there), for error positions."""


class Engine(Protocol):
    """One kind of database server."""

    @property
    def name(self) -> str:
        """Return the engine's name as instances carry it."""

    @property
    def default_port(self) -> int:
        """Return the port used when an instance names none."""

    def connect(self, address: TargetAddress) -> Target:
        """Return a target; nothing is connected until it is used."""

    def compile(
        self,
        scope: Scope,
        catalog: Catalog,
        database: str,
        accepted: frozenset[str] = frozenset(),
    ) -> Plan:
        """Turn a scope into a plan: pure, deterministic; `accepted` are keys of exposures."""

    def exposures(
        self, catalog: Catalog, sensitive: frozenset[RelationName]
    ) -> tuple[Exposure, ...]:
        """List the ways around that the catalog shows: pure."""

    def check_row_filter(
        self, row_filter: RowFilter, relation: RelationName, catalog: Catalog, *, narrowing: bool
    ) -> str | None:
        """Say what is wrong with a row filter, or None.

        A `narrowing` one comes from a request: comparisons of columns with literals only.
        """

    def statement_facts(self, text: str) -> tuple[StatementFacts, ...]:
        """Read a text of one or more statements. Raises `Invalid` when it cannot be parsed."""

    def prepare(self, text: str, plan: Plan) -> PreparedText:
        """Decide whether a text may run under a plan, and put the plan's names into it."""
