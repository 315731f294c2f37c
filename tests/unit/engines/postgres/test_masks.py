"""Masks as text: nothing unqualified, nothing clear by mistake."""

from __future__ import annotations

import re

import pytest
from psycopg import sql

from daypass.domain.catalog import Column
from daypass.domain.masks import (
    ConstantMask,
    DateMask,
    EmailMask,
    FullMask,
    HashMask,
    JsonMask,
    Mask,
    NullMask,
    PartialMask,
    RangeMask,
    RegexMask,
)
from daypass.engines.postgres.masks import mask_expression, masked_type

_TYPES = {
    "text": "text",
    "character varying(20)": "text",
    "character(3)": "text",
    "sales.mail": "text",
    "integer": "integer",
    "bigint": "integer",
    "numeric(10,2)": "decimal",
    "double precision": "float",
    "boolean": "boolean",
    "date": "date",
    "timestamp without time zone": "timestamp",
    "timestamp(3) with time zone": "timestamp",
    "json": "json",
    "jsonb": "json",
    "bytea": "bytes",
    "uuid": "uuid",
    "integer[]": "other",
}
_MASKS: tuple[Mask, ...] = (
    FullMask(),
    NullMask(),
    PartialMask(2, 2),
    EmailMask(),
    HashMask(),
    DateMask("month"),
    DateMask("century"),
    RangeMask(10),
    RangeMask(0),
    ConstantMask("hidden"),
    ConstantMask("0"),
    RegexMask("a", "b"),
    RegexMask("", "b"),
    JsonMask((("a.b", EmailMask()), ("c[].*", FullMask()))),
)
_BUILT_IN = {"case", "when", "then", "else", "end", "select", "from", "where", "as", "is", "not"}
_BUILT_IN |= {"null", "and", "any", "or", "collate", "operator", "coalesce", "array", "with"}
_BUILT_IN |= {"ordinality", "order", "by", "false", "value", "place"}


def _text(mask: Mask, type_name: str) -> str:
    column = Column("c", 1, type_name, _TYPES[type_name])
    base = sql.Identifier("sales", "t")
    return mask_expression(mask, column, base).expression.as_string(None)


@pytest.mark.parametrize("mask", _MASKS, ids=repr)
@pytest.mark.parametrize("type_name", _TYPES)
def test_every_name_is_qualified(mask: Mask, type_name: str) -> None:
    """A search path or a temporary object could stand in for a name without its schema."""
    text = re.sub(r"E?'(?:[^']|'')*'", "''", _text(mask, type_name))
    assert not re.search(r"[^(]\s(?:=|<|>|~|\|\||\+|-|\*|/|\?|->|#>>)\s", text), text
    for match in re.finditer(r"(?<![\w.\"])([a-z_][a-z0-9_]*)(?![\w.\"])", text):
        word = match[1]
        aliased = text[match.end() :].startswith(".") or text[: match.start()].endswith("as ")
        assert word in _BUILT_IN or aliased, (word, text)
    for kind in re.findall(r"::([\w\".]+)", text):
        assert kind.replace('"', "").startswith("pg_catalog."), text


@pytest.mark.parametrize("mask", _MASKS, ids=repr)
@pytest.mark.parametrize("type_name", _TYPES)
def test_no_mask_is_the_column_itself(mask: Mask, type_name: str) -> None:
    assert _text(mask, type_name).replace("(", "").replace(")", "") != 'b."c"'


@pytest.mark.parametrize(
    ("mask", "type_name", "expected"),
    [
        (FullMask(), "text", "text"),
        (FullMask(), "character varying(20)", "character varying(20)"),
        (FullMask(), "character(3)", "character(3)"),
        # A domain's check could reject the masked value and tell of it.
        (FullMask(), "sales.mail", "text"),
        (FullMask(), "integer[]", "integer[]"),
        (HashMask(), "character varying(20)", "text"),
        (HashMask(), "uuid", "uuid"),
        (HashMask(), "integer", "text"),
        (HashMask(), "boolean", "boolean"),
        (RangeMask(10), "numeric(10,2)", "numeric"),
        (RangeMask(10), "integer", "integer"),
        (RangeMask(10), "date", "date"),
        (DateMask("month"), "timestamp(3) with time zone", "timestamp with time zone"),
        (ConstantMask("0"), "integer", "integer"),
        (ConstantMask("99999999999"), "integer", "integer"),
        (EmailMask(), "boolean", "boolean"),
    ],
)
def test_types_that_come_out(mask: Mask, type_name: str, expected: str) -> None:
    assert masked_type(mask, Column("c", 1, type_name, _TYPES[type_name])) == expected


@pytest.mark.parametrize(
    ("constant", "type_name"),
    [
        ("x", "integer"),
        ("99999999999", "integer"),
        ("١٢", "integer"),
        ("1e5", "numeric(10,2)"),
        ("maybe", "boolean"),
        ("2026-02-30", "date"),
        ("x", "uuid"),
        ("{", "jsonb"),
        ("x", "bytea"),
    ],
)
def test_a_constant_that_is_no_value_of_the_type_hides_it(constant: str, type_name: str) -> None:
    assert _text(ConstantMask(constant), type_name) == _text(NullMask(), type_name)


def test_values_of_masks_are_literals() -> None:
    text = _text(RegexMask("a'; drop table t; --", "\\1' || secret || '"), "text")
    assert "'a''; drop table t; --'" in text
    assert "secret || ''" in text


def test_two_masks_for_one_place_of_a_document_hide_it() -> None:
    twice = JsonMask((("a", EmailMask()), ("a", ConstantMask("x"))))
    hidden = JsonMask((("a", FullMask()),))
    assert _text(twice, "jsonb") == _text(hidden, "jsonb")
