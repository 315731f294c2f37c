"""Accounts of sessions: made without a login, opened for one dial, closed again for good."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from psycopg import sql

from daypass.domain.errors import Conflict, Invalid
from daypass.domain.secret import Secret
from daypass.domain.statement_class import StatementClass
from daypass.engines.postgres import names
from daypass.engines.postgres.admin import AdminConnection, Look, comment_on_role
from daypass.engines.postgres.marks import Mark
from daypass.engines.postgres.plan import PostgresPlan

# What a crash of the server within the next half second would undo is of no use after it: the
# sessions are gone, and nobody but this process knew the password.
NOT_AWAITED: Final = sql.SQL("set local synchronous_commit = off")

_BACKENDS: Final = Look(
    "backends",
    "text[]",
    "select distinct r.rolname, coalesce(a.leader_pid, a.pid)"
    " from pg_stat_activity as a join pg_roles as r on r.oid = a.usesysid"
    " where r.rolname = any ($1)",
)
_TERMINATE: Final = Look(
    "terminate",
    "text[]",
    "select count(pg_terminate_backend(a.pid))"
    " from pg_stat_activity as a join pg_roles as r on r.oid = a.usesysid"
    " where r.rolname = any ($1)",
)


def new_password() -> Secret:
    """Return a fresh password with 256 random bits."""
    return Secret(secrets.token_urlsafe(32))


def scram_verifier(password: Secret) -> str:
    """Return the SCRAM-SHA-256 verifier of a password that `new_password` made (RFC 5802, 7677).

    One iteration: many slow down guessing what people choose, and nobody guesses 256 random bits.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.reveal().encode(), salt, 1)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (
        base64.b64encode(each).decode() for each in (salt, stored_key, server_key)
    )
    return f"SCRAM-SHA-256$1:{salt64}${stored64}:{server64}"


async def make_account(
    connection: AdminConnection,
    plan: PostgresPlan,
    account: str,
    *,
    installation: str,
    valid_until: datetime,
    password: Secret,
    connection_limit: int,
    search_path: Sequence[str] = (),
) -> None:
    """Make an account with its login, in one round trip and one commit.

    `search_path` is what its connections start with, where they do not say so themselves. Raises
    the server's 42710 when there is one of that name.
    """
    if not names.is_account(account):
        raise Invalid(f"{account!r} is no name of a session's account", code="invalid_account")
    name, role = sql.Identifier(account), sql.Identifier(plan.role)
    statements: list[sql.Composable] = [
        NOT_AWAITED,
        # Born NOLOGIN; what follows in the same commit opens it, so no half of it is ever seen.
        sql.SQL("create role {} nologin inherit valid until {}").format(
            name, sql.Literal(_moment(valid_until))
        ),
        comment_on_role(account, Mark(installation, plan.database, heir=plan.heir or "").text()),
    ]
    if connection.has_membership_options:
        statements.append(sql.SQL("grant {} to {} with inherit true, set false").format(role, name))
    else:
        # Until 15 only a member may end a role's backends and drop what it owns.
        statements.append(sql.SQL("grant {} to {}").format(role, name))
        statements.append(sql.SQL("grant {} to current_user").format(name))
    if plan.heir and StatementClass.DDL in plan.classes:
        statements += _shared(connection, name, sql.Identifier(plan.heir))
    if search_path:
        statements.append(
            sql.SQL("alter role {} set search_path = {}").format(
                name, sql.SQL(", ").join(sql.Identifier(each) for each in search_path)
            )
        )
    statements.append(
        sql.SQL("alter role {} login password {} connection limit {}").format(
            name, sql.Literal(scram_verifier(password)), sql.Literal(connection_limit)
        )
    )
    await connection.run("make account", sql.SQL("; ").join(statements))


def _shared(
    connection: AdminConnection, name: sql.Identifier, heir: sql.Identifier
) -> list[sql.Composable]:
    """Let the heir, and so every session that is a member of it, use at once what is made.

    It belongs to the account until that is closed; clients with several connections expect to find
    in one what they made in another.
    """
    joined = sql.SQL("grant {} to current_user").format(name)
    if connection.has_membership_options:
        joined += sql.SQL(" with inherit true, set true")
    return [
        joined,
        *(
            sql.SQL("alter default privileges for role {} grant all on {} to {}").format(
                name, sql.SQL(kind), heir
            )
            for kind in ("tables", "sequences", "schemas")
        ),
    ]


async def end_login(connection: AdminConnection, account: str) -> None:
    """Take an account's login and password away for good."""
    await connection.run(
        "end login",
        sql.SQL("{}; alter role {} nologin password null").format(
            NOT_AWAITED, sql.Identifier(account)
        ),
    )


async def backends_of(connection: AdminConnection, accounts: Sequence[str]) -> dict[str, list[int]]:
    """List the connections of each account that has any, by their backends.

    Workers of a parallel query count as the backend they work for.
    """
    rows = await connection.look("read backends", _BACKENDS, list(accounts))
    found: dict[str, list[int]] = {}
    for account, pid in rows:
        if isinstance(pid, int):
            found.setdefault(str(account), []).append(pid)
    return found


async def terminate(connection: AdminConnection, accounts: Sequence[str]) -> int:
    """Signal every backend of some accounts to end; return how many there were."""
    [(count,)] = await connection.look("terminate", _TERMINATE, list(accounts))
    return count if isinstance(count, int) else 0


async def roll_back(connection: AdminConnection, gid: str, owner: str) -> int:
    """Roll a prepared transaction back as its owner, the only one who may beside a superuser."""
    role = sql.Identifier(owner)
    try:
        await connection.run("act as account", sql.SQL("set role {}").format(role))
        await connection.run(
            "roll back prepared", sql.SQL("rollback prepared {}").format(sql.Literal(gid))
        )
    except psycopg.errors.UndefinedObject:
        return 0
    finally:
        await connection.run("act as admin", "reset role")
    return 1


async def set_deadline(
    connection: AdminConnection, accounts: Sequence[str], valid_until: datetime
) -> None:
    """Move the deadline of those accounts that exist."""
    rows = await connection.run(
        "find accounts",
        "select r.rolname from pg_roles as r where r.rolname = any (%s) order by 1",
        ([each for each in accounts if names.is_account(each)],),
    )
    if rows:
        await connection.run(
            "move deadline",
            sql.SQL("; ").join(
                sql.SQL("alter role {} valid until {}").format(
                    sql.Identifier(str(name)), sql.Literal(_moment(valid_until))
                )
                for (name,) in rows
            ),
        )


def on_targets_clock(moment: datetime, offset: timedelta) -> datetime:
    """Return when a moment of Daypass's clock is on the target's.

    Raises `Conflict` when it has passed.
    """
    if moment.tzinfo is None:
        raise Invalid("a deadline needs a time zone", code="invalid_deadline")
    if moment <= datetime.now(UTC):
        raise Conflict("the deadline has passed", code="deadline_passed")
    return moment + offset


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
