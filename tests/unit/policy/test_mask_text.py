"""Masks are read as policy writes them and written as they are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daypass.domain.errors import Invalid
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
    mask_text,
)
from daypass.policy.document import Problems, read_document
from daypass.policy.mask_text import parse_mask, read_mask

_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
_SIMPLE = st.one_of(
    st.sampled_from([FullMask(), NullMask(), EmailMask(), HashMask()]),
    st.builds(PartialMask, st.integers(0, 999), st.integers(0, 999)),
    st.builds(DateMask, st.sampled_from(["month", "year"])),
    st.builds(RangeMask, st.integers(1, 10**9)),
    st.builds(ConstantMask, _TEXTS),
    st.builds(RegexMask, _TEXTS.filter(bool), _TEXTS),
)
_PATHS = st.lists(
    st.tuples(st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){0,2}", fullmatch=True), _SIMPLE),
    min_size=1,
    max_size=4,
    unique_by=lambda pair: pair[0],
)


@given(st.one_of(_SIMPLE, st.builds(lambda p: JsonMask(tuple(p)), _PATHS)))
def test_what_is_written_is_read_back(mask: Mask) -> None:
    assert parse_mask(mask_text(mask)) == mask


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("null", NullMask()),
        (" full ", FullMask()),
        ("partial(0,4)", PartialMask(0, 4)),
        ("regex(\"\\\\d+\", '#')", RegexMask(r"\d+", "#")),
        (
            'json({"contact.email": email, "ssn": full})',
            JsonMask((("contact.email", EmailMask()), ("ssn", FullMask()))),
        ),
    ],
)
def test_spellings(text: str, mask: Mask) -> None:
    assert parse_mask(text) == mask


def mask_problems(source: str) -> list[tuple[str, str]]:
    problems = Problems()
    document = read_document("p.yaml", source, problems)
    assert document is not None
    node = document.entries[0][1]
    assert read_mask(node, problems) is None
    with pytest.raises(Invalid) as raised:
        problems.raise_if_any("wrong")
    return list(raised.value.problems)


@pytest.mark.parametrize(
    ("source", "place", "says"),
    [
        ("mask: emial\n", "p.yaml:1:7", "did you mean email?"),
        ("mask: zzz\n", "p.yaml:1:7", "masks: full, null"),
        ("mask: partial(1)\n", "p.yaml:1:16", "expected ','"),
        ("mask: 'partial(-1, 2)'\n", "p.yaml:1:16", "at least 0"),
        ("mask: range(0)\n", "p.yaml:1:13", "at least 1"),
        ("mask: date(day)\n", "p.yaml:1:12", "month or year"),
        ("mask: full)\n", "p.yaml:1:11", "after the end"),
        ("mask: constant(x)\n", "p.yaml:1:16", "quoted text"),
        ('mask: \'regex("", "x")\'\n', "p.yaml:1:14", "empty"),
        ("mask: email;\n", "p.yaml:1:12", "does not belong"),
        ("mask: 'json({\"a..b\": full})'\n", "p.yaml:1:14", "not a path"),
        ('mask: \'json({"a": full, "a": null})\'\n', "p.yaml:1:25", "twice"),
        ('mask: \'json({"a": json({"b": full})})\'\n', "p.yaml:1:19", "cannot have a json mask"),
        ("mask: [full]\n", "p.yaml:1:7", "a list"),
        ("mask: {jsn: {a: full}}\n", "p.yaml:1:7", "{json: {path: mask"),
        ("mask: {json: {a: fll}}\n", "p.yaml:1:18", "did you mean full?"),
        ("mask: {json: {a: {json: {b: full}}}}\n", "p.yaml:1:18", "cannot have a json mask"),
        ('mask: >-\n  json({"a": full,\n  "b": nul})\n', "p.yaml:3:8", "did you mean null?"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(source: str, place: str, says: str) -> None:
    found = mask_problems(source)
    assert found[0][0] == place
    assert says in found[0][1]


def test_a_mapping_is_a_json_mask_too() -> None:
    document = read_document("p", "mask: {json: {a.b: email, c: 'partial(1, 2)'}}\n", Problems())
    assert document is not None
    mask = read_mask(document.entries[0][1], Problems())
    assert mask == JsonMask((("a.b", EmailMask()), ("c", PartialMask(1, 2))))


@given(st.text(max_size=60))
def test_no_text_makes_the_parser_fail_otherwise(text: str) -> None:
    parse_mask(text)


def test_deep_nesting_is_refused_quickly() -> None:
    assert isinstance(parse_mask('json({"a": ' * 5000), str)
