"""Run statements under a grant, by the same permit path every session takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from daypass.audit.entry import Entry, Json
from daypass.domain.catalog import RelationName
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Conflict, Denied, Error, Invalid, NotFound, Unavailable
from daypass.domain.ids import GrantId, SessionId
from daypass.domain.limits import Parameters, approved
from daypass.domain.permit import SessionPermit
from daypass.domain.principal import Actor
from daypass.domain.scope import AskedScope, LeftOut
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import (
    PreparedText,
    StatementFacts,
    StatementResult,
    Verdict,
)
from daypass.operations.authorize_session import Candidate, authorize_session, find_candidates
from daypass.operations.consider import left_out_mend, left_out_text
from daypass.operations.context import Context
from daypass.operations.end_grants import LIVE, has_ended
from daypass.operations.kill_session import say_end
from daypass.operations.open_session import WORK_DONE, Use, opened
from daypass.operations.open_target import engine_of
from daypass.operations.plan_grant import compile_scope
from daypass.operations.policy_in_force import look_at_policy
from daypass.operations.statement_entries import (
    PARAMETER_HASHES,
    Recording,
    denied_entry,
    ended_entry,
    started_entry,
    statement_facts,
    statement_reference,
    statement_text,
)
from daypass.policy.facts import class_names
from daypass.policy.globs import exact_glob
from daypass.store import entries, grants, sessions
from daypass.store.grants import GrantRow

_MAX_ROWS = 10_000
_MAX_BYTES = 16 * 2**20
_TIMEOUT_S = 60.0
_MAX_TEXT = 256 * 2**10
"""All of a text is on record, so none is longer than an entry may be."""
_SHORT_TEXT = 4096
"""Longer ones are read in a thread: they can take seconds, in which nobody would be served."""


class CutBy(StrEnum):
    """What keeps the rest of a result from being shown."""

    ASKED = "asked"
    RULE_ROWS = "rule_rows"
    MOST_ROWS = "most_rows"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class QueryOutcome:
    """A result with the grant and session it ran under; `masked` names masked result columns.

    `cut_by` says why rows of it are missing, if any are.
    """

    result: StatementResult
    grant_id: GrantId
    session_id: SessionId
    masked: tuple[str, ...]
    cut_by: CutBy | None = None


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
    server are part of the result; where the session itself ends under a statement, raises
    `Conflict` when Daypass ended it and `Unavailable` when the server did.
    """
    _check_texts(text, parameters)
    try:
        candidates = await find_candidates(ctx, actor, database, grant_id)
    except (Denied, NotFound) as error:
        content = {"database": database, **_content(ctx, text, parameters)}
        await _record_denied(ctx, actor, None, content, error.detail_code, error.message)
        raise
    usable = _that_may_send(candidates, text, parameters)
    if len(text) <= _SHORT_TEXT:
        candidate, prepared = _choose(ctx, usable or candidates, text)
    else:
        candidate, prepared = await asyncio.to_thread(_choose, ctx, usable or candidates, text)
    content = _content(ctx, text, parameters, prepared.statements, candidate)
    if not usable:
        other = _not_approved(database, candidate)
        await _record_denied(ctx, actor, candidate.grant, content, other.detail_code, other.message)
        raise other
    if prepared.verdict is Verdict.DENY:
        never = await _never_given(
            ctx, actor, candidate, prepared.missing, prepared.missing_classes
        )
        denied = _denied(database, candidate, prepared, never)
        await _record_denied(
            ctx, actor, candidate.grant, content, denied.detail_code, denied.message
        )
        raise denied
    try:
        permit = await authorize_session(ctx, actor, candidate, kind="query")
    except Denied as error:
        await _record_denied(ctx, actor, candidate.grant, content, error.detail_code, error.message)
        raise
    # I4: on record before the database sees it.
    reference = statement_reference(permit.session_id, 1)
    started = started_entry(
        permit, actor, candidate.grant.rule, {**content, "statement": reference}
    )
    async with opened(ctx, permit, candidate.found.plan, started) as use:
        result = await _run(permit, candidate.grant, use, prepared.text, parameters, max_rows)
    if result.lost:
        raise await _why_lost(ctx, permit, database)
    result = await _helped(ctx, actor, database, candidate, prepared, result)
    return QueryOutcome(
        result,
        permit.grant_id,
        permit.session_id,
        _masked_names(candidate, prepared, result),
        _cut_by(result, candidate.grant, max_rows),
    )


