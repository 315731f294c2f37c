"""Masks as SQL expressions of built-in functions over a base column: pure.

Every function, operator and type is written with its schema, so that no search path and no
temporary object can stand in for one. An expression never raises: an error would carry the value or
tell something about it. What a mask does not apply to is hidden entirely, and NULL stays NULL.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import orjson
from psycopg import sql

from daypass.domain.catalog import Column
from daypass.domain.masks import (
    ConstantMask,
    DateMask,
    HashMask,
    JsonMask,
    Mask,
    NullMask,
    RangeMask,
)
from daypass.engines.postgres.json_masks import json_mask
from daypass.engines.postgres.text_masks import (
    bytes_of_text,
    hash_of_bytes,
    numeric_floor,
    text_mask,
)

_VARYING = re.compile(r"(?:character varying|varchar)(?:\((\d+)\))?")
_FIXED = re.compile(r"(?:character|char|bpchar)(?:\((\d+)\))?")
_INTEGERS = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
_NAMES = {"smallint": "int2", "integer": "int4", "bigint": "int8"}
_FLOATS = ("real", "double precision")
_NUMERIC = re.compile(r"numeric(?:\(.*\))?")
_TIMESTAMP = re.compile(r"timestamp(?:\(\d\))? without time zone")
_TIMESTAMPTZ = re.compile(r"timestamp(?:\(\d\))? with time zone")


@dataclass(frozen=True, slots=True)
class Masked:
    """An expression over the base column and the type that comes out of it."""

    expression: sql.Composable
    type: str


def mask_expression(mask: Mask, column: Column, base: sql.Composable) -> Masked:
    """Return the expression that stands for a masked column of the relation `base`, aliased `b`."""
    value = sql.SQL("b.{}").format(sql.Identifier(column.name))
    made: Masked | None = None
    match mask, column.type_family:
        case NullMask(), _:
            made = None
        case _, "text":
            made = _text(mask, column, value)
        case JsonMask() as paths, "json":
            kind = "json" if column.type == "json" else "jsonb"
            made = Masked(json_mask(paths, value, column.type), kind)
        case HashMask(), _:
            made = _hash(column, value)
        case DateMask(unit), "date" | "timestamp":
            made = _date(unit, column, value)
        case RangeMask(step), "integer" | "decimal" | "float":
            made = _range(step, column, value)
        case ConstantMask(constant), _:
            made = _constant(constant, column, value)
        case _:
            made = None
    return made or Masked(_null_of(column, base), column.type)


def masked_type(mask: Mask, column: Column) -> str:
    """Return the type a mask makes of a column."""
    return mask_expression(mask, column, sql.Identifier("b")).type


def _null_of(column: Column, base: sql.Composable) -> sql.Composable:
    """Return a NULL of exactly the column's type.

    A sub-select that finds nothing is the one form that is right for every type: a cast of NULL to
    a domain would be checked against the domain's constraints.
    """
    return sql.SQL("(select n.{} from {} as n where false)").format(
        sql.Identifier(column.name), base
    )


def _text(mask: Mask, column: Column, value: sql.Composable) -> Masked:
    shown = text_mask(mask, sql.SQL('({}::pg_catalog.text collate pg_catalog."C")').format(value))
    as_text = sql.SQL('(({})::pg_catalog.text collate pg_catalog."default")').format(shown)
    varying, fixed = _VARYING.fullmatch(column.type), _FIXED.fullmatch(column.type)
    limit = int((varying and varying[1]) or (fixed and fixed[1]) or 0)
    # A hash cut short could make different values equal.
    if isinstance(mask, HashMask) and 0 < limit < 64:
        return Masked(as_text, "text")
    if varying:
        size = sql.SQL("({})").format(sql.Literal(limit)) if limit else sql.SQL("")
        return Masked(
            sql.SQL("{}::pg_catalog.varchar{}").format(as_text, size),
            f"character varying({limit})" if limit else "character varying",
        )
    if fixed and limit:
        return Masked(
            sql.SQL("{}::pg_catalog.bpchar({})").format(as_text, sql.Literal(limit)),
            f"character({limit})",
        )
    return Masked(as_text, "text")


def _hash(column: Column, value: sql.Composable) -> Masked | None:
    match column.type_family:
        case "integer":
            # By way of text, so that keys of different widths stay joinable.
            data = bytes_of_text(sql.SQL("{}::pg_catalog.int8::pg_catalog.text").format(value))
        case "decimal" if _NUMERIC.fullmatch(column.type):
            data = bytes_of_text(
                sql.SQL("pg_catalog.trim_scale({})::pg_catalog.text").format(value)
            )
        case "uuid":
            data = sql.SQL("pg_catalog.uuid_send({}::pg_catalog.uuid)").format(value)
            digest = sql.SQL(
                "pg_catalog.encode(pg_catalog.substr({}, 1, 16), 'hex')::pg_catalog.uuid"
            ).format(hash_of_bytes(data))
            return Masked(digest, "uuid")
        # Binary forms, since the text of a date or float depends on the session's settings.
        case "date":
            data = sql.SQL("pg_catalog.date_send({}::pg_catalog.date)").format(value)
        case "timestamp" if _TIMESTAMPTZ.fullmatch(column.type):
            data = sql.SQL("pg_catalog.timestamptz_send({})").format(value)
        case "timestamp" if _TIMESTAMP.fullmatch(column.type):
            data = sql.SQL("pg_catalog.timestamp_send({})").format(value)
        case "float":
            data = sql.SQL("pg_catalog.float8send({}::pg_catalog.float8)").format(value)
        case "boolean":
            # Two values: a hash would hide nothing.
            return None
        case "bytes":
            data = sql.SQL("{}::pg_catalog.bytea").format(value)
        case "json" if column.type == "jsonb":
            data = bytes_of_text(sql.SQL("{}::pg_catalog.text").format(value))
        case _:
            return None
    return Masked(sql.SQL("pg_catalog.encode({}, 'hex')").format(hash_of_bytes(data)), "text")


def _date(unit: str, column: Column, value: sql.Composable) -> Masked | None:
    if unit not in ("month", "year"):
        return None
    part = sql.Literal(unit)
    if column.type_family == "date":
        inside = _between(value, "date", "0001-01-01", "9999-12-31")
        shown = sql.SQL(
            "pg_catalog.date_trunc({}, {}::pg_catalog.timestamp)::pg_catalog.date"
        ).format(part, value)
        made = Masked(shown, "date")
    elif _TIMESTAMPTZ.fullmatch(column.type):
        inside = _between(value, "timestamptz", "0001-01-02 00:00+00", "9999-12-30 00:00+00")
        # In UTC, whatever the session's time zone: moving the zone to and fro across the edge of a
        # month would tell the hidden part.
        shown = sql.SQL("pg_catalog.date_trunc({}, {}, 'UTC')").format(part, value)
        made = Masked(shown, "timestamp with time zone")
    elif _TIMESTAMP.fullmatch(column.type):
        inside = _between(value, "timestamp", "0001-01-01 00:00", "9999-12-31 00:00")
        shown = sql.SQL("pg_catalog.date_trunc({}, {})").format(part, value)
        made = Masked(shown, "timestamp without time zone")
    else:
        return None
    # Far-off and infinite values would raise "out of range".
    return Masked(
        sql.SQL("(case when {} then {} else null end)").format(inside, made.expression), made.type
    )


def _between(value: sql.Composable, kind: str, low: str, high: str) -> sql.Composable:
    typename = sql.Identifier("pg_catalog", kind)
    return sql.SQL(
        "({v} operator(pg_catalog.>=) {low}::{t} and {v} operator(pg_catalog.<=) {high}::{t})"
    ).format(v=value, low=sql.Literal(low), high=sql.Literal(high), t=typename)


def _range(step: int, column: Column, value: sql.Composable) -> Masked | None:
    if step <= 0:
        return None
    if column.type_family == "float":
        number = sql.SQL("{}::pg_catalog.float8").format(value)
        shown = sql.SQL(
            "(case when pg_catalog.abs({v}) operator(pg_catalog.<) 1e15::pg_catalog.float8"
            " then pg_catalog.floor({v} operator(pg_catalog./) {s}::pg_catalog.float8)"
            " operator(pg_catalog.*) {s}::pg_catalog.float8 else null end)"
        ).format(v=number, s=sql.Literal(min(step, 10**15)))
        if column.type == "real":
            return Masked(sql.SQL("{}::pg_catalog.float4").format(shown), "real")
        return Masked(shown, "double precision")
    if column.type_family == "decimal" and column.type == "money":
        return None
    kind = column.type if column.type in _INTEGERS else "bigint"
    if column.type_family == "integer" and kind != "bigint" and step < 2**31:
        # In bigint nothing can overflow, and it takes a tenth of the time.
        return Masked(_floor_of_small(value, step, kind), kind)
    floor = numeric_floor(sql.SQL("{}::pg_catalog.numeric").format(value), step)
    if column.type_family == "decimal":
        return Masked(floor, "numeric")
    low, _ = _INTEGERS[kind]
    name = _NAMES[kind]
    # The lowest multiple may lie below what the type can hold; the type's own end stands for it.
    clamped = sql.SQL(
        "(case when {f} operator(pg_catalog.<) {low}::pg_catalog.numeric"
        " then {low}::pg_catalog.numeric else {f} end)::{t}"
    ).format(f=floor, low=sql.Literal(str(low)), t=sql.Identifier("pg_catalog", name))
    return Masked(clamped, kind)


def _floor_of_small(value: sql.Composable, step: int, kind: str) -> sql.Composable:
    """Return the greatest multiple of `step` not above an integer, or the least of its type."""
    low, _ = _INTEGERS[kind]
    number = sql.SQL("{}::pg_catalog.int8").format(value)
    return sql.SQL(
        "(case when {n} operator(pg_catalog.<) {first}::pg_catalog.int8"
        " then {low}::pg_catalog.int8 else {n} operator(pg_catalog.-) {rest}"
        " operator(pg_catalog.-) (case when {rest} operator(pg_catalog.<) 0::pg_catalog.int8"
        " then {step}::pg_catalog.int8 else 0::pg_catalog.int8 end) end)::{t}"
    ).format(
        # The lowest multiple the type can hold; below it the type's own end stands for one.
        first=sql.Literal(str(-(-low // step) * step)),
        low=sql.Literal(str(low)),
        n=number,
        rest=sql.SQL("pg_catalog.mod({}, {}::pg_catalog.int8)").format(
            number, sql.Literal(str(step))
        ),
        step=sql.Literal(str(step)),
        t=sql.Identifier("pg_catalog", _NAMES[kind]),
    )


def _constant(constant: str, column: Column, value: sql.Composable) -> Masked | None:
    kind = _constant_type(constant, column)
    if kind is None:
        return None
    typename, shown = kind
    return Masked(
        sql.SQL("(case when {} is not null then {}::{} end)").format(
            value, sql.Literal(constant.strip()), sql.Identifier("pg_catalog", typename)
        ),
        shown,
    )


def _constant_type(constant: str, column: Column) -> tuple[str, str] | None:
    """Return the type a constant can safely be read as for this column, if there is one."""
    text = constant.strip()
    try:
        match column.type_family:
            case "integer":
                kind = column.type if column.type in _INTEGERS else "bigint"
                low, high = _INTEGERS[kind]
                if (
                    not re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII)
                    or not low <= int(text) <= high
                ):
                    return None
                return _NAMES[kind], kind
            case "decimal" if _NUMERIC.fullmatch(column.type):
                if not re.fullmatch(r"[+-]?\d{1,100}(\.\d{1,100})?", text, re.ASCII):
                    return None
                Decimal(text)
                return "numeric", "numeric"
            case "boolean" if text.lower() in ("true", "false"):
                return "bool", "boolean"
            case "date":
                dt.date.fromisoformat(text)
                return "date", "date"
            case "uuid":
                return ("uuid", "uuid") if str(uuid.UUID(text)) == text.lower() else None
            case "json" if column.type == "jsonb":
                orjson.loads(text)
                return None if "\\u" in text else ("jsonb", "jsonb")
            case _:
                return None
    except (ValueError, InvalidOperation):
        return None
