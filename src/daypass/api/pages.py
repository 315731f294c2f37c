"""Lists in pages: opaque cursors that stay right while rows come and go."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from daypass.domain.errors import Invalid

Item = TypeVar("Item")
_Row = TypeVar("_Row")


class PageQuery(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(extra="forbid")

    cursor: str = Field(
        default="", max_length=500, description="`next_cursor` of the page before; empty: the first"
    )
    limit: int = Field(default=50, ge=1, le=200)


class Page(BaseModel, Generic[Item]):
    """A page; `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None


def after_number(query: PageQuery, *, start: int = 0) -> int:
    """Read a cursor that holds a number; `start` is for the first page."""
    value = _read(query.cursor) if query.cursor else start
    if not isinstance(value, int):
        raise _wrong_cursor()
    return value


def before_number(query: PageQuery) -> int | None:
    """Read a cursor of a list with the newest first."""
    return after_number(query) if query.cursor else None


def after_text(query: PageQuery) -> str:
    """Read a cursor that holds a text."""
    value = _read(query.cursor) if query.cursor else ""
    if not isinstance(value, str):
        raise _wrong_cursor()
    return value


def page_of(
    rows: Sequence[_Row],
    query: PageQuery,
    item: Callable[[_Row], Item],
    key: Callable[[_Row], int | str],
) -> Page[Item]:
    """Make a page of rows asked for with a limit of one more than the page holds."""
    shown = rows[: query.limit]
    more = len(rows) > query.limit
    return Page(
        items=[item(row) for row in shown], next_cursor=_write(key(shown[-1])) if more else None
    )


def page_from(
    rows: Sequence[_Row], next_key: int | str | None, item: Callable[[_Row], Item]
) -> Page[Item]:
    """Make a page of rows that come with the key to go on from; None when there are no more."""
    return Page(
        items=[item(row) for row in rows],
        next_cursor=None if next_key is None else _write(next_key),
    )


def _write(value: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps([value]).encode()).decode().rstrip("=")


def _read(cursor: str) -> int | str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        value = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise _wrong_cursor() from error
    match value:
        case [bool()]:
            raise _wrong_cursor()
        case [int() as number] if 0 <= number < 2**63:
            return number
        case [str() as text]:
            return text
        case _:
            raise _wrong_cursor()


def _wrong_cursor() -> Invalid:
    return Invalid(
        "the cursor is none of this list",
        next_step="take next_cursor of the page before, or leave it out",
        code="invalid_cursor",
    )
