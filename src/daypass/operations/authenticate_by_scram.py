"""Say who a client of a database is: it proves that it holds an access token, and never sends it.

All access tokens of a principal share a salt (ADR 9), so that one proof is tried against each.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import NotFound, Unauthenticated
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Actor
from daypass.operations.context import Context
from daypass.operations.token_form import SCRAM_ITERATIONS, SCRAM_SALT_BYTES
from daypass.store import entries, principals, tokens
from daypass.store.tokens import TokenVerifier

_NOBODY: Final = PrincipalId(0)
_LONGEST_NAME: Final = 320
SALT_PURPOSE: Final = "salt of unknown users"


@dataclass(frozen=True, slots=True)
class ScramOffer:
    """What a client is asked to prove; somebody unknown gets one all the same, that nothing fits.

    `verifiers` are in the order in which the proof names one of them.
    """

    salt: bytes
    iterations: int
    principal_id: PrincipalId | None = None
    verifiers: tuple[TokenVerifier, ...] = field(default=(), repr=False)


async def offer_scram(ctx: Context, user: str) -> ScramOffer:
    """Return what somebody has to prove, known or not: the name alone does not tell them apart."""
    name = user.strip().lower()
    if len(name) > _LONGEST_NAME or not name.isprintable():
        name = ""
    async with ctx.store.connection() as connection:
        found = await principals.find_stored(connection, name)
        # As many questions are asked for somebody unknown.
        verifiers = await tokens.list_verifiers(connection, found.id if found else _NOBODY)
        if found is not None:
            salt, iterations = await principals.scram_parameters(connection, found.id)
            return ScramOffer(salt, iterations, found.id, verifiers)
        with suppress(NotFound):
            await principals.scram_parameters(connection, _NOBODY)
    key = ctx.secrets.derive(SALT_PURPOSE)
    salt = hmac.digest(key, name.encode(), "sha256")[:SCRAM_SALT_BYTES]
    return ScramOffer(salt, SCRAM_ITERATIONS)


async def authenticate_by_scram(
    ctx: Context, offer: ScramOffer, proven: int, *, address: str, application: str
) -> Actor:
    """Return who holds the access token that was proven, by its place among the verifiers.

    Raises `Unauthenticated` when it was revoked or has expired meanwhile, or its principal left.
    """
    async with ctx.store.connection() as connection:
        verifier = await tokens.find_verifier(connection, offer.verifiers[proven].id)
        if verifier is None:
            raise not_let_in()
        if not verifier.used_lately:
            await tokens.note_use(connection, verifier.id)
        principal = await principals.get_principal(connection, verifier.principal_id)
        if not principal.active:
            raise not_let_in()
    return Actor(
        principal=principal,
        capabilities=tokens.capabilities_of(verifier.capabilities),
        address=address,
        application=application,
        token_id=verifier.id,
    )


async def record_failed_proof(
    ctx: Context, offer: ScramOffer, *, address: str, application: str
) -> None:
    """Append that somebody had no access token; never the name as given: it may be a password."""
    async with ctx.store.transaction() as tx:
        await entries.append(
            tx,
            Entry(
                EntryKind.LOGIN_FAILED,
                address=address,
                application=application,
                content={"principal": offer.principal_id, "by": "gateway"},
            ),
        )


def not_let_in() -> Unauthenticated:
    """Return the one answer to whoever proves nothing: unknown, expired, revoked, wrong."""
    return Unauthenticated(
        "no access token of this user fits: unknown, expired or revoked",
        next_step="the user is your e-mail address, the password an access token that may connect: "
        "daypass connect makes one, daypass tokens issue another",
        code="token_unknown",
    )
