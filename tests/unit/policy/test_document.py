"""Policy files are a strict YAML whose every character keeps its place."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daypass.domain.errors import Invalid
from daypass.policy.document import (
    MAX_DEPTH,
    MAX_FILE_CHARACTERS,
    Entries,
    Items,
    Problems,
    Scalar,
    read_document,
)


def problems_of(text: str) -> list[tuple[str, str]]:
    problems = Problems()
    read_document("p.yaml", text, problems)
    with pytest.raises(Invalid) as raised:
        problems.raise_if_any("wrong")
    return list(raised.value.problems)


def value_of(text: str, key: str = "k") -> Scalar:
    problems = Problems()
    document = read_document("p.yaml", text, problems)
    problems.raise_if_any("wrong")
    assert document is not None
    found = {k.value: v for k, v in document.entries}[key]
    assert isinstance(found, Scalar)
    return found


@pytest.mark.parametrize(
    ("text", "needle", "place"),
    [
        ("k: alpha beta\n", "beta", (1, 10)),
        ("k: 'it''s beta'\n", "beta", (1, 11)),
        ('k: "a\\tb\\u00e9 beta"\n', "beta", (1, 16)),
        ('k: "one \\\n   beta"\n', "beta", (2, 4)),
        ("k: >-\n  one\n  two beta\n", "beta", (3, 7)),
        ("k: >-\n  one\n\n    two\n  beta\n", "beta", (5, 3)),
        ("k: |\n    one\n    beta\n", "beta", (3, 5)),
        ("k: |2-\n    one\n  beta\n", "beta", (3, 3)),
        ("k: one\n  two\n   beta\n", "beta", (3, 4)),
        ("a: 1\nl:\n  - x\nk: >+ # beta in a comment\n  é beta\n\n", "beta", (5, 5)),
        ("k: '日本 😀 beta'\n", "beta", (1, 10)),
        ("{a: [1, 2], k: beta}\n", "beta", (1, 16)),
        ("\ufeffk: beta\r\n", "beta", (1, 4)),
    ],
)
def test_places_inside_values_are_exact(text: str, needle: str, place: tuple[int, int]) -> None:
    scalar = value_of(text)
    at = scalar.place_at(scalar.value.index(needle))
    assert (at.line, at.column) == place


def test_the_end_of_a_value_is_just_behind_it() -> None:
    scalar = value_of("k: >-\n  a +\n  b\n")
    assert str(scalar.place_at(len(scalar.value))) == "p.yaml:3:4"


_WORDS = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S"), exclude_characters="\\"),
    min_size=1,
    max_size=6,
)


@given(st.lists(_WORDS, min_size=1, max_size=8), st.sampled_from(["'", '"', ">", "|"]))
def test_every_visible_character_maps_to_itself(words: list[str], style: str) -> None:
    text = yaml.dump({"k": " ".join(words)}, default_style=style, allow_unicode=True, width=20)
    problems = Problems()
    document = read_document("p.yaml", text, problems)
    if len(problems):
        return
    assert document is not None
    scalar = document.entries[0][1]
    assert isinstance(scalar, Scalar)
    lines = text.split("\n")
    for offset, character in enumerate(scalar.value):
        if character.isspace():
            continue
        place = scalar.place_at(offset)
        written = lines[place.line - 1][place.column - 1]
        assert written in (character, "\\"), (text, offset)


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("a: 1\nb: &x [1]\n", "p.yaml:2:4", "anchors"),
        ("a: 1\nb: *x\n", "p.yaml:2:4", "anchors"),
        ("a: !!python/object:os.system ls\n", "p.yaml:1:4", "tags"),
        ("a: ! x\n", "p.yaml:1:4", "tags"),
        ("a: 1\n---\nb: 2\n", "p.yaml:2:1", "one YAML document"),
        ("a: 1\nb: 2\na: 3\n", "p.yaml:3:1", "twice (first at p.yaml:1:1)"),
        ("a: {b: 1, b: 2}\n", "p.yaml:1:11", "twice"),
        ("- a\n", "p.yaml:1:1", "mapping"),
        ("a: [1\n", "p.yaml:2:1", "not YAML"),
        ("a: b: c\n", "p.yaml:1:5", "quote a value that has a colon"),
        ("a: 'x\n", "p.yaml:2:1", "not YAML"),
        ("? [a]\n: b\n", "p.yaml:1:3", "key must be a text"),
        ("a: x\x07y\n", "p.yaml:1:5", "U+0007"),
        ("a: 1\nb: x\u202ey\n", "p.yaml:2:5", "U+202E"),
        ("a: x\x85y\n", "p.yaml:1:5", "U+0085"),
        ('a: "x\\0y"\n', "p.yaml:1:4", "U+0000"),
        ("a: " + "[" * 40 + "]" * 40 + "\n", f"p.yaml:1:{4 + MAX_DEPTH}", "deep"),
        ("a: " + "{a: " * 40 + "}" * 40 + "\n", f"p.yaml:1:{1 + 4 * MAX_DEPTH}", "deep"),
        ("x" * (MAX_FILE_CHARACTERS + 1), "p.yaml:1:1", "longer"),
        ("a: [" + "1," * 60_000 + "]\n", "p.yaml:1:99999", "more than 50000 values"),
    ],
)
def test_what_is_not_allowed_is_named_with_its_place(text: str, place: str, says: str) -> None:
    found = problems_of(text)
    assert found[0][0] == place
    assert says in found[0][1]


def test_a_bomb_of_aliases_is_stopped_at_its_first_anchor() -> None:
    bomb = "a: &a [x,x]\n" + "".join(f"b{i}: &b{i} [*a,*a]\n" for i in range(50))
    assert problems_of(bomb)[0][0] == "p.yaml:1:4"


def test_yes_and_dates_are_texts_and_comments_alone_are_nothing() -> None:
    assert value_of("k: yes\n").value == "yes"
    assert value_of("k: 2026-01-01\n").value == "2026-01-01"
    problems = Problems()
    document = read_document("p.yaml", "# nothing\n", problems)
    assert isinstance(document, Entries)
    assert document.entries == ()


def test_a_list_and_a_mapping_know_where_they_begin() -> None:
    document = read_document("p.yaml", "a:\n  - b: 1\n", Problems())
    assert document is not None
    items = document.entries[0][1]
    assert isinstance(items, Items)
    assert (str(items.place), str(items.items[0].place)) == ("p.yaml:2:3", "p.yaml:2:5")


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    problems = Problems()
    document = read_document("p.yaml", text, problems)
    assert document is not None or len(problems)
