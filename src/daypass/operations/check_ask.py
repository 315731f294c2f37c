"""Check the form of an ask: what no database and no policy need be looked at for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from daypass.domain.errors import Invalid
from daypass.domain.limits import ExactStatement
from daypass.operations.consider import Ask

_SAYS_NOTHING = re.compile(r"[\s.…·_\-]+")
"""What hints leave to be filled in, copied as it is."""
_TEXTS = {"reason": 2000, "ticket": 200, "database": 200, "profile": 200}
_GLOBS = 500
_NAME = 500
_FILTER = 4000
_STATEMENTS = 20
_STATEMENT = 16_000
"""Longer ones nobody reads before they approve."""
_VALUES = 500


def check_ask(ask: Ask) -> None:
    """Raise `Invalid` for texts and lists too long to be meant, or that no database can hold."""
    for name, longest in _TEXTS.items():
        _check_text(name, getattr(ask, name), longest)
    _check_filled_in("reason", ask.reason)
    _check_filled_in("ticket", ask.ticket)
    asked = ask.asked
    for name, globs in (("relations", asked.relations), ("unmask", asked.unmask)):
        _check_count(name, len(globs))
        for each in globs:
            _check_text(name, each, _NAME)
    for name, pairs in (("row_filters", asked.row_filters), ("settings", asked.settings)):
        _check_count(name, len(pairs))
        for key, value in pairs.items():
            _check_text(name, key, _NAME)
            _check_text(name, value, _FILTER)
    _check_text("native_role", asked.native_role or "", _NAME)
    _check_statements(asked.statements)
    if ask.duration is not None and ask.duration <= timedelta():
        raise Invalid(
            "the duration must be longer than zero",
            problems=(("duration", "not longer than zero"),),
            next_step="write it like 30m or 2h",
            code="invalid_duration",
        )
    if ask.starts_at is not None and ask.starts_at.tzinfo is None:
        raise Invalid(
            "the start does not say its time zone",
            problems=(("starts_at", "no time zone"),),
            code="start_without_zone",
        )


def _check_statements(statements: Sequence[ExactStatement]) -> None:
    if len(statements) > _STATEMENTS:
        raise Invalid(
            f"{len(statements)} statements are more than the {_STATEMENTS} one request may name",
            problems=(("statements", f"more than {_STATEMENTS}"),),
            next_step="ask for them in several requests",
            code="too_many",
        )
    for each in statements:
        _check_text("statements", each.text, _STATEMENT)
        values = each.parameters or ()
        if len(values) > _VALUES:
            raise Invalid(
                f"a statement with more than {_VALUES} fixed values",
                problems=(("statements", f"more than {_VALUES} values"),),
                code="too_many",
            )
        for value in values:
            _check_text("statements", value or "", _FILTER)


def check_comment(text: str) -> None:
    """Raise `Invalid` for a comment on somebody's request or grant that cannot be kept."""
    _check_text("comment", text, _TEXTS["reason"])
    _check_filled_in("comment", text)


def _check_filled_in(place: str, text: str) -> None:
    """Refuse a text of dots alone; an empty one is the rule's to judge."""
    if text.strip() and _SAYS_NOTHING.fullmatch(text):
        raise Invalid(
            f"the {place} {text.strip()!r} says nothing",
            problems=((place, "only stands for what is to be filled in"),),
            next_step=f"put your own {place} in its place: people read it",
            code="not_filled_in",
        )


def _check_count(place: str, count: int) -> None:
    if count > _GLOBS:
        raise Invalid(
            f"{place}: {count} are more than the {_GLOBS} that one request may name",
            problems=((place, f"more than {_GLOBS}"),),
            next_step="use globs, such as sales.*",
            code="too_many",
        )


def _check_text(place: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise Invalid(
            f"{place} is longer than {longest} characters",
            problems=((place, f"longer than {longest} characters"),),
            code="too_long_text",
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "\0"
    if "\0" in text:
        raise Invalid(
            f"{place} holds a character that no database keeps",
            problems=((place, "holds a NUL character or half a surrogate pair"),),
            code="invalid_text",
        )
