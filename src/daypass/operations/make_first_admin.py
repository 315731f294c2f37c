"""Make the first admin by a one-time link that is printed where Daypass runs."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import NotFound
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import DaypassRole, PrincipalKind
from daypass.domain.secret import Secret
from daypass.operations.context import Context
from daypass.operations.one_time_value import digest_of, one_time_value
from daypass.operations.password_hashing import hash_password
from daypass.operations.password_rules import check_password
from daypass.operations.principal_facts import check_email, check_name
from daypass.operations.token_form import SCRAM_ITERATIONS, SCRAM_SALT_BYTES
from daypass.store import entries, first_admin, passwords, principals
from daypass.store.database import Tx

LINK_VALID_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class FirstAdminOffer:
    """The link to print; it works once."""

    url: Secret
    expires_at: datetime


async def offer_first_admin(ctx: Context) -> FirstAdminOffer | None:
    """Make a new link, which ends an earlier one; None when there is an admin already."""
    value = one_time_value()
    async with ctx.store.transaction() as tx:
        await first_admin.lock_link(tx)
        if await principals.admin_exists(tx):
            return None
        expires_at = await first_admin.set_link(tx, digest_of(value), LINK_VALID_FOR)
    return FirstAdminOffer(
        Secret(f"{ctx.public_url}/first-admin?token={value.reveal()}"), expires_at
    )


async def check_first_admin_link(ctx: Context, token: Secret) -> None:
    """Raise `NotFound` unless the link would make an admin now."""
    async with ctx.store.transaction() as tx:
        await _lock_usable(tx, token)


async def make_first_admin(
    ctx: Context,
    token: Secret,
    *,
    email: str,
    name: str,
    password: Secret,
    address: str,
    application: str,
) -> PrincipalId:
    """Make the first admin.

    Raises `NotFound` for a link that is unknown, used, expired, or needless since there is an
    admin, and `Invalid` for what is wrong with the rest.
    """
    email, name = check_email(email), check_name(name)
    await check_first_admin_link(ctx, token)
    check_password(password, email=email, name=name)
    verifier = await hash_password(password)
    async with ctx.store.transaction() as tx:
        await _lock_usable(tx, token)
        await first_admin.use_link(tx)
        principal_id = await principals.add_principal(
            tx,
            principals.NewPrincipal(
                kind=PrincipalKind.PERSON,
                name=name,
                email=email,
                roles=frozenset({DaypassRole.ADMIN, DaypassRole.MEMBER}),
                attributes={},
                scram_salt=secrets.token_bytes(SCRAM_SALT_BYTES),
                scram_iterations=SCRAM_ITERATIONS,
            ),
        )
        await passwords.set_verifier(tx, principal_id, verifier)
        await entries.append(
            tx,
            Entry(
                EntryKind.PRINCIPAL_ADDED,
                actor_id=principal_id,
                address=address,
                application=application,
                content={"principal": principal_id, "first_admin": True},
            ),
        )
    return principal_id


async def _lock_usable(tx: Tx, token: Secret) -> None:
    link = await first_admin.lock_link(tx)
    if (
        link is None
        or not link.usable
        or not hmac.compare_digest(link.digest, digest_of(token))
        or await principals.admin_exists(tx)
    ):
        raise NotFound(
            "this link is unknown, used or expired",
            next_step="start Daypass again: it prints a new link as long as there is no admin",
            code="link_unknown",
        )
