"""Texts of pg_dump's that are sent in another form: it expects tables, and finds views.

They are matched whole, as pg_dump writes them. Whatever else looks alike is judged like any text.
"""

from __future__ import annotations

import re
from typing import Final

from psycopg import sql

from daypass.domain.catalog import RelationName
from daypass.engines.postgres.quoting import text_literal
from daypass.engines.postgres.statement_decision import Place, SessionScope

_SEQUENCES_BEGIN: Final = (
    "SELECT seqrelid, format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin,"
    " seqcache, seqcycle, "
)
_SEQUENCES_END: Final = (
    " FROM pg_catalog.pg_sequence, pg_get_sequence_data(seqrelid) ORDER BY seqrelid;"
)
_SENT_INSTEAD: Final = {
    # So that no view runs code while it reads: a grant's relations are views.
    "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = "
    "'restrict_nonsystem_relation_kind'": "SELECT set_config('restrict_nonsystem_relation_kind', "
    "'foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
    # From 18 on it asks for all sequences at once, and gives up where one is not shown.
    f"{_SEQUENCES_BEGIN}last_value, is_called{_SEQUENCES_END}": (
        f"{_SEQUENCES_BEGIN}coalesce(last_value, seqstart), coalesce(is_called, false)"
        f"{_SEQUENCES_END}"
    ),
}

_NAME: Final = r'([a-z_][a-z0-9_]*|"(?:[^"\0]|"")+")'
_SEQUENCE: Final = re.compile(
    rf"SELECT last_value, is_called FROM {_NAME}\.{_NAME}"  # noqa: S608  # a pattern, never sent
)
_WHERE_IT_STANDS: Final = sql.SQL(
    "SELECT coalesce(last_value, start_value) AS last_value, last_value IS NOT NULL AS is_called"
    " FROM pg_catalog.pg_sequences WHERE schemaname = {} AND sequencename = {}"
)


def sent_for_dump(text: str, scope: SessionScope) -> str:
    """Return what is sent for a text of pg_dump's, else the text itself.

    Where a sequence stands comes from the system's view, which shows it to whoever may know: under
    an export, or an insert, that reaches its table. Others get its beginning.
    """
    if scope.native:
        return text
    instead = _SENT_INSTEAD.get(text)
    if instead is not None:
        return instead
    match = _SEQUENCE.fullmatch(text)
    if match is None:
        return text
    name = RelationName(*map(_unquoted, match.groups()))
    if scope.place(name, scope.temporary)[0] is not Place.UNKNOWN:
        return text
    return _WHERE_IT_STANDS.format(text_literal(name.schema), text_literal(name.name)).as_string()


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
