"""Splices: the corpus, positions, and what holds for any text."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daypass.domain.catalog import RelationName
from daypass.domain.errors import Invalid
from daypass.engines.postgres.parsing import parse_text
from daypass.engines.postgres.splice import Spliced, original_position, same_tree, splice

_CORPUS = Path(__file__).parents[3] / "corpus" / "postgres" / "splices.sql"
_LINES = [
    line
    for line in _CORPUS.read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("--")
]
_RELATIONS = frozenset(
    RelationName.parse(name)
    for name in (
        "sales.customers",
        "sales.orders",
        "sales.sales",
        "hr.staff",
        "Sales.Customers",
        "verkäufe.größe",
        "public.t",
    )
)
_VIEWS = {
    "sales": "dp_v_1_sales",
    "hr": "dp_v_1_hr",
    "Sales": 'dp "v" Sales',
    "verkäufe": "dp_v_1_verkäufe",
    "public": "p",
}
_MARKED = re.compile("«(.*?)»")
_UNICODE_SALES = re.compile(r"""(?i)u&"(sales|\\0073ales|s!0061les)".*""")


def _quoted(views: Mapping[str, str], token: str) -> str:
    """Return what stands for a schema's token."""
    if _UNICODE_SALES.fullmatch(token):
        name = "sales"
    elif token.startswith('"'):
        name = token.strip('"')
    else:
        name = token.lower()
    return '"' + views[name].replace('"', '""') + '"'


def _original(line: str) -> str:
    return _MARKED.sub(r"\1", line)


@pytest.mark.parametrize("line", _LINES)
def test_corpus(line: str) -> None:
    spliced = splice(_original(line), _VIEWS, _RELATIONS)
    assert spliced.text == _MARKED.sub(lambda m: _quoted(_VIEWS, m[1]), line)
    assert len(spliced.shifts) == len(_MARKED.findall(line))


@pytest.mark.parametrize("line", _LINES)
def test_positions_of_the_corpus_come_back(line: str) -> None:
    original = _original(line)
    spliced = splice(original, _VIEWS, _RELATIONS)
    at = 0
    for piece in re.split("(«.*?»)", line):
        token = _MARKED.fullmatch(piece)
        here = len(spliced.text[:at])
        if token:
            replaced = _quoted(_VIEWS, token[1])
            at += len(replaced)
        else:
            for offset, character in enumerate(piece):
                position = original_position(spliced.shifts, here + offset + 1)
                assert original[position - 1] == character
            at += len(piece)


def test_positions_inside_a_replaced_token_lead_to_its_start_or_after() -> None:
    spliced = splice("SELECT x FROM sales.orders WHERE y", _VIEWS, _RELATIONS)
    assert spliced.shifts == ((19, 9),)
    assert original_position((), 7) == 7
    start = spliced.text.index("dp_v")
    assert 15 <= original_position(spliced.shifts, start + 1) <= 20
    assert original_position(spliced.shifts, spliced.text.index("WHERE") + 1) == 28


def test_shorter_schemas_shift_back() -> None:
    spliced = splice("SELECT * FROM public.t WHERE public.t.x = 1 AND z", _VIEWS, _RELATIONS)
    assert spliced.text == 'SELECT * FROM "p".t WHERE "p".t.x = 1 AND z'
    at = spliced.text.index("z")
    assert original_position(spliced.shifts, at + 1) == 49


def test_a_name_after_an_operator_does_not_become_a_unicode_one() -> None:
    text = "SELECT u&sales.orders.flags FROM sales.orders"
    spliced = splice(text, _VIEWS, _RELATIONS)
    assert spliced.text == ('SELECT u& "dp_v_1_sales".orders.flags FROM "dp_v_1_sales".orders')
    at = spliced.text.index(".flags")
    assert original_position(spliced.shifts, at + 1) == text.index(".flags") + 1


def test_a_schema_whose_name_is_too_long_is_a_mismatch() -> None:
    with pytest.raises(Invalid) as caught:
        splice("SELECT * FROM sales.orders", {"sales": "v" * 64}, _RELATIONS)
    assert caught.value.detail_code == "splice_mismatch"


def test_names_cut_off_by_the_server_are_compared_as_it_does() -> None:
    schema = "s" * 63
    scope = frozenset({RelationName(schema, "t")})
    spliced = splice(f"SELECT * FROM {'s' * 80}.t", {schema: "v"}, scope)
    assert spliced.text == 'SELECT * FROM "v".t'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1", "SELECT 2"),
        ("SELECT 1", "SELECT 1, 1"),
        ("SELECT a FROM t", "SELECT a"),
        ("SELECT a.b FROM t", "SELECT a.c FROM t"),
        ("SELECT 0", "SELECT 0.0"),
        ("SELECT true", "SELECT 1"),
        ("SELECT x::int", "SELECT x::int[]"),
        ("SELECT 1", "SELECT 1; SELECT 1"),
        ("CREATE TABLESPACE t LOCATION '/a'", "CREATE TABLESPACE t LOCATION '/b'"),
    ],
)
def test_other_trees_are_seen(one: str, other: str) -> None:
    left, right = ([{s.kind: s.node} for s in parse_text(text)[1]] for text in (one, other))
    assert not same_tree(left, right)
    assert same_tree(left, [{s.kind: s.node} for s in parse_text("  " + one)[1]])


# What follows holds for any mixture of the corpus, cut and joined by chance.

_PIECES = sorted({piece for line in _LINES for piece in re.split(r"(?<=[\s(),;.])", line)})
_NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"),
    min_size=1,
    max_size=12,
)


def _readable(text: str) -> bool:
    try:
        parse_text(text)
    except Invalid:
        return False
    return True


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_LINES), min_size=1, max_size=4), st.text(" \n\t;", max_size=4))
def test_splicing_the_same_names_keeps_the_tree(lines: list[str], gap: str) -> None:
    text = "".join(f"{gap}{_original(line)}\n;" for line in lines)
    spliced = splice(text, {name: name for name in _VIEWS}, _RELATIONS)
    before, after = ([{s.kind: s.node} for s in parse_text(t)[1]] for t in (text, spliced.text))
    assert same_tree(before, after)


def _spliced(text: str, views: Mapping[str, str]) -> Spliced | str:
    """Return the splice, or the code it is denied with."""
    try:
        return splice(text, views, _RELATIONS)
    except Invalid as error:
        return error.detail_code


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_LINES), min_size=1, max_size=4), _NAMES)
def test_bytes_outside_the_tokens_are_unchanged(lines: list[str], view: str) -> None:
    marked = "\n;".join(lines)
    views = dict.fromkeys(_VIEWS, view)
    spliced = _spliced(_original(marked), views)
    assert isinstance(spliced, Spliced)
    assert spliced.text == _MARKED.sub(lambda m: _quoted(views, m[1]), marked)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=12))
def test_no_text_is_spliced_into_another_statement(pieces: list[str]) -> None:
    text = re.sub("[«»]", "", "".join(pieces))
    if not _readable(text):
        return
    spliced = _spliced(text, _VIEWS)
    if isinstance(spliced, str):
        assert spliced == "splice_mismatch"
        return
    back = {view: schema for schema, view in _VIEWS.items()}
    renamed = frozenset(RelationName(_VIEWS[r.schema], r.name) for r in _RELATIONS)
    again = splice(spliced.text, back, renamed)
    one, other = ([{s.kind: s.node} for s in parse_text(t)[1]] for t in (text, again.text))
    assert same_tree(one, other)
