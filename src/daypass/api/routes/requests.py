"""Requests: asking, deciding, withdrawing."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned
from daypass.api.pages import Page, PageQuery, before_number, page_from
from daypass.api.routes.decisions import (
    AskBody,
    BlockedOut,
    DecisionOut,
    LeftOutOut,
    ask_of,
    blocked_out,
    decision_out,
    left_out_out,
)
from daypass.api.shapes import Body, Duration, Out, Reason
from daypass.audit.entry import EntryKind
from daypass.domain.ids import RequestId
from daypass.domain.principal import Capability
from daypass.domain.states import RequestState
from daypass.operations.decide_request import Decided, decide_request
from daypass.operations.request_access import Filed, request_access
from daypass.operations.show_requests import RequestFilter, list_requests, show_request
from daypass.operations.withdraw_request import withdraw_request
from daypass.store.requests import RequestRow

routes = Routes("requests")

RequestNumber = Annotated[int, Path(ge=1, lt=2**63, examples=[1])]
_DECIDE = RouteFacts(
    concerned(
        "whom the step that is up names, and who decides in their place; never the requester"
    ),
    Capability.APPROVE,
    entries=(
        EntryKind.APPROVAL_GIVEN,
        EntryKind.REQUEST_APPROVED,
        EntryKind.REQUEST_DENIED,
        EntryKind.REQUEST_REDECIDED,
        EntryKind.REQUEST_EXPIRED,
        EntryKind.GRANT_MADE,
        EntryKind.GRANT_EXTENDED,
    ),
)


class FiledOut(Out):
    """A filed request: with a grant when policy allowed it by itself."""

    request_id: int
    grant_id: int | None
    decision: DecisionOut
    masked: list[str] = Field(description="columns that will be masked")
    left_out: list[LeftOutOut]
    blocked: list[BlockedOut] = Field(
        description="exposures for which nothing opens until an owner mends or accepts them"
    )


class RequestOut(Out):
    """A request."""

    id: int
    requester: str
    requester_name: str
    database: str
    database_id: int
    asked: dict[str, Any]
    profile: str
    duration: Duration
    starts_at: datetime | None
    reason: str
    ticket: str
    direct_credentials: bool
    break_glass: bool
    extends_grant_id: int | None
    state: RequestState
    rule: str | None
    round: int
    policy_version: int
    pending_until: datetime
    decided_by: str | None
    decided_reason: str
    decided_at: datetime | None
    created_at: datetime
    grant_id: int | None


class StepOut(Out):
    """One step of approval; `current` is the one that is up."""

    approvers: list[str]
    needed: int
    remaining: int
    current: bool
    done: bool


class ApprovalOut(Out):
    """One approver's yes or no; those of an earlier `round` no longer count."""

    round: int
    step: int
    approver: str
    on_behalf_of: str | None
    verdict: str
    comment: str
    duration_limit: Duration | None
    created_at: datetime


class ShownRequestOut(RequestOut):
    """A request with its decision, steps and verdicts; `awaits_me`: the caller may decide it."""

    decision: dict[str, Any]
    steps: list[StepOut]
    approvals: list[ApprovalOut]
    awaits_me: bool


class RequestsQuery(PageQuery):
    """Which requests to list."""

    state: RequestState | None = None
    database: str | None = Field(default=None, max_length=200)
    mine: bool = False
    awaiting_me: bool = Field(default=False, description="those the caller may decide now")


class ApproveBody(Body):
    """A yes, for no longer than `duration` where one is given."""

    comment: Reason = Field(default="", examples=["fine"])
    duration: Duration | None = Field(default=None, examples=[None])


class DenyBody(Body):
    """A no, and why."""

    comment: Reason = Field(min_length=1, examples=["use staging for this"])


class WithdrawBody(Body):
    """Why a request is taken back."""

    reason: Reason = Field(default="", examples=["no longer needed"])


class DecidedOut(Out):
    """A request after a verdict: `remaining` yeses are missing in step `step` of `steps`."""

    request: RequestOut
    step: int
    steps: int
    remaining: int


