"""The corpus of statements held against servers: what only reads never fails for writing.

Each runs in a READ ONLY transaction and fails there with 25006, or does not. What a statement names
is compared with the locks that the server's own analysis of it takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psycopg
import pytest
import yaml

from daypass.domain.catalog import RelationName
from daypass.domain.statement_class import StatementClass
from daypass.embedded import Cluster
from daypass.engines.postgres.function_classes import function_class
from daypass.engines.postgres.statement_classes import Analysis
from daypass.engines.postgres.statements import analyses_of
from tests.integration.statements.served import (
    ALLOWED,
    MADE_ELSEWHERE,
    READ_ONLY,
    Server,
    server_of,
)

_CORPUS = Path(__file__).parents[2] / "corpus" / "postgres"
_MAJORS = [
    pytest.param(15, marks=pytest.mark.long),
    pytest.param(16, marks=pytest.mark.long),
    18,
]
_READS: Final = frozenset({StatementClass.SELECT, StatementClass.EXPORT, StatementClass.EXPLAIN})
_SYSTEM: Final = ("pg_catalog", "information_schema")
_MADE: Final = frozenset({"made", "mine", "counter", "strict", "t_pkey", "copied"})

_RUNS_NOTHING: Final = frozenset({"PREPARE", "DECLARE CURSOR", "EXECUTE", "LOCK TABLE"})
"""What they hold runs later; LOCK keeps others out and writes nothing."""

_NOT_WRITTEN: Final = {
    "SELECT CASE WHEN false THEN nextval('counter') END": "the branch is never taken",
    "EXPLAIN (ANALYZE, ANALYZE off) DELETE FROM t": "the last ANALYZE counts, and any is enough",
    "DELETE FROM ruled": "a rule makes nothing of it",
    "SELECT lo_open(5, 131072)": "opening writes nothing yet",
}
"""What is said to write, and did not, each with the reason."""

_LOCKED_OTHERWISE: Final = {
    "MERGE INTO stock s USING moves m ON s.id = m.id WHEN MATCHED THEN DO NOTHING": "locks only",
    "WITH s AS (TABLE u) MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DO NOTHING": (
        "locks only"
    ),
}


def _analyses() -> list[Analysis]:
    found: dict[str, Analysis] = {}
    for name in ("statements.yaml", "hidden.yaml"):
        text = (_CORPUS / name).read_text(encoding="utf-8")
        for case in yaml.load(text, Loader=yaml.CSafeLoader):
            if "error" not in case:
                found |= {each.facts.text: each for each in analyses_of(str(case["sql"]))}
    return list(found.values())


_ANALYSES: Final = _analyses()


def _own(names: frozenset[RelationName]) -> set[RelationName]:
    return {
        name
        for name in names
        if name.schema not in (*_SYSTEM, "pg_temp") and not name.name.startswith("pg_")
    }


def _names() -> set[RelationName]:
    named = {name for each in _ANALYSES for name in _own(each.facts.read | each.facts.written)}
    return {name for name in named if name.name not in _MADE}


def _only_reads(each: Analysis) -> bool:
    return each.facts.classes <= _READS and not each.facts.unsafe


def _wrong(each: Analysis, outcome: str, major: int) -> bool:
    """Say whether the server disagrees."""
    facts = each.facts
    if major == 15 and any(name.startswith("lo") for name in facts.functions):
        # Before 16, large objects were written in transactions that may only read.
        return False
    if _only_reads(each):
        # A temporary table is no more than a copy, and the session's own.
        return outcome == READ_ONLY and not each.made
    if outcome != ALLOWED or facts.unsafe or facts.command in _RUNS_NOTHING:
        return False
    if facts.classes & {StatementClass.ADMIN, StatementClass.CALL}:
        # They reach beyond the database, or run what cannot be seen.
        return False
    if each.analyzes and StatementClass.DDL in facts.classes:
        # The server lets EXPLAIN ANALYZE run the query, and makes no table of it.
        return False
    return facts.text not in _NOT_WRITTEN


def _locked_otherwise(each: Analysis, server: Server) -> dict[RelationName, set[str]] | None:
    """Return the locks if they tell of other relations than the facts; empty for no answer."""
    facts = each.facts
    locks = server.locks(facts.text)
    if locks is None:
        return {}
    named, written = (
        {RelationName(name.schema or "public", name.name) for name in _own(names)}
        for names in (facts.read | facts.written, facts.written)
    )
    through = [name for name in named if name.name in MADE_ELSEWHERE]
    changed = {name for name, modes in locks.items() if "RowExclusiveLock" in modes}
    held = any("RowShareLock" in modes for modes in locks.values())
    same = named <= set(locks) and written <= changed if through else named == set(locks)
    same = same and (bool(through) or written == changed)
    same = same and not (held and StatementClass.UPDATE not in facts.classes)
    return None if same or facts.text in _LOCKED_OTHERWISE else locks


@pytest.mark.parametrize("major", _MAJORS)
def test_no_server_disagrees(servers: Callable[[int], Cluster], major: int) -> None:
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    with server_of(servers(major), _names()) as server:
        for each in _ANALYSES:
            outcome = server.outcome(each.facts.text)
            said = "reads" if _only_reads(each) else "writes"
            judged = outcome in (ALLOWED, READ_ONLY)
            counts[f"{said}, {outcome or 'allowed'}" if judged else "another error"] += 1
            if _wrong(each, outcome, major):
                wrong.append(f"{said}, but {outcome or 'allowed'}: {each.facts.text}")
            if each.facts.command not in ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"):
                continue
            if StatementClass.DDL in each.facts.classes or each.made:
                continue
            locks = _locked_otherwise(each, server)
            counts["relations compared"] += locks != {}
            if locks:
                wrong.append(f"locks {locks}: {each.facts.text}")
    print(f"PostgreSQL {major}: {dict(counts)}")  # noqa: T201 - counts for whoever reads the run
    assert wrong == []
    # On 15 and 16 some of the grammar of 18 is unknown.
    assert sum(counts[each] for each in counts if "llowed" in each or READ_ONLY in each) >= 500
    assert counts[f"writes, {READ_ONLY}"] >= 250
    assert counts["relations compared"] >= 250


@pytest.mark.parametrize("major", _MAJORS)
def test_functions_the_server_gives_to_few_ask_for_more(
    servers: Callable[[int], Cluster], major: int
) -> None:
    """What PostgreSQL itself keeps from PUBLIC is never a plain read to us."""
    with psycopg.connect(servers(major).conninfo("postgres")) as connection:
        rows = connection.execute(
            "select distinct proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace"
            " and proacl is not null"
            " and not exists (select from aclexplode(proacl) where grantee = 0)"
        ).fetchall()
    assert len(rows) > 40
    assert [name for (name,) in rows if function_class((name,)) is None] == []