def _cut_by(result: StatementResult, grant: GrantRow, max_rows: int) -> CutBy | None:
    if not result.truncated:
        return None
    rule = grant.limits.get("rows") or _MAX_ROWS
    shown = len(result.rows)
    if shown < min(max(0, max_rows), _MAX_ROWS, rule):
        return CutBy.SIZE
    if shown == rule < _MAX_ROWS:
        return CutBy.RULE_ROWS
    return CutBy.MOST_ROWS if shown == _MAX_ROWS else CutBy.ASKED


def _check_texts(text: str, parameters: Sequence[str | None]) -> None:
    given = [text, *(each for each in parameters if each is not None)]
    if sum(len(each) for each in given) > _MAX_TEXT:
        raise Invalid(
            f"a query and its parameters may have {_MAX_TEXT} characters at most",
            next_step="send less at a time",
            code="query_too_long",
        )
    for each in given:
        try:
            each.encode()
        except UnicodeEncodeError as error:
            raise Invalid("half a surrogate pair is no text", code="invalid_text") from error
        if "\0" in each:
            raise Invalid("a text cannot hold a NUL character", code="invalid_text")


async def _run(
    permit: SessionPermit,
    grant: GrantRow,
    use: Use,
    text: str,
    parameters: Sequence[str | None],
    max_rows: int,
) -> StatementResult:
    """Send a prepared text, and say how it ended, however it does."""
    limits = grant.limits
    # What is written down if nothing below gets to say more.
    use.ended = _ended(permit, {"outcome": "failed"})
    try:
        result = await use.session.execute(
            text,
            parameters=parameters,
            max_rows=min(max(0, max_rows), _MAX_ROWS, limits.get("rows") or _MAX_ROWS),
            max_bytes=min(_MAX_BYTES, limits.get("size_bytes") or _MAX_BYTES),
            timeout_s=min(_TIMEOUT_S, limits.get("statement_timeout_s") or _TIMEOUT_S),
        )
    except asyncio.CancelledError:
        use.ended = _ended(permit, {"outcome": "cancelled"})
        raise
    use.ended = _ended(
        permit,
        {
            "outcome": "lost" if result.lost else "failed" if result.sqlstate else "done",
            "rows": result.row_count,
            "shown": len(result.rows),
            "size_bytes": result.size_bytes,
            "duration_us": round(result.duration_s * 1_000_000),
            "sqlstate": result.sqlstate,
            "command": result.command,
        },
    )
    return result


def _ended(permit: SessionPermit, content: Mapping[str, Json]) -> Entry:
    reference = statement_reference(permit.session_id, 1)
    return ended_entry(permit, {"statement": reference, **content})


async def _why_lost(ctx: Context, permit: SessionPermit, database: str) -> Error:
    """Say why a session ended under its statement: by Daypass, or with its server."""
    async with ctx.store.connection() as connection:
        grant = await grants.get_grant(connection, permit.grant_id)
        session = await sessions.get_session(connection, permit.session_id)
    if grant is not None and grant.state not in LIVE:
        return has_ended(grant)
    reason = session.close_reason if session is not None else ""
    if reason and reason != WORK_DONE:
        return Conflict(
            say_end(reason),
            next_step="run it again; daypass grant "
            f"{permit.grant_id} shows what the grant gives now",
            code="session_ended",
        )
    return Unavailable(
        f"{database} ended the connection while the query ran",
        next_step="what it wrote may or may not be there: look before you run it again",
        code="target_lost",
    )


