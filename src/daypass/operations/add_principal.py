"""Add people and service accounts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Invalid
from daypass.domain.principal import Actor, DaypassRole, PrincipalKind
from daypass.operations.context import Context, require_role
from daypass.operations.entry_by import entry_by
from daypass.operations.principal_facts import (
    as_json,
    check_attributes,
    check_email,
    check_name,
    find_person,
)
from daypass.operations.token_form import SCRAM_ITERATIONS, SCRAM_SALT_BYTES
from daypass.store import entries, groups, principals
from daypass.store.principals import StoredPrincipal


@dataclass(frozen=True, slots=True)
class PrincipalFacts:
    """What a new principal is; `manager` and `owner` are e-mail addresses of people.

    `owner` answers for a service account and is None for a person.
    """

    email: str
    name: str
    roles: frozenset[DaypassRole] = frozenset({DaypassRole.MEMBER})
    groups: frozenset[str] = frozenset()
    attributes: Mapping[str, object] = field(default_factory=dict)
    manager: str | None = None
    owner: str | None = None


async def add_principal(ctx: Context, actor: Actor, facts: PrincipalFacts) -> StoredPrincipal:
    """Add a person, or a service account when it has an owner; only for admins.

    A person gets a password by a link of its own (`issue_password_link`). Raises `Conflict` when
    the e-mail address is taken.
    """
    require_role(actor, DaypassRole.ADMIN)
    email, name = check_email(facts.email), check_name(facts.name)
    attributes = check_attributes(facts.attributes)
    kind = PrincipalKind.PERSON if facts.owner is None else PrincipalKind.SERVICE_ACCOUNT
    if kind is PrincipalKind.SERVICE_ACCOUNT and facts.manager is not None:
        raise Invalid(
            "a service account has an owner and no manager",
            problems=(("manager", "leave it out"),),
            code="invalid_principal",
        )
    async with ctx.store.transaction() as tx:
        manager_id = await find_person(tx, "manager", facts.manager) if facts.manager else None
        owner_id = await find_person(tx, "owner", facts.owner) if facts.owner else None
        if owner_id is not None:
            # Whoever leaves takes their service accounts along: this one is not to be missed.
            await principals.hold_principal(tx, owner_id)
            owner_id = await find_person(tx, "owner", facts.owner or "")
        principal_id = await principals.add_principal(
            tx,
            principals.NewPrincipal(
                kind=kind,
                name=name,
                email=email,
                roles=facts.roles | {DaypassRole.MEMBER},
                attributes=attributes,
                scram_salt=secrets.token_bytes(SCRAM_SALT_BYTES),
                scram_iterations=SCRAM_ITERATIONS,
                manager_id=manager_id,
                owner_id=owner_id,
            ),
        )
        for group in sorted(facts.groups):
            await groups.add_member(tx, (await groups.get_group(tx, group)).id, principal_id)
        await entries.append(
            tx,
            entry_by(
                actor,
                EntryKind.PRINCIPAL_ADDED,
                principal=principal_id,
                kind_of_principal=kind.value,
                roles=sorted(role.value for role in facts.roles),
                groups=sorted(facts.groups),
                attributes={key: as_json(value) for key, value in attributes.items()},
                manager=manager_id,
                owner=owner_id,
            ),
        )
        return await principals.get_stored(tx, principal_id)
