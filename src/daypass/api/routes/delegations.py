"""Delegations: who decides in whose place."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned
from daypass.api.pages import Page, PageQuery, after_number, page_of
from daypass.api.shapes import Body, Email, Moment, Out
from daypass.audit.entry import EntryKind
from daypass.domain.principal import Capability
from daypass.operations.delegate_decisions import (
    delegate_decisions,
    end_delegation,
    list_delegations,
)
from daypass.store.delegations import Delegation

routes = Routes("delegations")


class DelegationOut(Out):
    """A delegation; `live` says whether it holds now."""

    id: int
    from_email: str
    to_email: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    ended_at: datetime | None
    live: bool


class DelegationsQuery(PageQuery):
    """Which delegations to list."""

    live: bool | None = None


class NewDelegationBody(Body):
    """Who decides in the caller's place, and when."""

    to: Email
    ends_at: Moment = Field(examples=["2030-01-31T18:00:00Z"])
    starts_at: Moment | None = Field(default=None, examples=[None])
    reason: str = Field(default="", max_length=500, examples=["holidays"])


@routes.get(
    "/delegations",
    RouteFacts(
        concerned("any principal: from and to itself; admin and auditor: all"), Capability.READ
    ),
)
async def list_all_delegations(
    call: ThisCall, query: Annotated[DelegationsQuery, Query()]
) -> Page[DelegationOut]:
    """List delegations."""
    rows = await list_delegations(
        call.ctx, call.actor, live=query.live, after=after_number(query), limit=query.limit + 1
    )
    return page_of(rows, query, _out, lambda row: row.id)


@routes.post(
    "/delegations",
    RouteFacts(
        concerned("people, for themselves"),
        Capability.APPROVE,
        entries=(EntryKind.DELEGATION_STARTED,),
    ),
    status=201,
)
async def start_delegation(call: ThisCall, body: NewDelegationBody) -> DelegationOut:
    """Let somebody decide in one's place for a time; it cannot be handed on."""
    delegation = await delegate_decisions(
        call.ctx,
        call.actor,
        to=body.to,
        ends_at=body.ends_at,
        starts_at=body.starts_at,
        reason=body.reason,
    )
    return _out(delegation)


@routes.delete(
    "/delegations/{delegation_id}",
    RouteFacts(
        concerned("whoever gave or got it, admin"),
        Capability.APPROVE,
        entries=(EntryKind.DELEGATION_ENDED,),
    ),
    status=204,
)
async def end_one_delegation(
    call: ThisCall, delegation_id: Annotated[int, Path(ge=1, lt=2**63, examples=[1])]
) -> None:
    """End a delegation early."""
    await end_delegation(call.ctx, call.actor, delegation_id)


def _out(delegation: Delegation) -> DelegationOut:
    return DelegationOut.model_validate(delegation)