@routes.post(
    "/requests",
    RouteFacts(
        concerned("any principal a rule lets ask"),
        Capability.REQUEST,
        entries=(
            EntryKind.REQUEST_FILED,
            EntryKind.REQUEST_APPROVED,
            EntryKind.GRANT_MADE,
            EntryKind.ACCESS_DENIED,
        ),
    ),
    status=201,
)
async def file_request(call: ThisCall, body: AskBody) -> FiledOut:
    """Ask for access; what policy allows by itself is granted at once."""
    filed = await request_access(call.ctx, call.actor, ask_of(body))
    call.made(f"/requests/{filed.request_id}")
    return filed_out(filed)


@routes.get(
    "/requests",
    RouteFacts(
        concerned(
            "any principal: its own and those it may decide; owners: those on their databases;"
            " admin and auditor: all"
        ),
        Capability.READ,
    ),
)
async def list_all_requests(
    call: ThisCall, query: Annotated[RequestsQuery, Query()]
) -> Page[RequestOut]:
    """List requests, newest first; a page may be short and not the last."""
    rows, goes_on = await list_requests(
        call.ctx,
        call.actor,
        RequestFilter(
            state=query.state,
            database=query.database,
            mine=query.mine,
            awaiting_me=query.awaiting_me,
        ),
        before=before_number(query),
        limit=query.limit,
    )
    return page_from(rows, goes_on, request_out)


@routes.get(
    "/requests/{request_id}",
    RouteFacts(
        concerned("the requester, who may decide it, owners of the database, admin, auditor"),
        Capability.READ,
    ),
)
async def show_one_request(call: ThisCall, request_id: RequestNumber) -> ShownRequestOut:
    """Show a request, what it waits for, and every verdict."""
    shown = await show_request(call.ctx, call.actor, RequestId(request_id))
    return ShownRequestOut(
        **request_out(shown.request).model_dump(),
        decision=shown.request.decision,
        steps=[
            StepOut(
                approvers=[str(each) for each in step.spec.approvers],
                needed=step.spec.count,
                remaining=0 if step.done else step.remaining,
                current=step.current,
                done=step.done,
            )
            for step in shown.steps
        ],
        approvals=[
            ApprovalOut(
                round=given.round,
                step=given.position + 1,
                approver=given.approver,
                on_behalf_of=given.on_behalf_of,
                verdict=given.verdict,
                comment=given.comment,
                duration_limit=given.duration_limit,
                created_at=given.created_at,
            )
            for given in shown.approvals
        ],
        awaits_me=shown.awaits_me,
    )


@routes.post("/requests/{request_id}/approve", _DECIDE)
async def approve_request(
    call: ThisCall, request_id: RequestNumber, body: ApproveBody
) -> DecidedOut:
    """Say yes to the step that is up."""
    return _decided(
        await decide_request(
            call.ctx,
            call.actor,
            RequestId(request_id),
            yes=True,
            comment=body.comment,
            duration=body.duration,
        )
    )


@routes.post("/requests/{request_id}/deny", _DECIDE)
async def deny_request(call: ThisCall, request_id: RequestNumber, body: DenyBody) -> DecidedOut:
    """Say no: the request is denied, with the reason for the requester to read."""
    return _decided(
        await decide_request(
            call.ctx, call.actor, RequestId(request_id), yes=False, comment=body.comment
        )
    )


@routes.post(
    "/requests/{request_id}/withdraw",
    RouteFacts(
        concerned("the requester, whoever answers for a requesting service account"),
        Capability.REQUEST,
        entries=(EntryKind.REQUEST_WITHDRAWN,),
    ),
    status=204,
)
async def withdraw_one_request(
    call: ThisCall, request_id: RequestNumber, body: WithdrawBody
) -> None:
    """Take a pending request back."""
    await withdraw_request(call.ctx, call.actor, RequestId(request_id), body.reason)


def filed_out(filed: Filed) -> FiledOut:
    """Write a filed request as the API shows it."""
    return FiledOut(
        request_id=filed.request_id,
        grant_id=filed.grant_id,
        decision=decision_out(filed.decision),
        masked=list(filed.masked),
        left_out=left_out_out(filed.left_out),
        blocked=blocked_out(filed.blocked),
    )


def request_out(row: RequestRow) -> RequestOut:
    """Write a request as the API shows it."""
    fields = {name: getattr(row, name) for name in RequestOut.model_fields if name != "asked"}
    return RequestOut(**fields, asked=row.asked_document)


def _decided(decided: Decided) -> DecidedOut:
    return DecidedOut(
        request=request_out(decided.request),
        step=decided.step,
        steps=decided.steps,
        remaining=decided.remaining,
    )
