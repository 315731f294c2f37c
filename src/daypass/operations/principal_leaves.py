"""Somebody leaves, or a service account is given up: from then on nothing of theirs works."""

from __future__ import annotations

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Conflict, NotFound
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.domain.states import GrantEnd
from daypass.operations.change_principal import keep_an_admin
from daypass.operations.context import Context, require_capability, require_role
from daypass.operations.end_grants import end_grants_of
from daypass.operations.entry_by import entry_by
from daypass.operations.principal_facts import find_person
from daypass.operations.withdraw_request import withdraw_requests_of
from daypass.store import delegations, entries, groups, logins, passwords, principals, tokens
from daypass.store.database import Tx
from daypass.store.principals import StoredPrincipal


async def principal_leaves(
    ctx: Context,
    actor: Actor,
    principal_id: PrincipalId,
    *,
    reason: str,
    service_accounts_to: str | None = None,
) -> tuple[PrincipalId, ...]:
    """End everything of a principal: logins, access tokens, requests, grants, delegations.

    Admins do it to anybody, owners to their service accounts. The service accounts a person
    answers for go to `service_accounts_to` (an e-mail address), or leave too: nobody would answer
    for them. Returns all who left; one who had left before stays so, and is not among them.
    """
    require_capability(actor, Capability.MANAGE)
    async with ctx.store.transaction() as tx:
        found = await principals.get_stored(tx, principal_id)
        if not actor.has_role(DaypassRole.ADMIN):
            if found.owner_id != actor.id and found.id != actor.id:
                raise NotFound(f"there is no principal {principal_id}", code="principal_not_found")
            if found.owner_id != actor.id:
                require_role(actor, DaypassRole.ADMIN)
        heir = None
        if service_accounts_to:
            heir = await find_person(tx, "service_accounts_to", service_accounts_to)
        if heir == principal_id:
            raise Conflict("whoever leaves cannot answer for anything", code="principal_left")
        # The owner first: nobody can give them another service account while they are locked.
        wanted = {principal_id, heir} if heir is not None else {principal_id}
        locked = await principals.lock_principals(tx, wanted, and_admins=True)
        if not locked[principal_id].active:
            return ()
        if heir is not None and not locked[heir].active:
            raise Conflict(f"{locked[heir].email} has left", code="principal_left")
        keep_an_admin(locked, principal_id)
        left = [await _leave(tx, actor, locked[principal_id], reason)]
        owned = await principals.list_stored(tx, owner_id=principal_id, active=True, limit=None)
        for account in (await principals.lock_principals(tx, [each.id for each in owned])).values():
            if heir is not None:
                await principals.set_owner(tx, account.id, heir)
                await entries.append(
                    tx,
                    entry_by(
                        actor,
                        EntryKind.PRINCIPAL_CHANGED,
                        principal=account.id,
                        changed={"owner": {"from": principal_id, "to": heir}},
                    ),
                )
            elif account.active:
                left.append(await _leave(tx, actor, account, f"its owner left: {reason}"))
        return tuple(left)


async def _leave(tx: Tx, actor: Actor, principal: StoredPrincipal, reason: str) -> PrincipalId:
    principal_id = principal.id
    await principals.set_active(tx, principal_id, active=False)
    await passwords.remove_verifier(tx, principal_id)
    ended_logins = await logins.end_all(tx, principal_id)
    revoked = await tokens.revoke_all(tx, principal_id)
    ended_delegations = await delegations.end_all(tx, principal_id)
    await groups.remove_everywhere(tx, principal_id)
    withdrawn = await withdraw_requests_of(tx, principal_id, by=actor.id, reason=reason)
    ended_grants = await end_grants_of(
        tx, principal_id, GrantEnd.PRINCIPAL_LEFT, by=actor.id, reason=reason
    )
    await entries.append(
        tx,
        entry_by(
            actor,
            EntryKind.PRINCIPAL_LEFT,
            principal=principal_id,
            reason=reason,
            groups=sorted(principal.groups),
            roles=sorted(principal.roles),
            logins=ended_logins,
            tokens=list(revoked),
            delegations=list(ended_delegations),
            requests=list(withdrawn),
            grants=list(ended_grants),
        ),
    )
    return principal_id
