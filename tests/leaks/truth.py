"""What a session must not see, read from the database itself as superuser.

A session's views say what it is shown in clear. Every other value of the database is hidden: of
masked columns, of rows filtered out, of relations that are not in the scope at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from daypass.engines.postgres.parsing import child, items, parse_text, string
from tests.leaks.detect import Secrets, fold
from tests.leaks.wire import Rows, Wire

MOST_ROWS: Final = 20_000
"""Of one relation: enough to find any leak, and a large database stays readable."""

_LIVE: Final = re.compile(r"\(\s*SELECT daypass\.live\(.*?AS live\)", re.DOTALL)
_PARTS: Final = re.compile(r'[(){},"]+')
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")
_LONG: Final = 24
_FEW: Final = 6

_SCOPE: Final = """
select s.rolname from pg_auth_members as m
join pg_roles as r on r.oid = m.member join pg_roles as s on s.oid = m.roleid
where r.rolname = %s and starts_with(s.rolname, 'dp_s_')
"""
# What everybody may read is no secret of any grant: owners accepted it, or nothing of it is hidden.
_EVERYBODYS: Final = """
select n.nspname || '.' || c.relname from pg_class as c join pg_namespace as n
on n.oid = c.relnamespace
where c.relkind in ('r', 'm', 'v') and has_table_privilege('public', c.oid, 'select')
  and n.nspname not in ('pg_catalog', 'information_schema')
"""
_VIEWS: Final = """
select n.nspname, c.relname, pg_get_viewdef(c.oid)
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where starts_with(n.nspname, %s) and c.relkind = 'v' order by 1, 2
"""
_RELATIONS: Final = """
select n.nspname, c.relname,
  array(select a.attname::text from pg_attribute as a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum)
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm', 'v') and n.nspname not in ('information_schema', 'daypass')
  and n.nspname !~ '^(pg_|dp_v_)' order by 1, 2
"""
# Texts of the catalog: every role reads them, whatever it is granted.
_PUBLIC_TEXTS: Final = """
select prosrc from pg_proc where pronamespace <> 'pg_catalog'::regnamespace
union all select description from pg_description
union all select description from pg_shdescription
union all select pg_get_viewdef(oid) from pg_class where relkind in ('v', 'm') and oid >= 16384
union all select pg_get_constraintdef(oid) from pg_constraint where oid >= 16384
union all select pg_get_expr(adbin, adrelid) from pg_attrdef
union all select pg_get_expr(relpartbound, oid) from pg_class where relispartition
union all select enumlabel from pg_enum
union all select attname from pg_attribute where attrelid >= 16384
union all select relname from pg_class
union all select nspname from pg_namespace
union all select proname from pg_proc
union all select rolname from pg_roles
union all select array_to_string(setconfig, ' ') from pg_db_role_setting
union all select name || ' ' || coalesce(short_desc, '') || ' ' || coalesce(setting, '')
  || ' ' || coalesce(array_to_string(enumvals, ' '), '') from pg_settings
union all select name from pg_timezone_names
"""

Connection = psycopg.Connection[tuple[object, ...]]
Values: TypeAlias = dict[tuple[str, str], set[str]]
"""Texts by relation and column."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One view of a session: the relation behind it, its clear columns and its query."""

    relation: str
    clear: frozenset[str]
    masked: frozenset[str]
    query: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What one session must not see.

    `view_schemas` lead from the customer's schemas to those of the session. `problems` are masks
    that show what they should hide.
    """

    conninfo: str
    secrets: Secrets
    view_schemas: dict[str, str]
    shown: dict[str, Shown]
    filtered: frozenset[str]
    visible_ids: dict[str, frozenset[str]]
    outputs: Values
    """What masks show, by column."""
    problems: tuple[str, ...] = ()
    _answers: dict[str, Rows] = field(default_factory=dict)

    def hides(self, about: str) -> bool:
        """Say whether a column is masked or absent, or rows of a relation are filtered or all are.

        `about` is `schema.relation.column` or `schema.relation`.
        """
        relation = ".".join(about.split(".")[:2])
        shown = self.shown.get(relation)
        if shown is None:
            return True
        column = about.removeprefix(relation).removeprefix(".")
        return column not in shown.clear if column else relation in self.filtered

    def answer(self, question: str) -> Rows:
        """Return the true answer to a question about the customer's own relations."""
        if question not in self._answers:
            wire = Wire.open(self.conninfo)
            assert isinstance(wire, Wire)
            reply = wire.send(question)
            wire.close()
            if reply.sqlstate or not reply.rows:
                raise LookupError(f"no answer to {question}: {reply.text}")
            self._answers[question] = reply.rows
        return self._answers[question]

    def guesses(self, column: str) -> tuple[str, str]:
        """Return a value of a column that a session's row has, and one that no row has.

        No mask tells the two apart: they begin and end alike.
        """
        schema, relation, name = column.split(".")
        table = sql.Identifier(schema, relation)
        with connected(self.conninfo) as connection:
            names = [
                str(each[0])
                for each in connection.execute(
                    "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0",
                    (table.as_string(None),),
                )
            ]
            key = sql.Identifier("id" if "id" in names else name)
            rows = connection.execute(
                sql.SQL("select {}::text, {}::text from {} order by 1").format(
                    key, sql.Identifier(name), table
                )
            ).fetchall()
        visible = self.visible_ids.get(f"{schema}.{relation}")
        all_values = {str(value) for _, value in rows}
        for row_id, value in rows:
            told = str(value) in self.outputs.get((f"{schema}.{relation}", name), ())
            if value is not None and not told and (visible is None or str(row_id) in visible):
                wrong = decoy(str(value), all_values)
                if wrong and "'" not in str(value):
                    return str(value), wrong
        raise LookupError(f"{column} has no value to guess at")