def _that_may_send(
    candidates: Sequence[Candidate], text: str, parameters: Sequence[str | None]
) -> tuple[Candidate, ...]:
    """Return the candidates that allow a text as it is: those approved for it first."""
    of_it, wider = [], []
    for each in candidates:
        statements = each.grant.asked.statements
        if not statements:
            wider.append(each)
        elif approved(text, parameters, statements):
            of_it.append(each)
    return (*of_it, *wider)


def _not_approved(database: str, candidate: Candidate) -> Denied:
    return Denied(
        Decision(
            Outcome.DENIED,
            (
                Reason(
                    "not_approved_text",
                    f"grant {candidate.grant.id} is for exact statements, and this is another, "
                    "or has other values",
                ),
            ),
            next_step=f'ask for it: daypass request {database} --statement "…" --reason "…"; '
            f"daypass grant {candidate.grant.id} shows what was approved",
        ),
        code="not_approved_text",
    )


def _choose(
    ctx: Context, candidates: Sequence[Candidate], text: str
) -> tuple[Candidate, PreparedText]:
    """Return the most specific candidate that has all the text names, else what lacks least."""
    denied: list[tuple[Candidate, PreparedText]] = []
    allowed: tuple[Candidate, PreparedText] | None = None
    for candidate in candidates:
        prepared = engine_of(ctx, candidate.found.facts.engine).prepare(text, candidate.found.plan)
        if prepared.verdict is Verdict.DENY:
            denied.append((candidate, prepared))
        elif not _strange(candidate, prepared):
            return candidate, prepared
        else:
            # The server looks up what has no schema; another grant may have it.
            allowed = allowed or (candidate, prepared)
    if allowed is not None:
        return allowed
    if not denied:
        raise RuntimeError("no candidate was given")
    return min(denied, key=_lack)


def _lack(denied: tuple[Candidate, PreparedText]) -> tuple[bool, int, int]:
    """Count what a candidate lacks for a text; what nothing more could allow comes last."""
    candidate, prepared = denied
    plan = candidate.found.plan
    return (
        bool(plan.blocked),
        len([name for name in prepared.missing if name not in plan.given]),
        len(prepared.missing_classes),
    )


def _strange(candidate: Candidate, prepared: PreparedText) -> frozenset[str]:
    """Return the names without a schema that are no relation of the candidate's scope."""
    scope = candidate.found.scope
    if scope.native_role is not None:
        return frozenset()
    known = {name.name for name in candidate.found.plan.given}
    named = {n for each in prepared.statements for n in each.read | each.written}
    return frozenset(name.name for name in named if not name.schema) - known


async def _helped(
    ctx: Context,
    actor: Actor,
    database: str,
    candidate: Candidate,
    prepared: PreparedText,
    result: StatementResult,
) -> StatementResult:
    """Say where a relation is that the server did not find, if the grant only lacks it."""
    strange = _strange(candidate, prepared) if result.error and not result.hint else frozenset()
    meant = [
        each.name for each in candidate.found.facts.catalog.relations if each.name.name in strange
    ]
    if not meant:
        return result
    never = await _never_given(ctx, actor, candidate, meant, frozenset())
    if never:
        why = "; ".join(left_out_text(each) for each in never)
        return replace(result, hint=f"{why}; {left_out_mend(never, database)}")
    options = "".join(f" --relation {name}" for name in sorted(meant))
    return replace(
        result,
        hint=f"grant {candidate.grant.id} does not have it; ask for it: "
        f'daypass request {database}{options} --reason "…"',
    )


def _content(
    ctx: Context,
    text: str,
    parameters: Sequence[str | None],
    statements: Sequence[StatementFacts] = (),
    candidate: Candidate | None = None,
) -> dict[str, Json]:
    keep = _keep(candidate, statements)
    recording = Recording(keep, ctx.secrets.derive(PARAMETER_HASHES))
    kept = statement_text(text, parameters, statements, recording)
    return {"origin": "query", **kept, **statement_facts(statements)}


