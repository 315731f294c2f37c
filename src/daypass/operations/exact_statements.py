"""Exact statements of a request: what they need, and whether they could run at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from daypass.domain.catalog import Catalog, RelationName
from daypass.domain.errors import Invalid
from daypass.domain.limits import ExactStatement
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import Engine, Plan, StatementFacts, Verdict
from daypass.operations.context import Context
from daypass.operations.database_facts import DatabaseFactsBundle
from daypass.operations.open_target import engine_of
from daypass.operations.statement_entries import may_set_password
from daypass.policy.globs import exact_glob

_NOT_BY_ITSELF: Final = frozenset({"EXECUTE", "FETCH", "MOVE", "CLOSE", "DEALLOCATE"})
"""What these do was said elsewhere: nobody could approve it by its text."""

_FINDS_ROWS: Final = frozenset({StatementClass.UPDATE, StatementClass.DELETE})
"""Databases ask for reading too, where a condition says which rows."""


async def with_needs(ctx: Context, facts: DatabaseFactsBundle, asked: AskedScope) -> AskedScope:
    """Return an ask with the classes and relations its exact statements need, and no others.

    Raises `Invalid` for texts that cannot be read or stand for what they do not say.
    """
    if not asked.statements:
        return asked
    engine = engine_of(ctx, facts.engine)
    return await asyncio.to_thread(_with_needs, engine, facts.catalog, asked)


async def require_possible(
    ctx: Context, facts: DatabaseFactsBundle, plan: Plan, statements: Sequence[ExactStatement]
) -> None:
    """Raise `Invalid` for an exact statement that could not be sent under its own plan."""
    if not statements or plan.blocked or plan.opens_nothing:
        return
    engine = engine_of(ctx, facts.engine)
    prepared = [await asyncio.to_thread(engine.prepare, each.text, plan) for each in statements]
    problems = [
        (_place(index), each.reason)
        for index, each in enumerate(prepared)
        if each.verdict is Verdict.DENY
    ]
    if problems:
        raise _wrong(problems)


def _with_needs(engine: Engine, catalog: Catalog, asked: AskedScope) -> AskedScope:
    problems: list[tuple[str, str]] = []
    found: list[StatementFacts] = []
    for index, each in enumerate(asked.statements):
        try:
            facts = engine.statement_facts(each.text)
        except Invalid as error:
            problems.append((_place(index), error.message))
            continue
        problem = _problem(each.text, facts)
        if problem:
            problems.append((_place(index), problem))
        found.extend(facts)
    names = {name for each in found for name in each.read | each.written}
    relations: set[RelationName] = set()
    for name in sorted(names):
        meant = [r.name for r in catalog.relations if _means(name, r.name)]
        if len(meant) > 1:
            several = ", ".join(map(str, meant))
            problems.append((str(name), f"{name} may be any of {several}: write its schema"))
        relations.update(meant)
    if problems:
        raise _wrong(problems)
    classes = frozenset[StatementClass]().union(*(each.classes for each in found))
    if classes & _FINDS_ROWS:
        classes |= {StatementClass.SELECT}
    return replace(
        asked,
        # What needs none may be sent with the least.
        classes=classes or frozenset({StatementClass.SELECT}),
        relations=tuple(exact_glob((each.schema, each.name)) for each in sorted(relations)),
    )


def _means(written: RelationName, name: RelationName) -> bool:
    return written.name == name.name and written.schema in ("", name.schema)


def _problem(text: str, statements: Sequence[StatementFacts]) -> str:
    if not statements:
        return "there is no statement in it"
    if may_set_password(text, statements):
        return "it may set a password, and approvers and the log would read it"
    for each in statements:
        if each.unsafe:
            return each.unsafe
        if each.command in _NOT_BY_ITSELF:
            return f"{each.command} runs what another statement says: give that one"
    return ""


def _place(index: int) -> str:
    return f"statement {index + 1}"


def _wrong(problems: Sequence[tuple[str, str]]) -> Invalid:
    return Invalid(
        "; ".join(f"{place}: {text}" for place, text in problems),
        problems=tuple(problems),
        next_step="give the text as it will be sent, with $1, $2 … for values",
        code="invalid_statement",
    )
