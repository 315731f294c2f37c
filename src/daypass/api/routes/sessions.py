"""Sessions that are open now, and the gateways through which clients open them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from daypass.api.call import ThisCall
from daypass.api.facts import ANY_PRINCIPAL, RouteFacts, Routes, concerned
from daypass.api.pages import Page, PageQuery, before_number, page_from
from daypass.api.shapes import Body, Out, Reason
from daypass.audit.entry import EntryKind
from daypass.domain.ids import SessionId
from daypass.domain.principal import Capability
from daypass.operations.kill_session import kill_session
from daypass.operations.live_sessions import LiveSession, list_live_sessions
from daypass.operations.show_gateways import list_live_gateways

routes = Routes("sessions")


class RunningOut(Out):
    """A statement that runs, cut to what is shown, as of the gateway's latest look."""

    statement: str
    since: datetime


class LiveSessionOut(Out):
    """A session that is not closed; `running` is known of a gateway's sessions alone."""

    id: int
    grant_id: int
    principal: str
    database: str
    kind: str
    account: str
    state: str
    address: str
    application: str
    opened_at: datetime
    running: RunningOut | None


class SessionsQuery(PageQuery):
    """Which sessions to list."""

    database: str | None = Field(default=None, max_length=200)
    mine: bool = False


class KillBody(Body):
    """Why a session is ended; needed for somebody else's."""

    reason: Reason = Field(default="", examples=["it blocks the migration"])


class GatewayOut(Out):
    """Where clients of databases connect; `certificate` is the PEM text to trust, or empty."""

    engine: str
    host: str
    port: int
    tls: str
    certificate: str


class GatewaysOut(Out):
    """The gateways that are alive."""

    items: list[GatewayOut]


@routes.get(
    "/sessions",
    RouteFacts(
        concerned("whoever may see the grant: its holder, owners of the database, admin, auditor"),
        Capability.READ,
    ),
)
async def list_sessions_now(
    call: ThisCall, query: Annotated[SessionsQuery, Query()]
) -> Page[LiveSessionOut]:
    """List the sessions that are not closed, newest first, with what runs in them."""
    rows, goes_on = await list_live_sessions(
        call.ctx,
        call.actor,
        database=query.database,
        mine=query.mine,
        before=before_number(query),
        limit=query.limit,
    )
    return page_from(rows, goes_on, _out)


@routes.post(
    "/sessions/{session_id}/kill",
    RouteFacts(
        # One's own takes a token that may connect, others' one that may manage.
        concerned("its holder, owners of the database, admin"),
        entries=(EntryKind.SESSION_KILLED,),
    ),
    status=204,
)
async def kill_one_session(
    call: ThisCall,
    session_id: Annotated[int, Path(ge=1, lt=2**63, examples=[1])],
    body: KillBody,
) -> None:
    """End a session now; its grant stays."""
    await kill_session(call.ctx, call.actor, SessionId(session_id), body.reason)


@routes.get("/gateways", RouteFacts(ANY_PRINCIPAL, Capability.CONNECT))
async def list_gateways(call: ThisCall) -> GatewaysOut:
    """List the gateways that are alive, and the certificates to know them by."""
    found = await list_live_gateways(call.ctx, call.actor)
    return GatewaysOut(items=[GatewayOut.model_validate(each) for each in found])


def _out(live: LiveSession) -> LiveSessionOut:
    row, running = live.session, live.running
    fields = {name: getattr(row, name) for name in LiveSessionOut.model_fields if name != "running"}
    return LiveSessionOut(
        **fields,
        running=RunningOut(statement=running.statement, since=running.since) if running else None,
    )
