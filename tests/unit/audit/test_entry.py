"""Entries are canonical JSON, and hold nothing else."""

from datetime import UTC, datetime

import pytest

from daypass.audit.entry import Entry, EntryKind, canonical, digest
from daypass.domain.secret import Secret

AT = datetime(2026, 11, 21, 12, 0, 0, 5, tzinfo=UTC)


def text_of(**content: object) -> str:
    return canonical(Entry(EntryKind.REQUEST_FILED, content=content), AT)  # type: ignore[arg-type]


def test_names_are_in_the_order_of_rfc_8785() -> None:
    # By UTF-16 unit the astral face comes before the last BMP letters; by code point, after.
    text = text_of(**{"\ufb33": 1, "\U0001f602": 2, "é": 3, "a": 4, "A": 5})
    assert '"content":{"A":5,"a":4,"é":3,"\U0001f602":2,"\ufb33":1}' in text


def test_a_moment_is_utc_with_microseconds_and_nothing_is_spaced() -> None:
    text = text_of(b=[True, None, {"x": "y"}])
    assert text.startswith('{"actor":null,"address":"","application":"","at":"2026-11-21T12:00:00')
    assert '"at":"2026-11-21T12:00:00.000005Z"' in text
    assert '"content":{"b":[true,null,{"x":"y"}]}' in text
    assert len(digest(text)) == 32


@pytest.mark.parametrize("value", [Secret("x"), 1.5, 2**53, b"x", {1: "x"}, object(), {"a": {1.0}}])
def test_what_no_entry_may_hold(value: object) -> None:
    with pytest.raises(TypeError) as caught:
        text_of(value=value)
    assert "entry.content.value" in str(caught.value)
