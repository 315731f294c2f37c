"""Attacks on whatever a grant hides, made from its truth: for databases nobody wrote any for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from psycopg import sql

from tests.leaks.attack import Attack
from tests.leaks.truth import Truth

MOST: Final = 8
"""Columns and relations of each kind that are attacked; more say the same again."""

_SPY: Final = (
    "create function pg_temp.spy(text) returns boolean language plpgsql cost 0.0000001 as"
    " $$begin raise notice 'spied %', $1; return true; end$$"
)

# {v} is the view, {b} the base relation, {c} a masked column; what they are called comes last.
_COLUMN: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("read", ("select {c} from {v} limit 200",)),
    ("as text", ("select {c}::text || '' from {v} limit 200",)),
    ("whole rows", ("select v::text, v from {v} as v limit 100",)),
    ("as JSON", ("select to_jsonb(v), row_to_json(v) from {v} as v limit 100",)),
    ("as XML", ("select query_to_xml('select {q} from {v} limit 50', true, false, '')",)),
    ("copied out", ("copy (select {c} from {v} limit 200) to stdout",)),
    ("copied out in CSV", ("copy (select * from {v} limit 100) to stdout (format csv, header)",)),
    ("copied", ("create temporary table mine as table {v}", "select {c} from mine limit 200")),
    ("a cursor", ("begin; declare k cursor for select {c} from {v}; fetch 100 from k; commit",)),
    ("prepared", ("prepare p as select {c} from {v} limit 100", "execute p")),
    ("gathered", ("select array_agg({c}::text), string_agg({c}::text, ',') from {v}",)),
    ("sorted", ("select {c} from {v} order by {c}, 1 limit 100",)),
    ("grouped", ("select {c}, count(*) from {v} group by {c} limit 100",)),
    ("least and greatest", ("select min({c}::text), max({c}::text) from {v}",)),
    ("a window", ("select lag({c}) over (), first_value({c}) over () from {v} limit 100",)),
    ("reversed", ("select reverse({c}::text) from {v} limit 200",)),
    ("in hexadecimal", ("select encode(convert_to({c}::text, 'UTF8'), 'hex') from {v} limit 200",)),
    ("digested", ("select md5({c}::text) from {v} limit 200",)),
    ("joined", ("select a.{c} from {v} a join {v} b on a.{c}::text = b.{c}::text limit 100",)),
    ("lateral", ("select x.t from {v} v, lateral (select v.{c}::text as t) x limit 100",)),
    ("set apart", ("select {c}::text from {v} except select 'x'::text",)),
    ("a spying condition", (_SPY, "select count(*) from {v} where pg_temp.spy({c}::text)")),
    ("a spying order", (_SPY, "select 1 from {v} order by pg_temp.spy({c}::text) limit 5")),
    ("a temporary view", ("create temporary view w as table {v}", "select {c} from w limit 100")),
    ("a cast that fails", ("select {c}::text::int8 from {v}",)),
    ("a cast to a date that fails", ("select {c}::text::date from {v}",)),
    ("a name that is missing", ("select ('\"' || {c}::text || '\"')::regclass from {v}",)),
    (
        "a block that tells",
        (
            (
                "do $$declare t text; begin for t in select {c}::text from {v} limit 100 loop"
                " raise notice '%', t; end loop; end$$"
            ),
        ),
    ),
    (
        "a block that fails",
        ("do $$begin raise exception '%', (select {c}::text from {v} limit 1); end$$",),
    ),
    ("a notification", ("listen mine", "select pg_notify('mine', {c}::text) from {v} limit 20")),
    ("a setting", ("select set_config('a.b', {c}::text, false) from {v} limit 1", "show a.b")),
    (
        "a unique index",
        (
            "create temporary table u (t text unique)",
            "insert into u select {c}::text from {v} union all select {c}::text from {v}",
        ),
    ),
    ("a plan that is run", ("explain (analyze, verbose) select {c} from {v}",)),
    (
        "the debugger's messages",
        (
            "set client_min_messages = debug5; set debug_print_plan = on",
            "select count({c}) from {v}",
        ),
    ),
    ("the base relation", ("select {c} from {b} limit 100",)),
    ("the base relation as JSON", ("select to_jsonb(x) from {b} as x limit 100",)),
    ("the base relation copied out", ("copy {b} to stdout",)),
    ("the base relation as XML", ("select table_to_xml('{qb}', true, false, '')",)),
    (
        "statistics",
        (
            (
                "select most_common_vals, histogram_bounds from pg_stats"
                " where schemaname = {ls} and tablename = {lr} and attname = {lc}"
            ),
        ),
    ),
    ("an update that returns", ("begin; update {v} set {c} = {c} returning {c}; rollback",)),
    ("a delete that returns", ("begin; delete from {v} returning {c}; rollback",)),
)
_GUESS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("equal to a guess", ("select count(*) from {v} where {c}::text = '<guess>'",)),
    ("like a guess", ("select count(*) from {v} where {c}::text ilike '<guess>%'",)),
    (
        "joined with a guess",
        ("select count(*) from {v} v join (values ('<guess>'::text)) g (t) on v.{c}::text = g.t",),
    ),
    (
        "divided by a guess",
        ("select 1 / (case when {c}::text = '<guess>' then 0 else 1 end) from {v}",),
    ),
    ("sorted by a guess", ("select {c}::text = '<guess>' from {v} order by 1 desc limit 1",)),
    (
        "a document with a guess",
        ("select count(*) from {v} v where to_jsonb(v)::text like '%<guess>%'",),
    ),
    ("the base relation with a guess", ("select count(*) from {b} where {c}::text = '<guess>'",)),
)
_ROWS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("every row", ("select * from {v}",)),
    ("every row as JSON", ("select jsonb_agg(v) from {v} v",)),
    ("every row copied out", ("copy (table {v}) to stdout",)),
    ("a spy before the filter", (_SPY, "select count(*) from {v} v where pg_temp.spy(v::text)")),
    (
        "a spying join",
        (_SPY, "select count(*) from {v} v right join (select 1) x on pg_temp.spy(v::text)"),
    ),
    ("a spying order", (_SPY, "select 1 from {v} v order by pg_temp.spy(v::text)")),
    ("a spying update", (_SPY, "begin; delete from {v} v where pg_temp.spy(v::text); rollback")),
    ("a failing cast before the filter", ("select count(*) from {v} v where v::text::int > 0",)),
    ("a window over all", ("select v, count(*) over () from {v} v limit 50",)),
    ("the base relation", ("select * from {b}",)),
)


def attacks_anywhere(truth: Truth) -> tuple[Attack, ...]:
    """Return attacks on columns the views mask, rows they filter and relations they lack."""
    return (*_on_columns(truth), *_on_rows(truth))


def names_nothing(attack: Attack) -> bool:
    """Say whether an attack is on the server alone, on no relation of the sample company's."""
    return not re.search(r"<(?!account|scope)|\b(sales|billing|hr|app)\.|shop_", attack.text)


