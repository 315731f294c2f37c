"""Texts that differ in literals alone: what is filled in is what reading them would have said."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daypass.engines.postgres import relay_shapes
from daypass.engines.postgres.relay_judge import read_text
from daypass.engines.postgres.relay_reading import Reading
from daypass.engines.postgres.relay_shapes import Shapes
from daypass.engines.postgres.text_cache import TextCache
from tests.unit.engines.postgres.relay.talk import PLAN

SCOPE = PLAN.session_scope
TEMPLATES = (
    "select note from sales.orders where id = {};",
    "  select o.note, {} as x from sales.orders o where id in ({},{}) and note like {}\n limit {}",
    "update sales.orders set note = {} where id = {}",
    "insert into sales.orders (id, note) values ({}, {}), (-{},{})",
    "delete from sales.orders where id = -{} or id=- {}",
    "select sales.orders.note from sales.orders where id = {} + sales.orders.id order by {}",
    "select note from sales.orders where id={} union select {} from sales.orders",
    "select {}::text, {}::int4, cast({} as date), {}::regclass, {}::varchar({})",
    "select set_config({}, {}, true)",
    "select set_config('work_mem', {}, true) from sales.orders where id = {}",
    "select lower({}), e{}, n{}, x{}, u&{} uescape {}",
    "select note from sales.orders where note = 'x'\n{}",
    "select note from sales.orders where id = {} -- {}\n and id = {}",
    "select $${}$$, /* {} */ note from sales.orders where id = {}",
    "select note from sales.orders where id = {}{}",
    "select coalesce(note, {}), case {} when {} then {} else {} end from sales.orders",
    "select interval {}, date {}, interval({}) {}, float({}) {}",
    "select json_value(note::jsonb, {}) from sales.orders where {} between {} and {}",
    "select 1 from pg_settings where name = {}",
    "update pg_settings set setting = {} where name = {}",
    "with o as (select {} as id) select note from o join sales.orders using (id) where id = {}",
    "select note from sales.orders where note = {} and id = $1",
    "explain select {}",
    "set work_mem = {}",
    "select {}; select {}",
    "copy (select {}) to stdout",
    'select note as "{}" from sales.orders where id = {}',
    "select * from sales.orders offset {} fetch first {} rows only",
    "select note from sales.orders where id = {} for update",
    "select {} into temp t",
    "values ({}), ({})",
    "select nextval({}), query_to_xml({}, true, true, {})",
)
LITERALS = st.one_of(
    st.integers(0, 999_999_999).map(str),
    st.text("abc xyz-;,(=0/*$:@?{}\t\n", max_size=12).map(lambda each: f"'{each}'"),
    st.sampled_from(
        (
            "'note'",
            "'orders'",
            "'sales.orders'",
            "''",
            "'''",
            "'a''b'",
            "'a\\'",
            "'é'",
            "0",
            "00",
            "1.5",
            "1e3",
            "0x1f",
            "1_000",
            "9999999999",
            "'role'",
            "'search_path'",
            "'--'",
            "'/*'",
            "'1'",
            "'\0'",
            "1x",
            "'postgres'",
            "null",
            "$1",
            "'restrict_nonsystem_relation_kind'",
        )
    ),
)


def _shapes() -> Shapes:
    return TextCache(2**20)


def _known(text: str) -> Shapes:
    shapes = _shapes()
    relay_shapes.keep(shapes, read_text(text, SCOPE, PLAN))
    return shapes


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_is_filled_in_is_what_reading_would_have_said(data: st.DataObject) -> None:
    template = data.draw(st.sampled_from(TEMPLATES))
    holes = template.count("{}")
    one, other = (template.format(*(data.draw(LITERALS) for _ in range(holes))) for _ in "ab")
    found = relay_shapes.find(_known(one), other)
    if found is not None:
        assert found == read_text(other, SCOPE, PLAN)


def _filled(one: str, other: str) -> Reading | None:
    found = relay_shapes.find(_known(one), other)
    if found is not None:
        assert found == read_text(other, SCOPE, PLAN)
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "select note from sales.orders where id = 1;",
            "select note from sales.orders where id = 77;",
        ),
        (
            "select 'x' from sales.orders where id = -1",
            "select 'yyy' from sales.orders where id = -2",
        ),
        (
            "insert into sales.orders (id, note) values (1, 'a'::text)",
            "insert into sales.orders (id, note) values (22, 'bcd'::text)",
        ),
        (
            "select 'aa', sales.orders.note from sales.orders limit 3",
            "select 'b', sales.orders.note from sales.orders limit 44",
        ),
        (
            "select note from sales.orders order by 1 limit 1",
            "select note from sales.orders order by 1 limit 2",
        ),
    ],
)
def test_texts_that_differ_in_free_literals_are_not_read_again(one: str, other: str) -> None:
    found = _filled(one, other)
    assert found is not None
    assert found.refusal is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # The kind of a literal is part of the shape; so is a literal that decides something.
        (
            "select note from sales.orders where id = 1",
            "select note from sales.orders where id = '1'",
        ),
        ("select set_config('work_mem', '1', true), 1", "select set_config('role', '1', true), 1"),
        ("select 'a'::regclass, 1", "select 'b'::regclass, 1"),
        ("select 'a'::varchar(3), 1", "select 'a'::varchar(4), 1"),
        ("select lower('a'), 1", "select lower('b'), 1"),
        (
            "select id from sales.orders order by 1 limit 1",
            "select id from sales.orders order by 2 limit 1",
        ),
        ("select 1 /* 'a' */", "select 1 /* 'b' */"),
        ("select $$ 'a' $$, 1", "select $$ 'b' $$, 1"),
        # Continued strings, escapes, numbers that go on, and what no text may hold.
        ("select 1, 'a'\n'b'", "select 1, 'c'\n'd'"),
        ("select 1, 'a'", "select 1, 'a\\'"),
        ("select 'a', 1", "select 'a''', 1"),
        ("select 'a', 1", "select '\0', 1"),
        ("select 1", "select 1.5"),
        ("select 1", "select 1e3"),
        ("select 1", "select 12345678901"),
        ("select 'a'", "select 'é'"),
        # None of these kinds is kept: each changes something, or holds several statements.
        ("select 1; select 2", "select 3; select 4"),
        ("set work_mem = 1", "set work_mem = 2"),
        ("select 1 into temp x", "select 2 into temp x"),
        ("copy (select 1) to stdout", "copy (select 2) to stdout"),
        (
            "select note from sales.orders where id = 1 and note = $1",
            "select note from sales.orders where id = 2 and note = $1",
        ),
    ],
)
def test_everything_else_is_read_by_itself(one: str, other: str) -> None:
    assert _filled(one, other) is None


def test_a_nul_in_a_text_is_no_boundary_between_parts() -> None:
    shapes = _known("select 1, 2")
    assert relay_shapes.find(shapes, "select \0, 2") is None
    assert relay_shapes.find(shapes, "select \0, \0") is None


def test_a_refusal_is_not_kept() -> None:
    shapes = _known("select secret from other.relation where id = 1")
    assert len(shapes) == 0
    assert relay_shapes.find(shapes, "select secret from other.relation where id = 2") is None


def test_positions_are_led_back_by_the_new_lengths() -> None:
    found = _filled(
        "select 'a', 1, sales.orders.note from sales.orders where note = 'b'",
        "select 'aaaaaaaaaa', 12345, sales.orders.note from sales.orders where note = ''",
    )
    assert found is not None
    assert len(found.shifts) == 2
