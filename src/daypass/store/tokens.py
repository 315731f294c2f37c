"""Access tokens as verifiers: a digest, and SCRAM keys for clients of databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from daypass.domain.errors import NotFound
from daypass.domain.ids import PrincipalId, TokenId
from daypass.domain.principal import Capability
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Token:
    """An access token without anything that could be used as one."""

    id: TokenId
    principal_id: PrincipalId
    principal: str
    owner_id: PrincipalId | None
    """Whoever answers for the principal, when that is a service account."""
    name: str
    capabilities: list[str]
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    live: bool
    """Neither revoked nor expired, by the store's clock."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """What is kept of a new access token."""

    id: TokenId
    principal_id: PrincipalId
    name: str
    digest: bytes
    scram_stored_key: bytes
    scram_server_key: bytes
    capabilities: frozenset[Capability]
    created_by: PrincipalId
    issued_with: int | None


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """What a presented access token is checked against."""

    id: TokenId
    principal_id: PrincipalId
    digest: bytes
    scram_stored_key: bytes
    scram_server_key: bytes
    capabilities: list[str]
    expires_at: datetime
    used_lately: bool
    """Whether its use was noted within a minute."""


async def next_id(tx: Tx) -> TokenId:
    """Reserve the id of an access token, which is a part of the token itself."""
    cursor = await tx.execute("select nextval(pg_get_serial_sequence('access_token', 'id'))")
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("select returned no row")
    return TokenId(row[0])


async def add_token(tx: Tx, new: NewToken, valid_for: timedelta) -> Token:
    """Keep a new access token's verifiers; it expires `valid_for` from now."""
    await tx.execute(
        """
        insert into access_token (
          id, principal_id, name, digest, scram_stored_key, scram_server_key, capabilities,
          created_by, issued_with, created_at, expires_at
        ) overriding system value
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, now(), now() + %s)
        """,
        (
            new.id,
            new.principal_id,
            new.name,
            new.digest,
            new.scram_stored_key,
            new.scram_server_key,
            sorted(each.value for each in new.capabilities),
            new.created_by,
            new.issued_with,
            valid_for,
        ),
    )
    return await get_token(tx, new.id)


async def get_token(tx: Tx, token_id: TokenId) -> Token:
    """Return an access token. Raises `NotFound`."""
    found = await _select(tx, token_id=token_id)
    if not found:
        raise NotFound(f"there is no access token {token_id}", code="token_not_found")
    return found[0]


async def list_tokens(
    tx: Tx,
    *,
    principal_id: PrincipalId | None = None,
    visible_to: PrincipalId | None = None,
    live: bool | None = None,
    after: int = 0,
    limit: int | None = 50,
) -> tuple[Token, ...]:
    """List access tokens in order of id.

    `visible_to` leaves only those of that principal and of the service accounts it answers for.
    """
    return await _select(
        tx, principal_id=principal_id, visible_to=visible_to, live=live, after=after, limit=limit
    )


async def find_verifier(tx: Tx, token_id: TokenId) -> TokenVerifier | None:
    """Return the verifier of a live access token of an active principal."""
    found = await _verifiers(tx, token_id=token_id)
    return found[0] if found else None


async def list_verifiers(tx: Tx, principal_id: PrincipalId) -> tuple[TokenVerifier, ...]:
    """List the verifiers of an active principal's live access tokens, to try a proof against."""
    return await _verifiers(tx, principal_id=principal_id)


async def note_use(tx: Tx, token_id: TokenId) -> None:
    """Note that an access token is in use; written at most once a minute."""
    await tx.execute(
        """
        update access_token set last_used_at = clock_timestamp()
        where id = %s
          and (last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute')
        """,
        (token_id,),
    )


async def revoke_token(tx: Tx, token_id: TokenId) -> tuple[TokenId, ...]:
    """Revoke an access token and every one issued with it, or with one of those.

    Returns those that were not revoked before.
    """
    cursor = await tx.execute(
        """
        with recursive family as (
          select id from access_token where id = %s
          union
          select t.id from access_token t join family f on t.issued_with = f.id
        )
        update access_token set revoked_at = clock_timestamp()
        where id in (select id from family) and revoked_at is null
        returning id
        """,
        (token_id,),
    )
    return tuple(sorted(TokenId(row[0]) for row in await cursor.fetchall()))


async def revoke_all(tx: Tx, principal_id: PrincipalId) -> tuple[TokenId, ...]:
    """Revoke every access token of a principal."""
    cursor = await tx.execute(
        """
        update access_token set revoked_at = clock_timestamp()
        where principal_id = %s and revoked_at is null
        returning id
        """,
        (principal_id,),
    )
    return tuple(sorted(TokenId(row[0]) for row in await cursor.fetchall()))


def capabilities_of(names: Sequence[str]) -> frozenset[Capability]:
    """Read capabilities as the store keeps them."""
    return frozenset(Capability(name) for name in names)


async def _verifiers(
    tx: Tx, *, token_id: TokenId | None = None, principal_id: PrincipalId | None = None
) -> tuple[TokenVerifier, ...]:
    async with tx.cursor(row_factory=class_row(TokenVerifier)) as cursor:
        await cursor.execute(
            """
            select t.id, t.principal_id, t.digest, t.scram_stored_key, t.scram_server_key,
              t.capabilities, t.expires_at,
              coalesce(t.last_used_at > clock_timestamp() - interval '1 minute', false)
                as used_lately
            from access_token t join principal p on p.id = t.principal_id
            where (%(token)s::bigint is null or t.id = %(token)s)
              and (%(principal)s::bigint is null or t.principal_id = %(principal)s)
              and t.revoked_at is null and t.expires_at > clock_timestamp() and p.active
            order by t.id
            """,
            {"token": token_id, "principal": principal_id},
        )
        return tuple(await cursor.fetchall())


async def _select(
    tx: Tx,
    *,
    token_id: TokenId | None = None,
    principal_id: PrincipalId | None = None,
    visible_to: PrincipalId | None = None,
    live: bool | None = None,
    after: int = 0,
    limit: int | None = None,
) -> tuple[Token, ...]:
    async with tx.cursor(row_factory=class_row(Token)) as cursor:
        await cursor.execute(
            """
            select t.id, t.principal_id, p.email as principal, p.owner_id, t.name, t.capabilities,
              c.email as created_by, t.created_at, t.expires_at, t.last_used_at, t.revoked_at,
              t.revoked_at is null and t.expires_at > clock_timestamp() as live
            from access_token t
            join principal p on p.id = t.principal_id
            join principal c on c.id = t.created_by
            where (%(token)s::bigint is null or t.id = %(token)s)
              and (%(principal)s::bigint is null or t.principal_id = %(principal)s)
              and (%(viewer)s::bigint is null or %(viewer)s in (p.id, p.owner_id))
              and (
                %(live)s::boolean is null
                or %(live)s = (t.revoked_at is null and t.expires_at > clock_timestamp())
              )
              and t.id > %(after)s
            order by t.id
            limit %(limit)s
            """,
            {
                "token": token_id,
                "principal": principal_id,
                "viewer": visible_to,
                "live": live,
                "after": after,
                "limit": limit,
            },
        )
        return tuple(await cursor.fetchall())
