"""Grants: using, changing and ending them, and the proof that they ended."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned
from daypass.api.pages import Page, PageQuery, before_number, page_from, page_of
from daypass.api.routes.requests import FiledOut, filed_out
from daypass.api.shapes import Body, Duration, Moment, Out, Reason
from daypass.audit.entry import EntryKind
from daypass.domain.ids import GrantId
from daypass.domain.principal import Capability
from daypass.domain.states import GrantState
from daypass.operations.extend_grant import extend_grant
from daypass.operations.issue_credential import issue_credential
from daypass.operations.release_grant import release_grant
from daypass.operations.review_break_glass import review_break_glass
from daypass.operations.revoke_grant import revoke_grant
from daypass.operations.shorten_grant import shorten_grant
from daypass.operations.show_grants import (
    GrantFilter,
    list_grants,
    list_sessions,
    show_grant,
    show_receipt,
)
from daypass.store.grants import GrantRow

routes = Routes("grants")

GrantNumber = Annotated[int, Path(ge=1, lt=2**63, examples=[1])]
_LOOK = concerned("its holder, owners of the database, who may review it, admin, auditor")


class GrantOut(Out):
    """A grant."""

    id: int
    request_id: int
    principal: str
    principal_name: str
    database: str
    database_id: int
    asked: dict[str, Any]
    profile: str
    rule: str | None
    limits: dict[str, Any]
    direct_credentials: bool
    break_glass: bool
    reviewed: bool
    review_overdue: bool
    starts_at: datetime
    deadline: datetime
    state: GrantState
    end_cause: str | None
    ended_by: str | None
    end_reason: str
    ended_at: datetime | None
    revoke_attempts: int
    revoke_error: str
    revision: int
    created_at: datetime


class ShownGrantOut(GrantOut):
    """A grant and what it came to: the scope as applied, and what is left out or blocked."""

    remaining_s: float
    scope: dict[str, Any] | None
    left_out: list[dict[str, str]]
    blocked: list[dict[str, str]]


class GrantsQuery(PageQuery):
    """Which grants to list."""

    state: list[GrantState] = Field(default_factory=list, max_length=4)
    database: str | None = Field(default=None, max_length=200)
    mine: bool = False
    unreviewed: bool = Field(default=False, description="break-glass grants nobody judged yet")


class ReceiptOut(Out):
    """Proof of revocation: what was probed and found gone; `lag_s` is how long it took."""

    grant_id: int
    principal: str
    database: str
    due_at: datetime
    closed_at: datetime
    removed_at: datetime
    lag_s: float
    accounts: list[str]
    terminated: int
    rolled_back: int
    dropped: int
    probes: list[str]
    attempts: int
    created_at: datetime


class SessionOut(Out):
    """One connection to a target opened under a grant."""

    id: int
    grant_id: int
    kind: str
    account: str
    state: str
    address: str
    application: str
    opened_at: datetime
    closed_at: datetime | None
    close_reason: str


class ExtendBody(Body):
    """How much time to add, and why."""

    duration: Duration
    reason: Reason = Field(default="", examples=["still at it"])
    ticket: str = Field(default="", max_length=200, examples=["INC-42"])


class ShortenBody(Body):
    """An earlier deadline."""

    deadline: Moment = Field(examples=["2030-01-31T18:00:00Z"])
    reason: Reason = Field(default="", examples=["nearly done"])


class RevokeBody(Body):
    """Why a grant is revoked."""

    reason: Reason = Field(min_length=1, examples=["not needed any more"])


class ReviewBody(Body):
    """What a review found."""

    justified: bool
    comment: Reason = Field(min_length=1, examples=["the outage was real"])


class CredentialOut(Out):
    """A direct credential, shown this once; it ends with the grant."""

    host: str
    port: int
    database: str
    user: str
    password: str | None


@routes.get("/grants", RouteFacts(_LOOK, Capability.READ))
async def list_all_grants(call: ThisCall, query: Annotated[GrantsQuery, Query()]) -> Page[GrantOut]:
    """List grants, newest first; a page may be short and not the last."""
    rows, goes_on = await list_grants(
        call.ctx,
        call.actor,
        GrantFilter(
            states=tuple(query.state),
            database=query.database,
            mine=query.mine,
            unreviewed=query.unreviewed,
        ),
        before=before_number(query),
        limit=query.limit,
    )
    return page_from(rows, goes_on, grant_out)


@routes.get("/grants/{grant_id}", RouteFacts(_LOOK, Capability.READ))
async def show_one_grant(call: ThisCall, grant_id: GrantNumber) -> ShownGrantOut:
    """Show a grant and what it came to on its database."""
    shown = await show_grant(call.ctx, call.actor, GrantId(grant_id))
    call.tag(shown.grant.revision)
    return ShownGrantOut(
        **grant_out(shown.grant).model_dump(),
        remaining_s=round(shown.remaining_s, 3),
        scope=shown.plan.scope if shown.plan else None,
        left_out=shown.plan.left_out if shown.plan else [],
        blocked=shown.plan.blocked if shown.plan else [],
    )


@routes.get("/grants/{grant_id}/receipt", RouteFacts(_LOOK, Capability.READ))
async def show_grant_receipt(call: ThisCall, grant_id: GrantNumber) -> ReceiptOut:
    """Show the receipt of a grant that was revoked."""
    return ReceiptOut.model_validate(await show_receipt(call.ctx, call.actor, GrantId(grant_id)))


@routes.get("/grants/{grant_id}/sessions", RouteFacts(_LOOK, Capability.READ))
async def list_grant_sessions(
    call: ThisCall, grant_id: GrantNumber, query: Annotated[PageQuery, Query()]
) -> Page[SessionOut]:
    """List the sessions of a grant, newest first."""
    rows = await list_sessions(
        call.ctx,
        call.actor,
        GrantId(grant_id),
        before=before_number(query),
        limit=query.limit + 1,
    )
    return page_of(rows, query, SessionOut.model_validate, lambda row: row.id)


@routes.post(
    "/grants/{grant_id}/extend",
    RouteFacts(
        concerned("its holder"),
        Capability.REQUEST,
        entries=(
            EntryKind.REQUEST_FILED,
            EntryKind.REQUEST_APPROVED,
            EntryKind.GRANT_EXTENDED,
            EntryKind.ACCESS_DENIED,
        ),
    ),
    status=201,
)
async def extend_one_grant(call: ThisCall, grant_id: GrantNumber, body: ExtendBody) -> FiledOut:
    """Ask for more time: a request of its own, decided like any other."""
    filed = await extend_grant(
        call.ctx,
        call.actor,
        GrantId(grant_id),
        body.duration,
        reason=body.reason,
        ticket=body.ticket,
    )
    call.made(f"/requests/{filed.request_id}")
    return filed_out(filed)


@routes.post(
    "/grants/{grant_id}/shorten",
    RouteFacts(
        concerned("its holder, owners of the database, admin"),
        Capability.REQUEST,
        entries=(EntryKind.GRANT_SHORTENED,),
    ),
    status=204,
)
async def shorten_one_grant(call: ThisCall, grant_id: GrantNumber, body: ShortenBody) -> None:
    """Bring a deadline closer."""
    await shorten_grant(call.ctx, call.actor, GrantId(grant_id), body.deadline, body.reason)


@routes.post(
    "/grants/{grant_id}/release",
    RouteFacts(concerned("its holder"), Capability.REQUEST, entries=(EntryKind.GRANT_ENDED,)),
    status=204,
)
async def release_one_grant(call: ThisCall, grant_id: GrantNumber) -> None:
    """Give a grant back now; its receipt follows."""
    await release_grant(call.ctx, call.actor, GrantId(grant_id))


@routes.post(
    "/grants/{grant_id}/revoke",
    RouteFacts(
        concerned("owners of the database, admin"),
        Capability.MANAGE,
        entries=(EntryKind.GRANT_ENDED,),
    ),
    status=204,
)
async def revoke_one_grant(call: ThisCall, grant_id: GrantNumber, body: RevokeBody) -> None:
    """End somebody's grant now; its receipt follows."""
    await revoke_grant(call.ctx, call.actor, GrantId(grant_id), body.reason)


