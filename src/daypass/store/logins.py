"""Logins: being signed in with a browser; only digests of their secrets are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from daypass.domain.ids import LoginId, PrincipalId
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Login:
    """A login that is live by the store's clock."""

    id: LoginId
    principal_id: PrincipalId
    csrf_digest: bytes
    created_at: datetime
    expires_at: datetime


async def add_login(
    tx: Tx,
    principal_id: PrincipalId,
    *,
    cookie_digest: bytes,
    csrf_digest: bytes,
    address: str,
    application: str,
    valid_for: timedelta,
) -> Login:
    """Start a login."""
    async with tx.cursor(row_factory=class_row(Login)) as cursor:
        await cursor.execute(
            """
            insert into login (
              principal_id, cookie_digest, csrf_digest, address, application, last_used_at,
              expires_at
            ) values (%s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp() + %s)
            returning id, principal_id, csrf_digest, created_at, expires_at
            """,
            (principal_id, cookie_digest, csrf_digest, address, application, valid_for),
        )
        login = await cursor.fetchone()
    if login is None:
        raise RuntimeError("insert … returning returned no row")
    return login


async def find_live(tx: Tx, cookie_digest: bytes, idle_for: timedelta) -> Login | None:
    """Return the login of a cookie unless it ended, expired or idled too long."""
    async with tx.cursor(row_factory=class_row(Login)) as cursor:
        await cursor.execute(
            """
            select id, principal_id, csrf_digest, created_at, expires_at
            from login
            where cookie_digest = %s and ended_at is null and expires_at > clock_timestamp()
              and last_used_at + %s > clock_timestamp()
            """,
            (cookie_digest, idle_for),
        )
        return await cursor.fetchone()


async def note_use(tx: Tx, login_id: LoginId) -> None:
    """Note that a login is in use; written at most once a minute."""
    await tx.execute(
        """
        update login set last_used_at = clock_timestamp()
        where id = %s and last_used_at < clock_timestamp() - interval '1 minute'
        """,
        (login_id,),
    )


async def end_login(tx: Tx, login_id: LoginId) -> bool:
    """End a login; return whether it had not ended before."""
    cursor = await tx.execute(
        "update login set ended_at = clock_timestamp() where id = %s and ended_at is null",
        (login_id,),
    )
    return cursor.rowcount == 1


async def end_all(tx: Tx, principal_id: PrincipalId, *, but: LoginId | None = None) -> int:
    """End a principal's logins, all `but` one if given; return how many there were."""
    cursor = await tx.execute(
        """
        update login set ended_at = clock_timestamp()
        where principal_id = %(principal)s and ended_at is null and expires_at > clock_timestamp()
          and id is distinct from %(but)s::bigint
        """,
        {"principal": principal_id, "but": but},
    )
    return cursor.rowcount


async def known_address(tx: Tx, principal_id: PrincipalId, address: str, within: timedelta) -> bool:
    """Say whether the principal has lately signed in from the address."""
    cursor = await tx.execute(
        """
        select exists (
          select from login
          where principal_id = %s and address = %s and created_at > clock_timestamp() - %s
        )
        """,
        (principal_id, address, within),
    )
    row = await cursor.fetchone()
    return bool(row and row[0])