def connected(conninfo: str) -> Connection:
    """Connect as superuser; nothing is found by an unqualified name but what is the server's."""
    options = "-c search_path=pg_catalog -c timezone=UTC -c client_min_messages=error"
    return psycopg.connect(make_conninfo(conninfo, options=options), autocommit=True)


def read_truth(
    conninfo: str,
    account: str,
    settings: Sequence[tuple[str, str]] = (),
    also: Iterable[str] = (),
    values: Values | None = None,
) -> Truth:
    """Read what a session of an account must not see.

    `settings` are the session's, which native row-level policies may believe; `also` leads to
    further databases, of which nothing may be seen. `values` are those of the database, if known.
    Raises `LookupError` when the account has no scope in this database.
    """
    with connected(conninfo) as connection:
        found = connection.execute(_SCOPE, (account,)).fetchall()
        if len(found) != 1:
            raise LookupError(f"{account} is no account of a session, or its grant has ended")
        prefix = f"dp_v_{str(found[0][0]).removeprefix('dp_s_')}_"
        shown: dict[str, Shown] = {}
        view_schemas: dict[str, str] = {}
        for schema, _, definition in connection.execute(_VIEWS, (prefix,)).fetchall():
            each = read_view(str(definition))
            shown[each.relation] = each
            view_schemas[each.relation.partition(".")[0]] = str(schema)
        told, visible_ids, outputs = _told(connection, shown, settings)
        public = "\n".join(str(t) for (t,) in connection.execute(_PUBLIC_TEXTS.encode()) if t)
        everybodys = {str(name) for (name,) in connection.execute(_EVERYBODYS)}
        candidates = dict(_pads(connection))
        problems: list[str] = []
        filtered: set[str] = set()
        for (relation, column), all_values in (values or read_values(conninfo)).items():
            if relation in everybodys:
                told.setdefault((relation, column), all_values)
            view = shown.get(relation)
            hidden = all_values
            masked = outputs.get((relation, column))
            if masked is not None:
                same = all_values & masked
                if len(all_values) >= _FEW and len(same) > len(all_values) / 2:
                    problems.append(f"the mask of {relation}.{column} shows its values")
                hidden = all_values - same
            elif view is not None and all_values - told.get((relation, column), set()):
                filtered.add(relation)
            for value in hidden:
                for atom in _atoms(value):
                    candidates.setdefault(atom, f"{relation}.{column}")
    for other in also:
        name = str(conninfo_to_dict(other)["dbname"])
        for (relation, column), hidden in read_values(other).items():
            for value in hidden:
                for atom in _atoms(value):
                    candidates.setdefault(atom, f"{name}: {relation}.{column}")
    known = _known(told, outputs, public)
    return Truth(
        conninfo=conninfo,
        secrets=Secrets({v: p for v, p in candidates.items() if fold(v) not in known}),
        view_schemas=view_schemas,
        shown=shown,
        filtered=frozenset(filtered),
        visible_ids=visible_ids,
        outputs=outputs,
        problems=tuple(problems),
    )


