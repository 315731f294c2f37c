"""Choose the grant for a session that has one for all its statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daypass.domain.statement_class import StatementClass
from daypass.operations.ask_on_connect import BY_ITSELF_REASON, Wishes
from daypass.operations.authorize_session import Candidate
from daypass.operations.consider import Ask
from daypass.policy.globs import matches


def choose_for_session(candidates: Sequence[Candidate], wishes: Wishes) -> Candidate | None:
    """Return the live grant that a client means, or None if what it wants has to be asked for.

    The one it names; else that of a request like the one it would file; else the first that has
    what its options name. What a rule filed by itself never stands for what somebody asks for
    unless it has all of it.
    """
    if wishes.grant_id is not None:
        return next((each for each in candidates if each.grant.id == wishes.grant_id), None)
    ranked = sorted(candidates, key=_rank)
    ask = wishes.ask
    if ask is None:
        return ranked[0] if ranked else None
    fitting = [
        each
        for each in ranked
        if _has(
            each, ask, wishes.scope | {"classes", "relations"} if _automatic(each) else wishes.scope
        )
    ]
    return next((each for each in fitting if asked_as(each, ask)), next(iter(fitting), None))


def asked_as(candidate: Candidate, ask: Ask) -> bool:
    """Say whether the grant came of a request with this reason and ticket."""
    return (candidate.grant.reason, candidate.grant.ticket) == (ask.reason, ask.ticket)


def _automatic(candidate: Candidate) -> bool:
    return candidate.grant.reason == BY_ITSELF_REASON


def _rank(candidate: Candidate) -> tuple[bool, bool, bool, bool, int, int, int, int]:
    """Order by what can be used for anything, then by who asked, then by how narrow it is.

    At equal relations the one with more classes goes first: the session has no other.
    """
    scope, asked = candidate.found.scope, candidate.grant.asked
    return (
        bool(candidate.found.plan.blocked) or candidate.found.plan.opens_nothing,
        bool(asked.statements),
        scope.native_role is not None,
        _automatic(candidate),
        len(scope.relations),
        -len(scope.classes),
        len(asked.unmask),
        -candidate.grant.id,
    )


def _has(candidate: Candidate, ask: Ask, named: Iterable[str]) -> bool:
    """Say whether a grant has what is named: on every relation that it could mean."""
    wanted = frozenset(named)
    grant, scope = candidate.grant, candidate.found.scope
    if "profile" in wanted and grant.profile != ask.profile:
        return False
    if not wanted - {"profile"}:
        return True
    if grant.asked.statements or scope.native_role is not None:
        return False
    # Reading is what is asked for where no class is named, and explaining comes along.
    classes = ask.asked.classes
    if "classes" not in wanted:
        classes &= {StatementClass.SELECT}
    given = candidate.found.plan.given
    for glob in ask.asked.relations if "relations" in wanted else ():
        if glob in grant.asked.relations and classes <= grant.asked.classes:
            continue
        meant = [
            each.name
            for each in candidate.found.facts.catalog.relations
            if matches(glob, (each.name.schema, each.name.name))
        ]
        if not meant or any(not classes <= given.get(name, frozenset()) for name in meant):
            return False
    if not classes <= grant.asked.classes:
        return False
    return all(_in_clear(candidate, glob) for glob in ask.asked.unmask)


def _in_clear(candidate: Candidate, glob: str) -> bool:
    columns = [
        column
        for relation in candidate.found.scope.relations
        for column in relation.columns
        if matches(glob, (relation.name.schema, relation.name.name, column.name))
    ]
    return bool(columns) and all(column.mask is None for column in columns)