def _on_columns(truth: Truth) -> Iterator[Attack]:
    masked = sorted((r, c) for r, view in truth.shown.items() for c in view.masked)
    for relation, column in _spread(masked):
        names = _names(truth, relation, column)
        for what, steps in _COLUMN:
            yield Attack(f"{relation}.{column}: {what}", _said(steps, names), control="none")
        if not _has_values(truth, relation, column):
            continue
        for what, steps in _GUESS:
            yield Attack(
                f"{relation}.{column}: {what}",
                _said(steps, names),
                guess=f"{relation}.{column}",
                control="none",
            )


def _has_values(truth: Truth, relation: str, column: str) -> bool:
    try:
        truth.guesses(f"{relation}.{column}")
    except LookupError:
        return False
    return True


def _on_rows(truth: Truth) -> Iterator[Attack]:
    for relation in sorted(truth.filtered)[:MOST]:
        names = _names(truth, relation, "")
        for what, steps in _ROWS:
            yield Attack(f"{relation}: {what}", _said(steps, names), control="none")


def _spread(found: list[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Return at most MOST columns, of as many relations as there are."""
    by_turn = sorted(found, key=lambda pair: (_place(found, pair), pair))
    return by_turn[:MOST]


def _place(found: list[tuple[str, str]], pair: tuple[str, str]) -> int:
    return [each for each in found if each[0] == pair[0]].index(pair)


def _names(truth: Truth, relation: str, column: str) -> dict[str, str]:
    schema, _, name = relation.partition(".")
    base = sql.Identifier(schema, name).as_string(None)
    quoted = sql.Identifier(column).as_string(None) if column else ""
    return {
        "v": sql.Identifier(truth.view_schemas[schema], name).as_string(None),
        "b": base,
        "qb": base.replace("'", "''"),
        "c": quoted,
        "q": quoted.replace("'", "''"),
        "ls": sql.Literal(schema).as_string(None),
        "lr": sql.Literal(name).as_string(None),
        "lc": sql.Literal(column).as_string(None),
    }


def _said(steps: tuple[str, ...], names: dict[str, str]) -> tuple[str, ...]:
    def put(step: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: names[match[1]], step)

    return tuple(put(step) for step in steps)
