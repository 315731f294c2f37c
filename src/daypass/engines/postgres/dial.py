"""Open a session: make its account, sign in as it, take its login away again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo

from daypass.domain.errors import Conflict, Unavailable
from daypass.domain.secret import Secret
from daypass.engines.contract import SessionSpec
from daypass.engines.postgres.accounts import (
    backends_of,
    end_login,
    make_account,
    new_password,
    on_targets_clock,
    terminate,
)
from daypass.engines.postgres.admin import (
    Admin,
    AdminConnection,
    connection_parameters,
    server_said,
)
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.quoting import quoted_name
from daypass.engines.postgres.revoke import Revoker
from daypass.engines.postgres.session import PostgresSession
from daypass.engines.postgres.session_guards import variable_guard

CLEAN_UP_TIMEOUT_S = 5.0

TypeNamesIn = Callable[[str, Sequence[int]], Awaitable[dict[int, str]]]
"""Looks up names of types in a database, by oid."""


class _Open(Protocol):
    """A connection that has signed in as an account."""

    @property
    def account(self) -> str:
        """Return the account's name."""

    @property
    def backend_id(self) -> int:
        """Return the server's own number of the connection."""

    async def aclose(self) -> None:
        """Close it."""


_Opened = TypeVar("_Opened", bound=_Open)


class Dialler:
    """Opens sessions on one instance."""

    def __init__(self, admin: Admin, revoker: Revoker, type_names: TypeNamesIn) -> None:
        self._admin = admin
        self._revoker = revoker
        self._type_names = type_names

    async def open_session(
        self, plan: PostgresPlan, spec: SessionSpec, offset: timedelta
    ) -> PostgresSession:
        """Open one session under an applied plan; see the contract."""
        return await self.open_by(
            plan, spec, offset, lambda password: self._sign_in(plan, spec, password)
        )

    async def open_by(
        self,
        plan: PostgresPlan,
        spec: SessionSpec,
        offset: timedelta,
        sign_in: Callable[[Secret], Awaitable[_Opened]],
    ) -> _Opened:
        """Make an account, have somebody sign in as it, and take its login away again.

        Whatever fails on the way, the account is closed again as far as the target answers.
        `sign_in` raises `psycopg.Error` or `Unavailable` when the account is not let in.
        """
        try:
            password = await self.make_account(plan, spec, offset)
        except asyncio.CancelledError:
            # The account may have been made all the same.
            await self._clean_up(spec.account)
            raise
        try:
            session = await self._alone(plan, spec, sign_in(password))
        except BaseException:
            await self._clean_up(spec.account)
            raise
        try:
            await self._shut_behind(plan.database, session)
        except BaseException:
            await session.aclose()
            await self._clean_up(spec.account)
            raise
        return session

    async def make_account(
        self, plan: PostgresPlan, spec: SessionSpec, offset: timedelta, *, direct: bool = False
    ) -> Secret:
        """Make the account with a login and return its password; `direct` for a client of its own.

        An account of that name that is there already was left by a crash: it is closed first.
        """
        if plan.blocked:
            raise Conflict(
                "the database shows more than the scope: " + plan.blocked[0].text,
                next_step="an owner mends or accepts it; daypass doctor lists all",
                code="blocked",
            )
        valid_until = on_targets_clock(spec.deadline, offset)
        password = new_password()

        async def make(connection: AdminConnection) -> bool:
            try:
                await self._make(connection, plan, spec, valid_until, password, direct=direct)
            except psycopg.errors.DuplicateObject:
                return False
            return True

        if not await self._admin.work(plan.database, make):
            await self._revoker.close([spec.account])
            if not await self._admin.work(plan.database, make):
                raise Conflict("another session is being opened as this account", code="conflict")
        return password

    async def _make(
        self,
        connection: AdminConnection,
        plan: PostgresPlan,
        spec: SessionSpec,
        valid_until: datetime,
        password: Secret,
        *,
        direct: bool,
    ) -> None:
        try:
            await make_account(
                connection,
                plan,
                spec.account,
                installation=self._admin.address.installation,
                valid_until=valid_until,
                password=password,
                connection_limit=spec.connection_limit if direct else 1,
                search_path=plan.search_path if direct else (),
            )
        except psycopg.errors.UndefinedObject as error:
            raise Conflict(
                "the scope is not applied on the target", next_step="apply it", code="not_applied"
            ) from error

    async def _alone(
        self, plan: PostgresPlan, spec: SessionSpec, signing_in: Awaitable[_Opened]
    ) -> _Opened:
        """Sign in; where that fails, tell whether somebody else was there first."""
        try:
            return await signing_in
        except (psycopg.Error, Unavailable) as error:
            # libpq tells no SQLSTATE here; a backend on the account tells that it was not alone.
            if await self._end_all(plan.database, spec.account):
                raise _intruded(spec.account) from error
            if isinstance(error, Unavailable):
                raise
            raise Unavailable(
                "the target did not let the session in" + server_said(error),
                code="session_refused",
            ) from error

    async def _sign_in(
        self, plan: PostgresPlan, spec: SessionSpec, password: Secret
    ) -> PostgresSession:
        parameters = connection_parameters(
            self._admin.address, plan.database, session_settings(plan, spec)
        )
        connection = await psycopg.AsyncConnection.connect(
            make_conninfo(
                "",
                **parameters,
                user=spec.account,
                password=password.reveal(),
                application_name=spec.application,
            ),
            autocommit=True,
            prepare_threshold=None,
        )
        return PostgresSession(
            connection, spec.account, lambda oids: self._type_names(plan.database, oids)
        )

    async def _shut_behind(self, database: str, session: _Open) -> None:
        """Take the login away, then see that nobody else came in by it."""

        async def shut(connection: AdminConnection) -> list[int]:
            # Two commands, two commits: who came in before the first is seen by the second.
            await end_login(connection, session.account)
            found = await backends_of(connection, [session.account])
            return found.get(session.account, [])

        if set(await self._admin.work(database, shut)) - {session.backend_id}:
            await self._end_all(database, session.account)
            raise _intruded(session.account)

    async def _end_all(self, database: str, account: str) -> int:
        async def end(connection: AdminConnection) -> int:
            await end_login(connection, account)
            return await terminate(connection, [account])

        return await self._admin.work(database, end)

    async def _clean_up(self, account: str) -> None:
        """Close the account within a bound; what is left the reconciler finds."""
        closing = asyncio.ensure_future(self._revoker.close([account]))
        done, _ = await asyncio.wait({closing}, timeout=CLEAN_UP_TIMEOUT_S)
        if not done:
            closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)


def _intruded(account: str) -> Conflict:
    return Conflict(
        f"somebody else was signed in as {account}; all its connections were ended",
        next_step="the grant stays; a new session may be opened",
        code="account_intruded",
    )


def session_settings(plan: PostgresPlan, spec: SessionSpec) -> list[tuple[str, str]]:
    """Return the startup settings of a session; the plan's win over the asker's."""
    settings = {name: value for name, value in spec.settings if not variable_guard(name, value)}
    settings |= dict(plan.settings)
    settings["search_path"] = search_path(plan.search_path)
    # A database's own default must not make the server read texts differently from Daypass.
    settings["standard_conforming_strings"] = "on"
    settings["backslash_quote"] = "safe_encoding"
    # Else a backend outlives a killed gateway until it next writes to it.
    settings["client_connection_check_interval"] = "2s"
    return sorted(settings.items())


def search_path(schemas: Sequence[str]) -> str:
    """Return a search path as the setting's value."""
    return ", ".join(quoted_name(each) for each in schemas)
