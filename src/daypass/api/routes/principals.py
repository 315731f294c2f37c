"""People and service accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned, holders
from daypass.api.pages import Page, PageQuery, after_number, page_of
from daypass.api.shapes import Body, Email, Name, Out, Reason
from daypass.audit.entry import EntryKind
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Capability, DaypassRole, PrincipalKind
from daypass.operations.add_principal import PrincipalFacts, add_principal
from daypass.operations.change_password import issue_password_link
from daypass.operations.change_principal import PrincipalChange, change_principal
from daypass.operations.principal_leaves import principal_leaves
from daypass.operations.principal_returns import principal_returns
from daypass.operations.show_principals import PrincipalFilter, list_principals, show_principal
from daypass.store.principals import StoredPrincipal

routes = Routes("principals")

PrincipalNumber = Annotated[int, Path(ge=1, lt=2**63, examples=[1])]
Attribute = str | int | float | bool | list[str | int | float | bool] | None
_ATTRIBUTES: dict[str, Attribute] = Field(
    default_factory=dict, max_length=50, examples=[{"region": "eu"}]
)


class PrincipalOut(Out):
    """A person or service account."""

    id: int
    kind: PrincipalKind
    email: str
    name: str
    active: bool
    groups: list[str]
    roles: list[DaypassRole]
    attributes: dict[str, Any]
    manager: str | None
    owner: str | None
    revision: int
    created_at: datetime
    left_at: datetime | None


class PrincipalsQuery(PageQuery):
    """Which principals to list."""

    kind: PrincipalKind | None = None
    group: str | None = Field(default=None, max_length=63)
    role: DaypassRole | None = None
    email: str | None = Field(default=None, max_length=254)
    left: bool = Field(default=False, description="list those who left instead")


class NewPersonBody(Body):
    """A new person."""

    email: Email
    name: Name = Field(examples=["Alice Example"])
    roles: set[DaypassRole] = Field(default_factory=set, examples=[["member"]])
    groups: set[str] = Field(default_factory=set, max_length=100, examples=[[]])
    attributes: dict[str, Attribute] = _ATTRIBUTES
    manager: Email | None = Field(default=None, examples=[None])


class NewServiceAccountBody(Body):
    """A new service account and whoever answers for it."""

    email: Email = Field(examples=["agent@example.com"])
    name: Name = Field(examples=["Agent"])
    owner: Email
    roles: set[DaypassRole] = Field(default_factory=set, examples=[["member"]])
    groups: set[str] = Field(default_factory=set, max_length=100, examples=[[]])
    attributes: dict[str, Attribute] = _ATTRIBUTES


class PrincipalChangeBody(Body):
    """What to change; what is left out stays. An empty `manager` takes the manager away."""

    name: Name | None = Field(default=None, examples=["Alice Example"])
    roles: set[DaypassRole] | None = Field(default=None, examples=[["auditor", "member"]])
    attributes: dict[str, Attribute] | None = Field(
        default=None, max_length=50, examples=[{"region": "us"}]
    )
    manager: str | None = Field(default=None, max_length=254, examples=[""])
    owner: Email | None = Field(default=None, examples=[None])


class LeaveBody(Body):
    """Why somebody leaves, and who answers for their service accounts from now on."""

    reason: Reason = Field(min_length=1, examples=["left the company"])
    service_accounts_to: Email | None = Field(default=None, examples=[None])


class ReturnBody(Body):
    """Who answers for a service account from now on, if not whoever did."""

    owner: Email | None = Field(default=None, examples=[None])


class LeftOut(Out):
    """Whoever left: the principal, and service accounts nobody answers for any more."""

    left: list[int]


class PasswordLinkOut(Out):
    """A one-time link by which a person chooses a password; shown this once."""

    principal_id: int
    email: str
    url: str | None
    expires_at: datetime


def principal_out(stored: StoredPrincipal) -> PrincipalOut:
    """Write a principal as the API shows it."""
    return PrincipalOut.model_validate(stored)


@routes.get(
    "/principals",
    RouteFacts(
        concerned(
            "any principal: itself and its service accounts; admin, auditor and policy editor: all"
        ),
        Capability.READ,
    ),
)
async def list_all_principals(
    call: ThisCall, query: Annotated[PrincipalsQuery, Query()]
) -> Page[PrincipalOut]:
    """List people and service accounts."""
    rows = await list_principals(
        call.ctx,
        call.actor,
        PrincipalFilter(
            kind=query.kind,
            group=query.group,
            role=query.role,
            email=query.email,
            active=not query.left,
        ),
        after=after_number(query),
        limit=query.limit + 1,
    )
    return page_of(rows, query, principal_out, lambda row: row.id)


@routes.post(
    "/principals",
    RouteFacts(
        holders(DaypassRole.ADMIN),
        Capability.MANAGE,
        entries=(EntryKind.PRINCIPAL_ADDED,),
    ),
    status=201,
)
async def add_person(call: ThisCall, body: NewPersonBody) -> PrincipalOut:
    """Add a person; `POST …/password-link` then lets them choose a password."""
    facts = PrincipalFacts(
        email=body.email,
        name=body.name,
        roles=frozenset(body.roles),
        groups=frozenset(body.groups),
        attributes=body.attributes,
        manager=body.manager,
    )
    return _made(call, await add_principal(call.ctx, call.actor, facts))


@routes.post(
    "/service-accounts",
    RouteFacts(
        holders(DaypassRole.ADMIN),
        Capability.MANAGE,
        entries=(EntryKind.PRINCIPAL_ADDED,),
    ),
    status=201,
)
async def add_service_account(call: ThisCall, body: NewServiceAccountBody) -> PrincipalOut:
    """Add a service account; it works with access tokens that its owner issues."""
    facts = PrincipalFacts(
        email=body.email,
        name=body.name,
        roles=frozenset(body.roles),
        groups=frozenset(body.groups),
        attributes=body.attributes,
        owner=body.owner,
    )
    return _made(call, await add_principal(call.ctx, call.actor, facts))


@routes.get(
    "/principals/{principal_id}",
    RouteFacts(
        concerned("the principal, whoever answers for it, admin, auditor, policy editor"),
        Capability.READ,
    ),
)
async def show_one_principal(call: ThisCall, principal_id: PrincipalNumber) -> PrincipalOut:
    """Show a person or service account, with its revision as `ETag`."""
    stored = await show_principal(call.ctx, call.actor, PrincipalId(principal_id))
    call.tag(stored.revision)
    return principal_out(stored)


@routes.patch(
    "/principals/{principal_id}",
    RouteFacts(
        concerned("admin; any principal its own name"),
        Capability.MANAGE,
        entries=(EntryKind.PRINCIPAL_CHANGED,),
    ),
)
async def change_one_principal(
    call: ThisCall, principal_id: PrincipalNumber, body: PrincipalChangeBody
) -> PrincipalOut:
    """Change a person or service account; with `If-Match`, only the revision one has seen."""
    change = PrincipalChange(
        name=body.name,
        roles=None if body.roles is None else frozenset(body.roles),
        attributes=body.attributes,
        manager=body.manager,
        owner=body.owner,
    )
    stored = await change_principal(
        call.ctx,
        call.actor,
        PrincipalId(principal_id),
        change,
        expected_revision=call.expected_revision,
    )
    call.tag(stored.revision)
    return principal_out(stored)


@routes.post(
    "/principals/{principal_id}/leave",
    RouteFacts(
        concerned("admin; whoever answers for a service account"),
        Capability.MANAGE,
        entries=(
            EntryKind.PRINCIPAL_LEFT,
            EntryKind.PRINCIPAL_CHANGED,
            EntryKind.REQUEST_WITHDRAWN,
            EntryKind.GRANT_ENDED,
        ),
    ),
)
async def let_principal_leave(
    call: ThisCall, principal_id: PrincipalNumber, body: LeaveBody
) -> LeftOut:
    """End everything of a principal: logins, access tokens, requests, grants, delegations."""
    left = await principal_leaves(
        call.ctx,
        call.actor,
        PrincipalId(principal_id),
        reason=body.reason,
        service_accounts_to=body.service_accounts_to,
    )
    return LeftOut(left=list(left))


@routes.post(
    "/principals/{principal_id}/return",
    RouteFacts(
        holders(DaypassRole.ADMIN), Capability.MANAGE, entries=(EntryKind.PRINCIPAL_CHANGED,)
    ),
)
async def let_principal_return(
    call: ThisCall, principal_id: PrincipalNumber, body: ReturnBody
) -> PrincipalOut:
    """Make somebody who left active again: a mere member, in no group, with no way to sign in."""
    stored = await principal_returns(
        call.ctx, call.actor, PrincipalId(principal_id), owner=body.owner
    )
    call.tag(stored.revision)
    return principal_out(stored)


@routes.post(
    "/principals/{principal_id}/password-link",
    RouteFacts(
        holders(DaypassRole.ADMIN),
        Capability.MANAGE,
        entries=(EntryKind.PRINCIPAL_CHANGED,),
        secret_fields=("url",),
    ),
    status=201,
)
async def issue_one_password_link(call: ThisCall, principal_id: PrincipalNumber) -> PasswordLinkOut:
    """Issue a one-time link by which a person chooses a password; they are told of it."""
    issued = await issue_password_link(call.ctx, call.actor, PrincipalId(principal_id))
    return PasswordLinkOut(
        principal_id=issued.principal_id,
        email=issued.email,
        url=issued.url.reveal(),
        expires_at=issued.expires_at,
    )


def _made(call: ThisCall, stored: StoredPrincipal) -> PrincipalOut:
    call.tag(stored.revision)
    call.made(f"/principals/{stored.id}")
    return principal_out(stored)