class _Known:
    """What a session is told legitimately."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._text = fold("\n".join(texts))

    def __contains__(self, value: str) -> bool:
        return value in self._text


def _known(told: Values, outputs: Values, public: str) -> _Known:
    texts = [public]
    for values in (*told.values(), *outputs.values()):
        texts += values
    return _Known(texts)


def read_view(definition: str) -> Shown:
    """Read one of a session's views: a plain column is in clear, an expression a mask."""
    _, [statement] = parse_text(definition)
    [source] = [child(each, "RangeVar") for each in items(statement.node, "fromClause")]
    assert source is not None
    clear, masked = set(), set()
    for item in items(statement.node, "targetList"):
        target = child(item, "ResTarget")
        assert target is not None
        value = child(target, "val") or {}
        reference = child(value, "ColumnRef")
        if reference is None:
            masked.add(string(target, "name"))
            continue
        last = child(items(reference, "fields")[-1], "String") or {}
        clear.add(string(last, "sval"))
    return Shown(
        f"{string(source, 'schemaname')}.{string(source, 'relname')}",
        frozenset(clear),
        frozenset(masked),
        _LIVE.sub("true", definition).rstrip().removesuffix(";"),
    )


def _told(
    connection: Connection, shown: dict[str, Shown], settings: Sequence[tuple[str, str]]
) -> tuple[Values, dict[str, frozenset[str]], Values]:
    """Return what the views show: clear values and masked ones by column, and ids by relation."""
    told: Values = {}
    outputs: Values = {}
    ids: dict[str, frozenset[str]] = {}
    with connection.transaction():
        # As their owner does: native row-level policies hold for it.
        connection.execute("set local role dp_views")
        for name, value in settings:
            if "." in name:
                connection.execute("select set_config(%s, %s, true)", (name, value))
        for relation, view in shown.items():
            names = sorted(view.clear | view.masked)
            found = _distinct(connection, sql.SQL(f"({view.query})"), names)
            for name, values in found.items():
                if name in view.masked:
                    outputs[relation, name] = {a for v in values for a in _atoms(v)} | values
                    continue
                told[relation, name] = values
                if name == "id":
                    ids[relation] = frozenset(values)
    return told, ids, outputs


def _distinct(
    connection: Connection, source: sql.Composable, columns: Sequence[str]
) -> dict[str, set[str]]:
    """Return the distinct values of each column, as text."""
    found: dict[str, set[str]] = {name: set() for name in columns}
    if columns:
        texts = sql.SQL(", ").join(
            sql.SQL("b.{}::text").format(sql.Identifier(name)) for name in columns
        )
        query = sql.SQL("select {} from {} as b limit {}").format(
            texts, source, sql.Literal(MOST_ROWS)
        )
        for row in connection.execute(query):
            for name, value in zip(columns, row, strict=True):
                if value is not None:
                    found[name].add(str(value))
    return found


def read_values(conninfo: str) -> Values:
    """Return the distinct values of every column of every relation of a database, as text."""
    values: Values = {}
    with connected(conninfo) as connection:
        for schema, relation, columns in connection.execute(_RELATIONS).fetchall():
            assert isinstance(columns, list)
            table = sql.Identifier(str(schema), str(relation))
            for name, found in _distinct(connection, table, columns).items():
                values[f"{schema}.{relation}", name] = found
    return values


def _pads(connection: Connection) -> Iterator[tuple[str, str]]:
    row = connection.execute("select encode(ipad, 'hex') from daypass.pads").fetchone()
    for value in row or ():
        # The pads are as good as the key, and any stretch of them tells what it is.
        yield str(value), "daypass.pads"
        yield str(value)[:32], "daypass.pads"


def _atoms(value: str) -> Iterator[str]:
    """Yield a value and what it is made of: leaves of JSON, fields, elements, its beginning."""
    yield value
    if value[:1] in "{[(":
        try:
            yield from _leaves(json.loads(value))
        except ValueError:
            yield from (part.strip() for part in _PARTS.split(value))
    elif _ADDRESS.fullmatch(value):
        yield value.partition("@")[0]
    elif len(value) > _LONG:
        yield value[:_LONG]


def _leaves(document: object) -> Iterator[str]:
    match document:
        case dict():
            for each in document.values():
                yield from _leaves(each)
        case list():
            for each in document:
                yield from _leaves(each)
        case str():
            yield document


def decoy(value: str, taken: set[str]) -> str:
    """Return a value like another that is none of `taken`: it begins, ends and masks alike."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        for day in range(2, 29):
            other = f"{value[:8]}{day:02}"
            if other not in taken:
                return other
        return ""
    if re.fullmatch(r"\d+\.\d+", value):
        whole = int(float(value)) // 1000 * 1000
        for more in range(1, 1000):
            other = f"{whole + more}.{value.partition('.')[2]}"
            if other not in taken:
                return other
        return ""
    middle = range(max(len(value) // 3, 1), len(value) - 4)
    for place in middle:
        letters = "0123456789" if value[place].isdigit() else "qxzjkv"
        if not value[place].isalnum():
            continue
        for letter in letters:
            other = value[:place] + letter + value[place + 1 :]
            if other not in taken:
                return other
    return ""
