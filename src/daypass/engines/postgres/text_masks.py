"""Masks over a text: pure. The caller gives the text in collation "C" and chooses the type."""

from __future__ import annotations

from typing import Final

from psycopg import sql

from daypass.domain.masks import (
    ConstantMask,
    DateMask,
    EmailMask,
    HashMask,
    Mask,
    NullMask,
    PartialMask,
    RegexMask,
)
from daypass.engines.postgres.names import SCHEMA
from daypass.engines.postgres.quoting import typed_text

HIDDEN: Final = "***"

_LETTERS: Final = "^[a-zA-Z]+$"
_USUAL_ENDS: Final = (
    *("com", "org", "net", "edu", "gov", "io", "co", "info", "biz", "example", "test", "eu"),
    *("de", "uk", "fr", "it", "es", "nl", "be", "ch", "at", "pl", "se", "no", "dk", "fi", "cz"),
    *("us", "ca", "mx", "br", "ar", "au", "nz", "jp", "cn", "in", "kr", "za", "ru", "ua", "tr"),
)
_ISO_DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}($|[T ])"


def text_mask(mask: Mask, value: sql.Composable) -> sql.Composable:
    """Return the expression for a masked text; `value` must be of collation "C".

    Collation "C", because regular expressions raise an error under a nondeterministic one.
    """
    hidden = typed_text(HIDDEN)
    match mask:
        case NullMask():
            return sql.SQL("null::pg_catalog.text")
        case PartialMask(first, last):
            shown = _partial(max(first, 0), max(last, 0), value)
        case EmailMask():
            shown = _email(value)
        case HashMask():
            shown = sql.SQL("pg_catalog.encode({}, 'hex')").format(
                hash_of_bytes(bytes_of_text(value))
            )
        case ConstantMask(constant):
            shown = typed_text(constant)
        case RegexMask(pattern, replacement) if pattern:
            shown = sql.SQL(
                "case when {v} operator(pg_catalog.~) {pattern}"
                " then pg_catalog.regexp_replace({v}, {pattern}, {replacement}, 'g')"
                " else {hidden} end"
            ).format(
                v=value,
                pattern=typed_text(pattern),
                replacement=typed_text(replacement),
                hidden=hidden,
            )
        case DateMask(unit) if unit in ("month", "year"):
            length = 7 if unit == "month" else 4
            shown = sql.SQL(
                "case when {v} operator(pg_catalog.~) {date}"
                " then pg_catalog.left({v}, {length}) else {hidden} end"
            ).format(v=value, date=typed_text(_ISO_DATE), length=sql.Literal(length), hidden=hidden)
        case _:
            shown = hidden
    return sql.SQL("(case when {} is not null then {} end)").format(value, shown)


def _partial(first: int, last: int, value: sql.Composable) -> sql.Composable:
    # The middle is always three stars, so that it does not tell the length.
    return sql.SQL(
        "case when pg_catalog.char_length({v}) operator(pg_catalog.>) {least}"
        " then pg_catalog.left({v}, {first}) operator(pg_catalog.||) {hidden}"
        " operator(pg_catalog.||) pg_catalog.right({v}, {last}) else {hidden} end"
    ).format(
        v=value,
        least=sql.Literal(2 * (first + last)),
        first=sql.Literal(first),
        last=sql.Literal(last),
        hidden=typed_text(HIDDEN),
    )


def _email(value: sql.Composable) -> sql.Composable:
    # What follows the last dot is letters alone, so the @ stands before that dot. One regular
    # expression over the whole would be clearer, and takes ten times as long; even over the end
    # alone it is most of the time, so the ends that most addresses have are looked up first.
    top = sql.SQL("pg_catalog.split_part({}, '.', -1)").format(value)
    return sql.SQL(
        "case when {v} operator(pg_catalog.~~) {some} and {v} operator(pg_catalog.!~~) {first}"
        " and ({top} operator(pg_catalog.=) any (array[{usual}]::pg_catalog.text[])"
        " or {top} operator(pg_catalog.~) {letters})"
        " then pg_catalog.left({v}, 1) operator(pg_catalog.||) {middle}"
        " operator(pg_catalog.||) pg_catalog.left({top}, 24) else {hidden} end"
    ).format(
        v=value,
        top=top,
        some=typed_text("%@%"),
        first=typed_text("@%"),
        usual=sql.SQL(", ").join(sql.Literal(each) for each in _USUAL_ENDS),
        letters=typed_text(_LETTERS),
        middle=typed_text("***@***."),
        hidden=typed_text(HIDDEN),
    )


def hash_of_bytes(data: sql.Composable) -> sql.Composable:
    """Return a keyed hash of a bytea, 32 bytes: half of SHA-512 over the database's pad and it.

    A hash of which half is kept back lets nobody go on from one value's hash to another's (ADR 28).
    The pad is sub-selected, hence fetched once a query, from a table that only the views' owner
    reads. Whoever may call a keyed function could hash guesses with it.
    """
    return sql.SQL(
        "pg_catalog.substr(pg_catalog.sha512((select p.ipad from {pads} as p)"
        " operator(pg_catalog.||) {data}), 1, 32)"
    ).format(pads=sql.Identifier(SCHEMA, "pads"), data=data)


def bytes_of_text(text: sql.Composable) -> sql.Composable:
    """Return a text's bytes in the database's own encoding.

    No conversion takes place, hence no error that would quote the value.
    """
    return sql.SQL("pg_catalog.convert_to({}, pg_catalog.getdatabaseencoding())").format(text)


def numeric_floor(number: sql.Composable, step: int) -> sql.Composable:
    """Return the greatest multiple of `step` not above a numeric: exact, negatives included."""
    return sql.SQL(
        "({n} operator(pg_catalog.-) pg_catalog.mod({n}, {s}) operator(pg_catalog.-)"
        " (case when pg_catalog.mod({n}, {s}) operator(pg_catalog.<) 0::pg_catalog.numeric"
        " then {s} else 0::pg_catalog.numeric end))"
    ).format(n=number, s=sql.SQL("{}::pg_catalog.numeric").format(sql.Literal(str(step))))
