"""One PostgreSQL instance, reached with its admin credential."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from daypass.domain.catalog import Catalog, RelationName
from daypass.domain.errors import Error, Invalid
from daypass.domain.exposure import Exposure
from daypass.domain.ids import ScopeHash
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import (
    Closure,
    DirectCredential,
    Inventory,
    Plan,
    SessionSpec,
    StandingLogin,
    TargetAddress,
    Verified,
)
from daypass.engines.postgres import accounts
from daypass.engines.postgres.admin import Admin, AdminConnection, OnStep
from daypass.engines.postgres.admin_rights import check_admin
from daypass.engines.postgres.apply import apply
from daypass.engines.postgres.catalog import read_catalog
from daypass.engines.postgres.dial import Dialler, session_settings
from daypass.engines.postgres.elsewhere import require_closed_elsewhere
from daypass.engines.postgres.inventory import databases, inventory
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.remove import remove_scope
from daypass.engines.postgres.revoke import Revoker
from daypass.engines.postgres.sampling import sample
from daypass.engines.postgres.session import PostgresSession
from daypass.engines.postgres.standing import standing_logins
from daypass.engines.postgres.verify import verify
from daypass.engines.postgres.wire_dial import PostgresLine, dial_line

OFFSET_KEPT_S = 60.0


class PostgresTarget:
    """One instance; see `Target` of the contract. Nothing is connected until it is used."""

    def __init__(self, address: TargetAddress, on_step: OnStep | None = None) -> None:
        self._address = address
        self._admin = Admin(address, on_step)
        self._revoker = Revoker(self._admin)
        self._dialler = Dialler(self._admin, self._revoker, self._type_names)
        self._types: dict[int, str] = {}
        self._offset: tuple[float, timedelta] | None = None

    async def databases(self) -> tuple[str, ...]:
        """List the databases of the instance that the admin can connect to."""
        return await self._admin.work(self._admin.database, databases)

    async def read_catalog(self, database: str) -> Catalog:
        """Read one database's catalog in one snapshot."""
        return await self._admin.work(database, lambda c: read_catalog(c.raw))

    async def check_admin(self, database: str) -> tuple[Exposure, ...]:
        """List rights the admin credential lacks or has too many of, with the SQL to mend it."""
        return await self._admin.work(database, lambda c: check_admin(c.raw, database))

    async def sample(
        self, database: str, relation: RelationName, columns: Sequence[str], rows: int
    ) -> tuple[tuple[str | None, ...], ...]:
        """Read up to `rows` rows of some columns as text; nothing is kept."""
        return await self._admin.work(database, lambda c: sample(c.raw, relation, columns, rows))

    async def standing_logins(self) -> tuple[StandingLogin, ...]:
        """Score every login that exists without a grant, by the database where it can do most."""
        most: dict[str, StandingLogin] = {}
        for database in await self.databases():
            for login in await self._admin.work(database, lambda c: standing_logins(c.raw)):
                if login.name not in most or login.score > most[login.name].score:
                    most[login.name] = login
        return tuple(sorted(most.values(), key=lambda login: (-login.score, login.name)))

    async def clock_offset(self) -> timedelta:
        """Return the target's clock minus this machine's, to half a round trip."""

        async def measure(connection: AdminConnection) -> timedelta:
            before = datetime.now(UTC)
            [(there,)] = await connection.run("read clock", "select clock_timestamp()")
            after = datetime.now(UTC)
            if not isinstance(there, datetime):
                return timedelta(0)
            return there - (before + (after - before) / 2)

        offset = await self._admin.work(self._admin.database, measure)
        self._offset = (time.monotonic(), offset)
        return offset

    async def apply(self, plan: Plan) -> None:
        """Make what the plan describes; a second call finds it made."""
        own = own_plan(plan)
        await self._admin.work(own.database, lambda c: apply(c, own, self._address.installation))

    async def verify(self, plan: Plan) -> Verified:
        """Ask the database for the privileges sessions under the plan really have."""
        own = own_plan(plan)
        return await self._admin.work(
            own.database, lambda c: verify(c, own, self._address.installation)
        )

    async def remove_scope(self, database: str, scope_hash: ScopeHash) -> None:
        """Take away what `apply` made; sessions still under it lose their access."""
        await self._admin.work(
            database, lambda c: remove_scope(c, scope_hash, self._address.installation)
        )

    async def open_session(self, plan: Plan, spec: SessionSpec) -> PostgresSession:
        """Make the account, sign in as it, and take its login away again."""
        return await self._dialler.open_session(own_plan(plan), spec, await self._clock_offset())

    async def dial(
        self, plan: Plan, spec: SessionSpec, settings: Sequence[tuple[str, str]]
    ) -> PostgresLine:
        """Do as `open_session` does, and leave the connection to whoever relays."""
        own = own_plan(plan)
        return await self._dialler.open_by(
            own,
            spec,
            await self._clock_offset(),
            lambda password: dial_line(self._address, own, spec, settings, password),
        )

    async def issue_credential(self, plan: Plan, spec: SessionSpec) -> DirectCredential:
        """Make an account that keeps its login until the deadline, for a client of its own.

        Raises `Invalid` for a plan with anything only the gateway can keep or end, and `Conflict`
        where the login would show something in another database.
        """
        own = own_plan(plan)
        kept_by_gateway = own.timed_by_gateway | (
            {StatementClass.EXPLAIN} if StatementClass.SELECT not in own.classes else set()
        )
        if kept_by_gateway:
            raise Invalid(
                "a direct credential cannot carry "
                + ", ".join(sorted(each.value for each in kept_by_gateway)),
                code="not_direct",
            )
        await require_closed_elsewhere(self._admin, own.database)
        password = await self._dialler.make_account(
            own, spec, await self._clock_offset(), direct=True
        )
        return DirectCredential(
            host=self._address.host,
            port=self._address.port,
            database=own.database,
            user=spec.account,
            password=password,
            settings=tuple(session_settings(own, spec)),
        )

    async def set_deadline(self, accounts_: Sequence[str], deadline: datetime) -> None:
        """Move the deadline of existing accounts, inside the database."""
        there = deadline + await self._clock_offset()
        await self._admin.work(
            self._admin.database, lambda c: accounts.set_deadline(c, accounts_, there)
        )

    async def terminate(self, accounts_: Sequence[str]) -> int:
        """End every backend of the accounts; return how many there were."""
        return await self._admin.work(
            self._admin.database, lambda c: accounts.terminate(c, accounts_)
        )

    async def close(self, accounts_: Sequence[str]) -> Closure:
        """Revoke the accounts for good, however their sessions resist, and prove it."""
        return await self._revoker.close(accounts_)

    async def inventory(self) -> Inventory:
        """List what of this Daypass exists on the instance, in every database."""
        return await inventory(self._admin)

    async def aclose(self) -> None:
        """Close the admin connections."""
        await self._admin.aclose()

    async def _clock_offset(self) -> timedelta:
        if self._offset is not None and time.monotonic() - self._offset[0] < OFFSET_KEPT_S:
            return self._offset[1]
        return await self.clock_offset()

    async def _type_names(self, database: str, oids: Sequence[int]) -> dict[int, str]:
        try:
            rows = await self._admin.work(
                database,
                lambda c: c.run(
                    "read type names",
                    "select t.oid::bigint, format_type(t.oid, null) from pg_type as t"
                    " where t.oid = any (%s::bigint[]::oid[])",
                    (list(oids),),
                ),
            )
        except Error:
            # The statement has run; its result is not lost for want of a name.
            return {}
        return {oid: str(name) for oid, name in rows if isinstance(oid, int)}


def own_plan(plan: Plan) -> PostgresPlan:
    """Return a plan as this engine's own; anything else is a mistake of the caller."""
    if not isinstance(plan, PostgresPlan):
        raise TypeError(f"a plan of another engine: {type(plan).__name__}")
    return plan
