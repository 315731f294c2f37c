"""Turn what a caller presents into an `Actor`: the one way by which shells get one."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace

from daypass.domain.errors import Unauthenticated
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Actor, Capability
from daypass.domain.secret import Secret
from daypass.operations.context import Context
from daypass.operations.denials import denied
from daypass.operations.log_in import IDLE_FOR
from daypass.operations.one_time_value import digest_of
from daypass.operations.token_form import token_id_of
from daypass.store import logins, principals, tokens
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class BearerToken:
    """An access token as presented; nothing about it is known to be true."""

    token: Secret


@dataclass(frozen=True, slots=True)
class LoginCookie:
    """A login's cookie as presented, with the CSRF value that must go with a change.

    `changes` says that the call may change something, as every method but GET and HEAD does.
    """

    cookie: Secret
    csrf: Secret | None
    changes: bool


async def authenticate(
    ctx: Context, presented: BearerToken | LoginCookie, *, address: str, application: str
) -> Actor:
    """Say who is calling.

    Raises `Unauthenticated`, always alike, for what is unknown, expired, revoked, or of somebody
    who left, and `Denied` (`csrf`) for a change without the login's CSRF value.
    """
    match presented:
        case BearerToken(token):
            actor = await _by_token(ctx, token)
        case LoginCookie():
            actor = await _by_cookie(ctx, presented)
    return replace(actor, address=address, application=application)


async def _by_token(ctx: Context, token: Secret) -> Actor:
    token_id = token_id_of(token)
    if token_id is None:
        raise _unknown_token()
    # Nothing here has to hold together: each call is authorized anew by what it does.
    async with ctx.store.connection() as connection:
        verifier = await tokens.find_verifier(connection, token_id)
        if verifier is None or not hmac.compare_digest(verifier.digest, digest_of(token)):
            raise _unknown_token()
        if not verifier.used_lately:
            await tokens.note_use(connection, token_id)
        return await _actor(
            connection,
            verifier.principal_id,
            tokens.capabilities_of(verifier.capabilities),
            token_id=token_id,
        )


async def _by_cookie(ctx: Context, presented: LoginCookie) -> Actor:
    async with ctx.store.transaction() as tx:
        login = await logins.find_live(tx, digest_of(presented.cookie), IDLE_FOR)
        if login is None:
            raise Unauthenticated(
                "you are not signed in, or no longer", next_step="sign in", code="login_ended"
            )
        if presented.changes:
            given = digest_of(presented.csrf) if presented.csrf else b""
            if not hmac.compare_digest(login.csrf_digest, given):
                raise denied(
                    "csrf",
                    "the call does not carry the login's CSRF value",
                    next_step="send the value of the cookie for it in the header X-Daypass-CSRF",
                )
        await logins.note_use(tx, login.id)
        return await _actor(tx, login.principal_id, frozenset(Capability))


async def _actor(
    tx: Tx,
    principal_id: PrincipalId,
    capabilities: frozenset[Capability],
    *,
    token_id: int | None = None,
) -> Actor:
    principal = await principals.get_principal(tx, principal_id)
    if not principal.active:
        raise Unauthenticated("you are not signed in, or no longer", code="login_ended")
    return Actor(principal=principal, capabilities=capabilities, token_id=token_id)


def _unknown_token() -> Unauthenticated:
    return Unauthenticated(
        "this access token is unknown, expired or revoked",
        next_step="ask for a new one: daypass login",
        code="token_unknown",
    )
