"""Change one's own password, by the old one or by a one-time link."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.errors import Conflict, NotFound, Unauthenticated
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Actor, DaypassRole, PrincipalKind
from daypass.domain.secret import Secret
from daypass.operations.context import Context, require_role
from daypass.operations.denials import denied
from daypass.operations.entry_by import entry_by
from daypass.operations.log_in import IDLE_FOR
from daypass.operations.login_throttle import count_try, forgive
from daypass.operations.one_time_value import digest_of, one_time_value
from daypass.operations.password_hashing import NOBODYS_VERIFIER, hash_password, verify_password
from daypass.operations.password_rules import check_password
from daypass.operations.tell_people import tell_people
from daypass.store import entries, logins, passwords, principals

LINK_VALID_FOR: Final = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class IssuedPasswordLink:
    """A one-time link; whoever opens it first chooses the person's password."""

    principal_id: PrincipalId
    email: str
    url: Secret
    expires_at: datetime


async def change_password(
    ctx: Context, actor: Actor, *, old: Secret, new: Secret, cookie: Secret | None
) -> None:
    """Change the actor's own password and end their other logins; `cookie` is of the one to keep.

    Raises `Denied` for an access token, `TooManyTries`, `Unauthenticated` for a wrong old password.
    """
    if actor.token_id is not None:
        raise denied(
            "login_needed",
            "an access token may not change a password",
            next_step="sign in and change it there",
        )
    person = actor.principal
    check_password(new, email=person.email, name=person.name)
    async with ctx.store.transaction() as tx:
        verifier = await passwords.find_verifier(tx, person.id)
        counted = await count_try(tx, person.email, actor.address, person.id)
    if not await verify_password(verifier or NOBODYS_VERIFIER, old) or verifier is None:
        raise Unauthenticated("the old password is wrong", code="wrong_password")
    stronger = await hash_password(new)
    async with ctx.store.transaction() as tx:
        await principals.lock_principal(tx, person.id)
        if not await passwords.replace_verifier(tx, person.id, verifier, stronger):
            raise Conflict("the password was changed meanwhile", code="password_changed")
        await forgive(tx, counted)
        kept = await logins.find_live(tx, digest_of(cookie), IDLE_FOR) if cookie else None
        ended = await logins.end_all(tx, person.id, but=kept.id if kept else None)
        await entries.append(
            tx, entry_by(actor, EntryKind.PASSWORD_CHANGED, principal=person.id, logins_ended=ended)
        )


async def issue_password_link(
    ctx: Context, actor: Actor, principal_id: PrincipalId
) -> IssuedPasswordLink:
    """Issue a link by which a person chooses a password, so that no admin ever knows it.

    Only for admins. The person is told; an earlier link ends.
    """
    require_role(actor, DaypassRole.ADMIN)
    value = one_time_value()
    async with ctx.store.transaction() as tx:
        person = await principals.lock_principal(tx, principal_id)
        if not person.active or person.kind != PrincipalKind.PERSON:
            raise Conflict(f"{person.email} does not sign in to Daypass", code="not_a_person")
        expires_at = await passwords.set_link(
            tx, principal_id, digest_of(value), actor.id, LINK_VALID_FOR
        )
        await entries.append(
            tx,
            entry_by(
                actor, EntryKind.PRINCIPAL_CHANGED, principal=principal_id, changed="password_link"
            ),
        )
        await tell_people(
            tx,
            "password_link.issued",
            {principal_id},
            subject="A link to choose your Daypass password was issued",
            text=f"{actor.principal.email} issued a link by which your password can be set."
            " Tell your security people if you do not know of it.",
            facts={"by": actor.principal.email},
        )
    return IssuedPasswordLink(
        principal_id,
        person.email,
        Secret(f"{ctx.public_url}/choose-password?token={value.reveal()}"),
        expires_at,
    )


async def choose_password(
    ctx: Context, link: Secret, password: Secret, *, address: str, application: str
) -> str:
    """Set the password of whoever the link was issued for and return their e-mail address.

    Ends their logins. Raises `NotFound` for a link that is unknown, used or expired.
    """
    async with ctx.store.transaction() as tx:
        found = await passwords.lock_link(tx, digest_of(link))
        if found is None or not found.usable:
            raise _no_such_link()
        person = await principals.get_stored(tx, found.principal_id)
    check_password(password, email=person.email, name=person.name)
    verifier = await hash_password(password)
    async with ctx.store.transaction() as tx:
        locked = await principals.lock_principal(tx, person.id)
        found = await passwords.lock_link(tx, digest_of(link))
        # Somebody may have been quicker while this password was hashed.
        if found is None or not found.usable or not locked.active:
            raise _no_such_link()
        await passwords.use_link(tx, digest_of(link))
        await passwords.set_verifier(tx, person.id, verifier)
        ended = await logins.end_all(tx, person.id)
        await entries.append(
            tx,
            Entry(
                EntryKind.PASSWORD_CHANGED,
                actor_id=person.id,
                address=address,
                application=application,
                content={"principal": person.id, "by": "link", "logins_ended": ended},
            ),
        )
    return person.email


def _no_such_link() -> NotFound:
    return NotFound(
        "this link is unknown, used or expired",
        next_step="ask an admin for a new one",
        code="link_unknown",
    )
