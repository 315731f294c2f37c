"""Sign a person in with a password; other ways to prove who one is end in `start_login` too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Unauthenticated
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import PrincipalKind
from daypass.domain.secret import Secret
from daypass.operations.context import Context
from daypass.operations.login_throttle import CountedTry, count_try, forgive
from daypass.operations.one_time_value import digest_of, one_time_value
from daypass.operations.password_hashing import (
    NOBODYS_VERIFIER,
    hash_password,
    needs_rehash,
    verify_password,
)
from daypass.store import entries, logins, passwords, principals
from daypass.store.database import Tx
from daypass.store.principals import StoredPrincipal

VALID_FOR: Final = timedelta(hours=12)
IDLE_FOR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StartedLogin:
    """A login just started; both secrets are handed out this once."""

    stored: StoredPrincipal
    cookie: Secret
    csrf: Secret
    expires_at: datetime


async def log_in(
    ctx: Context,
    email: str,
    password: Secret,
    *,
    address: str,
    application: str,
    replaces: Secret | None = None,
) -> StartedLogin:
    """Sign somebody in by e-mail address and password; `replaces` is a cookie whose login ends.

    Raises `Unauthenticated` whatever was wrong, after the same work, and `TooManyTries`.
    """
    email = email.strip().lower()
    async with ctx.store.transaction() as tx:
        found = await principals.find_stored(tx, email)
        verifier = await passwords.find_verifier(tx, found.id) if found else None
        counted = await count_try(tx, email, address, found.id if found else None)
    # Between the two transactions: no connection waits while a password is hashed.
    matches = await verify_password(verifier or NOBODYS_VERIFIER, password)
    if found is None or verifier is None or not matches or not _may_sign_in(found):
        await _record_failure(ctx, found.id if found else None, address, application)
        raise Unauthenticated(
            "the e-mail address or the password is wrong",
            next_step="ask an admin for a link to choose a new password if you forgot yours",
            code="login_failed",
        )
    stronger = await hash_password(password) if needs_rehash(verifier) else None
    async with ctx.store.transaction() as tx:
        return await _start_after_password(
            tx, found.id, verifier, stronger, counted, address, application, replaces
        )


async def start_login(
    tx: Tx, person: StoredPrincipal, *, address: str, application: str, replaces: Secret | None
) -> StartedLogin:
    """Start a login for a held, active person who has just proved who they are."""
    if replaces is not None:
        # A cookie from before signing in is worth nothing after it.
        old = await logins.find_live(tx, digest_of(replaces), IDLE_FOR)
        if old is not None:
            await logins.end_login(tx, old.id)
    cookie, csrf = one_time_value(), one_time_value()
    login = await logins.add_login(
        tx,
        person.id,
        cookie_digest=digest_of(cookie),
        csrf_digest=digest_of(csrf),
        address=address,
        application=application,
        valid_for=VALID_FOR,
    )
    await entries.append(
        tx,
        Entry(
            EntryKind.LOGIN_STARTED,
            actor_id=person.id,
            address=address,
            application=application,
            content={"login": login.id},
        ),
    )
    return StartedLogin(person, cookie, csrf, login.expires_at)


async def _start_after_password(
    tx: Tx,
    principal_id: PrincipalId,
    verifier: str,
    stronger: str | None,
    counted: CountedTry,
    address: str,
    application: str,
    replaces: Secret | None,
) -> StartedLogin:
    person = await principals.hold_principal(tx, principal_id)
    # The person may have left, or changed the password, while this one was being hashed.
    if not person.active or await passwords.find_verifier(tx, principal_id) != verifier:
        raise Unauthenticated(
            "the e-mail address or the password is wrong",
            next_step="sign in again",
            code="login_failed",
        )
    if stronger is not None:
        await passwords.replace_verifier(tx, principal_id, verifier, stronger)
    await forgive(tx, counted)
    return await start_login(
        tx, person, address=address, application=application, replaces=replaces
    )


def _may_sign_in(found: StoredPrincipal) -> bool:
    return found.active and found.kind == PrincipalKind.PERSON


async def _record_failure(
    ctx: Context, principal_id: PrincipalId | None, address: str, application: str
) -> None:
    # Never the address as typed: people type passwords into the wrong field.
    async with ctx.store.transaction() as tx:
        await entries.append(
            tx,
            Entry(
                EntryKind.LOGIN_FAILED,
                address=address,
                application=application,
                content={"principal": principal_id},
            ),
        )
