"""SQL text from typed parts: names, literals and values, never by formatting."""

from __future__ import annotations

import math

from psycopg import sql

from daypass.domain.catalog import RelationName
from daypass.domain.errors import Invalid
from daypass.domain.scope import LiteralValue

MAX_NAME_BYTES = 63


def relation_identifier(name: RelationName) -> sql.Identifier:
    """Return a relation's schema-qualified name."""
    return sql.Identifier(name.schema, name.name)


def text_literal(value: str) -> sql.Composable:
    """Return a string as a literal whose type the server infers from where it stands.

    Raises `Invalid` for a NUL character, which no PostgreSQL text can hold.
    """
    if "\0" in value:
        raise Invalid("a text with a NUL character cannot enter SQL", code="invalid_literal")
    return sql.Literal(value)


def typed_text(value: str) -> sql.Composable:
    """Return a string as a literal of type `text`."""
    return sql.SQL("{}::pg_catalog.text").format(text_literal(value))


def value_literal(value: LiteralValue) -> sql.Composable:
    """Return a value of a row filter as a literal.

    Strings and lists are plain quoted literals, so that they take the type of the column they are
    compared with (an enumeration, a uuid, an array of either); numbers and booleans are typed.
    """
    match value:
        case None:
            return sql.SQL("null")
        case bool():
            return sql.SQL("true") if value else sql.SQL("false")
        case str():
            return text_literal(value)
        case int():
            return sql.SQL("({})").format(sql.Literal(value))
        case float():
            if not math.isfinite(value):
                return sql.SQL("{}::pg_catalog.float8").format(text_literal(repr(value)))
            return sql.SQL("({})").format(sql.Literal(value))
        case tuple():
            return text_literal(_array_text(value))


def _array_text(values: tuple[LiteralValue, ...]) -> str:
    return "{" + ",".join(_array_element(value) for value in values) + "}"


def _array_element(value: LiteralValue) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case tuple():
            return _array_text(value)
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case _:
            return repr(value)


def quoted_name(name: str) -> str:
    """Return one name as SQL text, for settings that hold lists of names."""
    return sql.Identifier(name).as_string(None)
