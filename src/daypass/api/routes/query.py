"""Running statements under a grant."""

from __future__ import annotations

from pydantic import Field

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned
from daypass.api.shapes import Body, Out
from daypass.audit.entry import EntryKind
from daypass.domain.ids import GrantId
from daypass.domain.principal import Capability
from daypass.operations.run_query import CutBy, run_query

routes = Routes("query")

_MAX_PARAMETERS = 1000


class QueryBody(Body):
    """One or more statements, and the database they are for."""

    database: str = Field(min_length=3, max_length=200, examples=["prod/shop"])
    text: str = Field(min_length=1, max_length=500_000, examples=["select 1"])
    parameters: list[str | None] = Field(
        default_factory=list, max_length=_MAX_PARAMETERS, examples=[[]]
    )
    grant_id: int | None = Field(default=None, ge=1, lt=2**63, examples=[None])
    max_rows: int = Field(default=1000, ge=0, le=10_000)


class ResultColumnOut(Out):
    """A column of a result."""

    name: str
    type: str


class QueryOut(Out):
    """A result, with values as text; `sqlstate` and `error` say what the server refused."""

    grant_id: int
    session_id: int
    columns: list[ResultColumnOut]
    rows: list[list[str | None]]
    row_count: int
    truncated: bool
    cut_by: CutBy | None = Field(description="why rows are missing, if any are")
    command: str
    notices: list[str]
    masked: list[str] = Field(description="result columns that are masked")
    sqlstate: str
    error: str
    hint: str
    error_position: int | None
    duration_s: float


@routes.post(
    "/query",
    RouteFacts(
        concerned("any principal with a live grant on the database"),
        Capability.CONNECT,
        entries=(
            EntryKind.SESSION_AUTHORIZED,
            EntryKind.SESSION_OPENED,
            EntryKind.STATEMENT_STARTED,
            EntryKind.STATEMENT_ENDED,
            EntryKind.STATEMENT_DENIED,
            EntryKind.SESSION_CLOSED,
        ),
        keeps_answer=False,
        timeout_s=120,
    ),
)
async def query_database(call: ThisCall, body: QueryBody) -> QueryOut:
    """Run statements under the caller's grant, in a session of their own."""
    outcome = await run_query(
        call.ctx,
        call.actor,
        body.database,
        body.text,
        parameters=body.parameters,
        grant_id=None if body.grant_id is None else GrantId(body.grant_id),
        max_rows=body.max_rows,
    )
    result = outcome.result
    return QueryOut(
        grant_id=outcome.grant_id,
        session_id=outcome.session_id,
        columns=[ResultColumnOut.model_validate(each) for each in result.columns],
        rows=[list(row) for row in result.rows],
        row_count=result.row_count,
        truncated=result.truncated,
        cut_by=outcome.cut_by,
        command=result.command,
        notices=list(result.notices),
        masked=list(outcome.masked),
        sqlstate=result.sqlstate,
        error=result.error,
        hint=result.hint,
        error_position=result.error_position,
        duration_s=round(result.duration_s, 6),
    )
