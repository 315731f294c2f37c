"""Globs match part by part; quoting makes a part mean itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daypass.policy.globs import contains, exact_glob, matches


@pytest.mark.parametrize(
    ("glob", "names", "hit"),
    [
        ("sales.*", ("sales", "orders"), True),
        ("sales.*", ("sales", "a.b"), True),
        ("sales.*", ("sales.a", "b"), False),
        ("*.orders", ("a", "orders"), True),
        ("*.orders", ("a", "orders2"), False),
        ("s?les.o*s", ("sales", "orders"), True),
        ("Sales.orders", ("sales", "orders"), False),
        ('"a.b"."c*"', ("a.b", "c*"), True),
        ('"a.b"."c*"', ("a.b", "cd"), False),
        ('"say ""hi""".t', ('say "hi"', "t"), True),
        ("a.b", ("a", "b", "c"), False),
        ("a[bc].d", ("ab", "d"), False),
        ("a[bc].d", ("a[bc]", "d"), True),
        ("*.*", ("a\nb", "c"), True),
        ("", ("",), False),
        ("a..b", ("a", "", "b"), False),
        ('a."b', ("a", "b"), False),
    ],
)
def test_matching(glob: str, names: tuple[str, ...], hit: bool) -> None:
    assert matches(glob, names) is hit


_NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3).map(tuple)


@given(_NAMES, _NAMES)
def test_an_exact_glob_matches_only_its_own_names(
    names: tuple[str, ...], others: tuple[str, ...]
) -> None:
    assert matches(exact_glob(names), names)
    assert matches(exact_glob(names), others) is (names == others)


_GLOBS = st.lists(st.text("ab*?", min_size=1, max_size=4), min_size=2, max_size=2).map(".".join)
_PAIRS = st.lists(st.text("ab", min_size=1, max_size=5), min_size=2, max_size=2).map(tuple)


@given(_GLOBS, _GLOBS, _PAIRS)
def test_what_an_inner_glob_matches_the_outer_does(
    outer: str, inner: str, names: tuple[str, ...]
) -> None:
    if contains(outer, inner) and matches(inner, names):
        assert matches(outer, names)


@pytest.mark.parametrize(
    ("outer", "inner", "inside"),
    [
        ("*.*", "sales.*", True),
        ("sales.*", "sales.orders", True),
        ("sales.*", "*.orders", False),
        ("s?.*", "s*.x", False),
        ("s*.*", "s?.x", True),
        ("a.b", "a.b", True),
        ('"*".x', "*.x", False),
        ("*.x", '"*".x', True),
        ("a.b", "a.b.c", False),
    ],
)
def test_containing(outer: str, inner: str, inside: bool) -> None:
    assert contains(outer, inner) is inside


def test_many_stars_are_not_slow() -> None:
    assert not matches("*" * 200 + "x.y", ("a" * 5000, "y"))
    assert not matches("*a" * 12 + "x.y", ("a" * 60, "y"))
