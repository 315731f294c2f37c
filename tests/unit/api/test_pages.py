"""Cursors are opaque, exact, and refused when they are none."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daypass.api.pages import (
    PageQuery,
    after_number,
    after_text,
    before_number,
    page_from,
    page_of,
)
from daypass.domain.errors import Invalid


def test_pages_join_without_gap_or_overlap() -> None:
    rows = list(range(1, 8))
    seen: list[int] = []
    cursor = ""
    while True:
        query = PageQuery(cursor=cursor, limit=3)
        after = after_number(query)
        found = [each for each in rows if each > after][: query.limit + 1]
        page = page_of(found, query, lambda each: each, lambda each: each)
        seen += page.items
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == rows


@given(st.text())
def test_text_cursors_come_back(text: str) -> None:
    page = page_from([1], text, lambda each: each)
    assert page.next_cursor is not None
    query = PageQuery.model_construct(cursor=page.next_cursor, limit=50)
    assert after_text(query) == text


def test_the_first_page_of_the_newest() -> None:
    assert before_number(PageQuery()) is None
    page = page_from([5, 4], 4, lambda each: each)
    assert before_number(PageQuery(cursor=page.next_cursor or "")) == 4


@pytest.mark.parametrize(
    "text", ["[true]", "[-1]", "[9223372036854775808]", "[1.5]", "{}", "[1,2]", "[null]", "[[1]]"]
)
def test_strange_contents_are_refused(text: str) -> None:
    cursor = base64.urlsafe_b64encode(text.encode()).decode()
    with pytest.raises(Invalid) as caught:
        after_number(PageQuery(cursor=cursor))
    assert caught.value.detail_code == "invalid_cursor"


@given(st.text(min_size=1, max_size=50))
def test_nonsense_is_refused_or_read_never_breaks(text: str) -> None:
    query = PageQuery(cursor=text)
    with contextlib.suppress(Invalid):
        assert 0 <= after_number(query) < 2**63
