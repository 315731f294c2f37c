"""Issue access tokens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from daypass.audit.entry import EntryKind, utc_text
from daypass.domain.duration import format_duration
from daypass.domain.errors import Conflict, Denied, Invalid, NotFound, Unauthenticated
from daypass.domain.ids import PrincipalId, TokenId
from daypass.domain.principal import Actor, Capability, DaypassRole, PrincipalKind
from daypass.domain.secret import Secret
from daypass.operations.context import Context, require_capability
from daypass.operations.denials import denied
from daypass.operations.entry_by import entry_by
from daypass.operations.one_time_value import digest_of
from daypass.operations.token_form import new_token, scram_keys
from daypass.store import entries, principals, tokens
from daypass.store.database import Tx, now
from daypass.store.principals import StoredPrincipal
from daypass.store.tokens import NewToken, Token

LONGEST: Final = {
    PrincipalKind.PERSON: timedelta(days=90),
    PrincipalKind.SERVICE_ACCOUNT: timedelta(days=365),
}
_MOST_LIVE = 50
_MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new access token; `secret` is shown this once."""

    token: Token
    secret: Secret


async def issue_token(
    ctx: Context,
    actor: Actor,
    *,
    name: str,
    capabilities: frozenset[Capability],
    valid_for: timedelta,
    principal_id: PrincipalId | None = None,
) -> IssuedToken:
    """Issue an access token to the actor, or to a service account it answers for or administers.

    It can do no more than what it is issued with: not more capabilities, and, when issued with
    another access token, not for longer; revoking that one revokes it too. Raises `Invalid`,
    `Denied`, `Conflict` when the principal has too many, and `NotFound`.
    """
    require_capability(actor, Capability.MANAGE)
    name = " ".join(name.split())
    _check(name, capabilities, valid_for)
    beyond = capabilities - actor.capabilities
    if beyond:
        raise denied(
            "token_beyond_issuer",
            "an access token cannot pass on what it may not be used for itself: "
            + ", ".join(sorted(beyond)),
            next_step="sign in, and issue it there",
        )
    target_id = actor.id if principal_id is None else principal_id
    async with ctx.store.transaction() as tx:
        locked = await principals.lock_principals(tx, {actor.id, target_id})
        target = locked[target_id]
        _authorize(actor, target, capabilities)
        if not locked[actor.id].active or not target.active:
            raise Conflict(f"{target.email} has left", code="principal_left")
        _check_longest(target, valid_for)
        await _check_issuing_token(tx, actor, valid_for)
        if len(await tokens.list_tokens(tx, principal_id=target_id, live=True)) >= _MOST_LIVE:
            raise Conflict(
                f"{target.email} has {_MOST_LIVE} access tokens",
                next_step="revoke those no longer needed",
                code="too_many_tokens",
            )
        token_id = await tokens.next_id(tx)
        secret = new_token(token_id)
        token = await _keep(tx, actor, target, token_id, secret, name, capabilities, valid_for)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.TOKEN_ISSUED,
                token=token_id,
                name=name,
                principal=target_id,
                capabilities=sorted(each.value for each in capabilities),
                expires_at=utc_text(token.expires_at),
                issued_with=actor.token_id,
            ),
        )
    return IssuedToken(token, secret)


async def _keep(
    tx: Tx,
    actor: Actor,
    target: StoredPrincipal,
    token_id: TokenId,
    secret: Secret,
    name: str,
    capabilities: frozenset[Capability],
    valid_for: timedelta,
) -> Token:
    salt, iterations = await principals.scram_parameters(tx, target.id)
    keys = await asyncio.to_thread(scram_keys, secret, salt, iterations)
    return await tokens.add_token(
        tx,
        NewToken(
            id=token_id,
            principal_id=target.id,
            name=name,
            digest=digest_of(secret),
            scram_stored_key=keys.stored_key,
            scram_server_key=keys.server_key,
            capabilities=capabilities,
            created_by=actor.id,
            issued_with=actor.token_id,
        ),
        valid_for,
    )


def _check(name: str, capabilities: frozenset[Capability], valid_for: timedelta) -> None:
    problems = []
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        problems.append(("name", f"write 1 to {_MAX_NAME} characters"))
    if not capabilities:
        problems.append(("capabilities", "name at least one"))
    if valid_for < timedelta(minutes=1):
        problems.append(("valid_for", "at least one minute"))
    if problems:
        raise Invalid(
            "; ".join(f"{place}: {problem}" for place, problem in problems),
            problems=tuple(problems),
            code="invalid_token",
        )


def _authorize(actor: Actor, target: StoredPrincipal, capabilities: frozenset[Capability]) -> None:
    if actor.principal.kind is PrincipalKind.SERVICE_ACCOUNT:
        raise denied(
            "person_needed",
            "a service account does not issue access tokens",
            next_step="ask whoever answers for it",
        )
    if target.id == actor.id:
        return
    is_account = target.kind == PrincipalKind.SERVICE_ACCOUNT
    if actor.has_role(DaypassRole.ADMIN):
        if is_account:
            return
        raise _not_in_their_name(target)
    if is_account and target.owner_id == actor.id:
        higher = target.principal.roles - actor.principal.roles
        if higher and Capability.MANAGE in capabilities:
            raise denied(
                "token_beyond_issuer",
                f"{target.email} has Daypass roles that you do not have yourself: "
                + ", ".join(sorted(higher)),
                next_step="leave out the capability manage, or ask an admin",
            )
        return
    raise NotFound(f"there is no principal {target.id}", code="principal_not_found")


def _not_in_their_name(target: StoredPrincipal) -> Denied:
    return denied(
        "own_tokens_only",
        "nobody issues access tokens in another person's name, admins included",
        next_step=f"{target.email} can: daypass login",
    )


def _check_longest(target: StoredPrincipal, valid_for: timedelta) -> None:
    longest = LONGEST[PrincipalKind(target.kind)]
    if valid_for > longest:
        problem = f"at most {format_duration(longest)} for a {target.kind.replace('_', ' ')}"
        raise Invalid(
            f"valid_for: {problem}", problems=(("valid_for", problem),), code="invalid_token"
        )


async def _check_issuing_token(tx: Tx, actor: Actor, valid_for: timedelta) -> None:
    if actor.token_id is None:
        return
    # Asked again under the lock that revoking takes: a token revoked meanwhile leaves no heirs.
    issuing = await tokens.find_verifier(tx, TokenId(actor.token_id))
    if issuing is None:
        raise Unauthenticated("this access token was revoked", code="token_unknown")
    if await now(tx) + valid_for > issuing.expires_at:
        raise denied(
            "token_beyond_issuer",
            "an access token cannot issue one that outlives it",
            next_step="ask for a shorter time, or sign in and issue it there",
        )