def _keep(candidate: Candidate | None, statements: Sequence[StatementFacts]) -> Parameters:
    """Say how parameters are kept: as the rule says, and where anything masked is near, hashed."""
    if candidate is None:
        # Nobody's rule says anything of it.
        return Parameters.HASH
    keep = candidate.grant.session_limits.parameters
    if keep is not Parameters.FULL:
        return keep
    scope = candidate.found.scope
    masked = {
        each.name
        for each in scope.relations
        if any(column.mask is not None for column in each.columns)
    }
    if scope.native_role is None:
        # What a grant does not have may be masked too: the text is denied, and on record.
        given = {each.name for each in scope.relations}
        masked |= {each.name for each in candidate.found.facts.catalog.relations} - given
    bare_names = {each.name for each in masked}
    named = {name for each in statements for name in each.read | each.written}
    near = any(name in masked or (not name.schema and name.name in bare_names) for name in named)
    return Parameters.HASH if near or not statements else keep


async def _record_denied(
    ctx: Context,
    actor: Actor,
    grant: GrantRow | None,
    content: Mapping[str, Json],
    code: str,
    reason: str,
) -> None:
    async with ctx.store.transaction() as tx:
        await entries.append(
            tx,
            denied_entry(
                actor,
                {**content, "code": code, "reason": reason},
                database_id=grant.database_id if grant else None,
                grant_id=grant.id if grant else None,
                rule=grant.rule if grant else None,
            ),
        )


async def _never_given(
    ctx: Context,
    actor: Actor,
    candidate: Candidate,
    names: Sequence[RelationName],
    classes: frozenset[StatementClass],
) -> tuple[LeftOut, ...]:
    """List what asking would leave out of these, so that nobody is told to ask for it."""
    wanted = [name for name in names if _is_known(candidate, name)]
    if not wanted:
        return ()
    asked = AskedScope(
        classes or frozenset({StatementClass.SELECT}),
        tuple(exact_glob((name.schema, name.name)) for name in wanted),
    )
    async with ctx.store.connection() as connection:
        policy = await look_at_policy(connection)
    _, plan = await compile_scope(ctx, policy, candidate.found.facts, actor.principal, asked)
    lost = {str(name) for name in wanted if not asked.classes <= plan.given.get(name, frozenset())}
    return tuple(
        each
        for each in plan.left_out
        if any(each.name == name or each.name.startswith(f"{name}: ") for name in lost)
    )


def _is_known(candidate: Candidate, name: RelationName) -> bool:
    return candidate.found.facts.catalog.relation(name) is not None


def _denied(
    database: str, candidate: Candidate, prepared: PreparedText, never: Sequence[LeftOut]
) -> Denied:
    code = prepared.code or "statement_denied"
    reasons = [Reason(code, _what_lacks(candidate, prepared))]
    reasons += [Reason("left_out", left_out_text(each)) for each in never]
    options = "".join(f" --class {c.value}" for c in sorted(prepared.missing_classes))
    options += "".join(f" --relation {name}" for name in prepared.missing)
    if never:
        next_step = left_out_mend(never, database)
    elif options:
        next_step = f'ask for it: daypass request {database}{options} --reason "…"'
    else:
        next_step = ""
    return Denied(Decision(Outcome.DENIED, tuple(reasons), next_step=next_step), code=code)


def _what_lacks(candidate: Candidate, prepared: PreparedText) -> str:
    """Say what the grant that comes nearest to a text does not have for it."""
    grant, given = candidate.grant.id, candidate.found.plan.given
    named = [name for name in prepared.missing if _is_known(candidate, name)]
    if len(named) < len(prepared.missing) or not (named or prepared.missing_classes):
        return prepared.reason
    lacking = [str(name) for name in named if name not in given]
    if lacking:
        return f"grant {grant} does not have {', '.join(lacking)}"
    has = given[named[0]] if named else candidate.found.scope.classes
    on = f" on {', '.join(map(str, named))}" if named else ""
    return (
        f"grant {grant} lets you {' and '.join(class_names(has))}{on}, "
        f"not {' and '.join(class_names(prepared.missing_classes))}"
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