@routes.post(
    "/grants/{grant_id}/review",
    RouteFacts(
        concerned("whom the rule names, admin; never its holder"),
        Capability.APPROVE,
        entries=(EntryKind.BREAK_GLASS_REVIEWED,),
    ),
    status=204,
)
async def review_one_grant(call: ThisCall, grant_id: GrantNumber, body: ReviewBody) -> None:
    """Judge a break-glass grant afterwards."""
    await review_break_glass(
        call.ctx, call.actor, GrantId(grant_id), justified=body.justified, comment=body.comment
    )


@routes.post(
    "/grants/{grant_id}/credential",
    RouteFacts(
        concerned("its holder, where a rule allows it"),
        Capability.CONNECT,
        entries=(EntryKind.SESSION_AUTHORIZED, EntryKind.CREDENTIAL_ISSUED),
        secret_fields=("password",),
        timeout_s=60,
    ),
    status=201,
)
async def issue_grant_credential(call: ThisCall, grant_id: GrantNumber) -> CredentialOut:
    """Hand out a direct credential, once."""
    credential = await issue_credential(call.ctx, call.actor, GrantId(grant_id))
    return CredentialOut(
        host=credential.host,
        port=credential.port,
        database=credential.database,
        user=credential.user,
        password=credential.password.reveal(),
    )


def grant_out(row: GrantRow) -> GrantOut:
    """Write a grant as the API shows it."""
    fields = {name: getattr(row, name) for name in GrantOut.model_fields if name != "asked"}
    return GrantOut(**fields, asked=row.asked_document)
