"""PostgreSQL as Daypass sees it."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

from daypass.domain.catalog import Catalog, RelationName
from daypass.domain.exposure import Exposure
from daypass.domain.scope import RowFilter, Scope
from daypass.engines.contract import Plan, PreparedText, StatementFacts, TargetAddress, Verdict
from daypass.engines.postgres.admin import OnStep
from daypass.engines.postgres.compile import compile_scope
from daypass.engines.postgres.exposures import exposures
from daypass.engines.postgres.filters import check_row_filter
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.read_apart import apart_reader
from daypass.engines.postgres.relay import PostgresRelay
from daypass.engines.postgres.statements import prepare_under, statement_facts
from daypass.engines.postgres.target import PostgresTarget, own_plan
from daypass.engines.postgres.wire.greeting import PostgresGreeting
from daypass.engines.relay_contract import Line, RelayLimits, RelayPorts

_SHORT_TEXT = 4096


class PostgresEngine:
    """The engine; see `Engine` of the contract.

    `on_step` is told the name of each step on a target just before its statement is sent.
    """

    def __init__(self, on_step: OnStep | None = None) -> None:
        self._on_step = on_step

    @property
    def name(self) -> str:
        """Return the engine's name as instances carry it."""
        return "postgres"

    @property
    def default_port(self) -> int:
        """Return the port used when an instance names none."""
        return 5432

    def connect(self, address: TargetAddress) -> PostgresTarget:
        """Return a target; nothing is connected until it is used."""
        return PostgresTarget(address, self._on_step)

    @property
    def alpn(self) -> str:
        """Return the protocol's name in ALPN."""
        return "postgresql"

    def greeting(self, *, tls: str) -> PostgresGreeting:
        """Begin with a client; `tls` is `required`, `offered` or `none`."""
        return PostgresGreeting(tls=tls, nonce=secrets.token_urlsafe(24))

    def relay(
        self, plan: Plan, line: Line, ports: RelayPorts, limits: RelayLimits
    ) -> PostgresRelay:
        """Begin to relay between a client that was let in and its line."""
        del line
        return PostgresRelay(
            own_plan(plan),
            ports,
            limits,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            apart=apart_reader().read,
        )

    def compile(
        self,
        scope: Scope,
        catalog: Catalog,
        database: str,
        accepted: frozenset[str] = frozenset(),
    ) -> PostgresPlan:
        """Turn a scope into a plan: pure, deterministic; `accepted` are keys of exposures."""
        return compile_scope(scope, catalog, database, accepted)

    def exposures(
        self, catalog: Catalog, sensitive: frozenset[RelationName]
    ) -> tuple[Exposure, ...]:
        """List the ways around that the catalog shows: pure."""
        return exposures(catalog, sensitive)

    def check_row_filter(
        self, row_filter: RowFilter, relation: RelationName, catalog: Catalog, *, narrowing: bool
    ) -> str | None:
        """Say what is wrong with a row filter, or None."""
        return check_row_filter(row_filter, relation, catalog, narrowing=narrowing)

    def statement_facts(self, text: str) -> tuple[StatementFacts, ...]:
        """Read a text of one or more statements. Raises `Invalid` when it cannot be parsed."""
        return statement_facts(text)

    def prepare(self, text: str, plan: Plan) -> PreparedText:
        """Decide whether a text may run under a plan, and put the plan's names into it."""
        known = own_plan(plan)
        scope = known.session_scope
        if len(text) <= _SHORT_TEXT or scope.answers.get(text) is not None:
            return prepare_under(text, scope)
        # Whoever calls waits in a thread: there it would hold up everybody by the interpreter's
        # lock.
        found = apart_reader().prepare(text, known)
        if found.verdict is Verdict.FORWARD:
            scope.answers.put(text, found)
        return found
