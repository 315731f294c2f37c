"""Run statements under a grant, by the same permit path every session takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daypass.audit.entry import Entry, EntryKind, Json
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Denied
from daypass.domain.ids import GrantId, SessionId
from daypass.domain.principal import Actor
from daypass.engines.contract import PreparedText, StatementFacts, StatementResult, Verdict
from daypass.operations.authorize_session import Candidate, authorize_session, find_candidates
from daypass.operations.context import Context
from daypass.operations.open_session import opened
from daypass.operations.open_target import engine_of
from daypass.store import entries

_MAX_ROWS = 10_000
_TIMEOUT_S = 60.0
_TEXT_IN_ENTRY = 100_000


@dataclass(frozen=True, slots=True)
class QueryOutcome:
    """A result with the grant and session it ran under; `masked` names masked result columns."""

    result: StatementResult
    grant_id: GrantId
    session_id: SessionId
    masked: tuple[str, ...]


async def run_query(
    ctx: Context,
    actor: Actor,
    database: str,
    text: str,
    *,
    parameters: Sequence[str | None] = (),
    grant_id: GrantId | None = None,
    max_rows: int = 1000,
) -> QueryOutcome:
    """Run a text of one or more statements under the most specific live grant that allows it.

    Raises `Denied` with what to ask for when none does; the denial is recorded. Errors of the
    server are part of the result.
    """
    candidates = await find_candidates(ctx, actor, database, grant_id)
    candidate, prepared = _choose(ctx, candidates, text)
    if prepared.verdict is Verdict.DENY:
        await _record_denied(ctx, actor, candidate, prepared, text)
        raise _denied(database, prepared)
    permit = await authorize_session(ctx, actor, candidate, kind="query")
    limits = candidate.grant.limits
    rows = min(max(0, max_rows), _MAX_ROWS, limits.get("rows") or _MAX_ROWS)
    timeout_s = min(_TIMEOUT_S, limits.get("statement_timeout_s") or _TIMEOUT_S)
    async with opened(ctx, permit, candidate.found.plan) as session:
        started = Entry(
            EntryKind.STATEMENT_STARTED,
            actor_id=actor.id,
            address=actor.address,
            application=actor.application,
            database_id=permit.database_id,
            grant_id=permit.grant_id,
            session_id=permit.session_id,
            rule=candidate.grant.rule,
            content=_statement_content(text, prepared.statements),
        )
        # I4: on record before the database sees it.
        async with ctx.store.transaction() as tx:
            number = await entries.append(tx, started)
        result = await session.execute(
            prepared.text, parameters=parameters, max_rows=rows, timeout_s=timeout_s
        )
        async with ctx.store.transaction() as tx:
            await entries.append(
                tx,
                Entry(
                    EntryKind.STATEMENT_ENDED,
                    actor_id=actor.id,
                    database_id=permit.database_id,
                    grant_id=permit.grant_id,
                    session_id=permit.session_id,
                    content={
                        "statement": number,
                        "rows": result.row_count,
                        "duration_us": round(result.duration_s * 1_000_000),
                        "sqlstate": result.sqlstate,
                        "command": result.command,
                    },
                ),
            )
    return QueryOutcome(
        result, permit.grant_id, permit.session_id, _masked_names(candidate, prepared, result)
    )


def _choose(
    ctx: Context, candidates: Sequence[Candidate], text: str
) -> tuple[Candidate, PreparedText]:
    first: tuple[Candidate, PreparedText] | None = None
    for candidate in candidates:
        prepared = engine_of(ctx, candidate.found.facts.engine).prepare(text, candidate.found.plan)
        if prepared.verdict is Verdict.FORWARD:
            return candidate, prepared
        if first is None:
            first = candidate, prepared
    if first is None:
        raise RuntimeError("no candidate was given")
    return first


def _statement_content(text: str, statements: Sequence[StatementFacts]) -> dict[str, Json]:
    # Statements that set passwords are denied, and must not be the place where one is kept.
    hidden = "password" in text.lower()
    return {
        "text": "(not kept: it may hold a password)" if hidden else text[:_TEXT_IN_ENTRY],
        "length": len(text),
        "classes": sorted({c.value for s in statements for c in s.classes}),
        "read": sorted({str(name) for s in statements for name in s.read}),
        "written": sorted({str(name) for s in statements for name in s.written}),
        "functions": sorted({name for s in statements for name in s.functions}),
        "fingerprints": [s.fingerprint for s in statements],
    }


async def _record_denied(
    ctx: Context, actor: Actor, candidate: Candidate, prepared: PreparedText, text: str
) -> None:
    async with ctx.store.transaction() as tx:
        await entries.append(
            tx,
            Entry(
                EntryKind.STATEMENT_DENIED,
                actor_id=actor.id,
                address=actor.address,
                application=actor.application,
                database_id=candidate.grant.database_id,
                grant_id=candidate.grant.id,
                rule=candidate.grant.rule,
                content={
                    **_statement_content(text, prepared.statements),
                    "code": prepared.code,
                    "reason": prepared.reason,
                },
            ),
        )


def _denied(database: str, prepared: PreparedText) -> Denied:
    options = "".join(f" --class {c.value}" for c in sorted(prepared.missing_classes))
    options += "".join(f" --relation {name}" for name in prepared.missing)
    ask = f'daypass request {database}{options} --reason "…"' if options else ""
    return Denied(
        Decision(
            Outcome.DENIED,
            (Reason(prepared.code or "statement_denied", prepared.reason),),
            next_step=f"ask for it: {ask}" if ask else "",
        ),
        code=prepared.code or "statement_denied",
    )


def _masked_names(
    candidate: Candidate, prepared: PreparedText, result: StatementResult
) -> tuple[str, ...]:
    """Name result columns that are called like a masked column of a relation the text reads."""
    read = {name.name for statement in prepared.statements for name in statement.read}
    masked = {
        column.name
        for column in candidate.found.scope.masked_columns()
        if column.relation.name in read
    }
    return tuple(column.name for column in result.columns if column.name in masked)
