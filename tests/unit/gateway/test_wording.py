"""What people are told on connecting: three lines, of what the grant opens and hides."""

from datetime import UTC, datetime, timedelta

from daypass.domain.catalog import RelationName
from daypass.domain.ids import GrantId
from daypass.domain.limits import SessionLimits
from daypass.domain.masks import FullMask
from daypass.domain.scope import AskedScope, RowFilter, Scope, ScopedColumn, ScopedRelation
from daypass.domain.statement_class import StatementClass
from daypass.gateway.wording import greeting_notices, not_needed
from daypass.operations.ask_on_connect import Wishes
from daypass.operations.consider import Ask

_READ = frozenset({StatementClass.SELECT, StatementClass.EXPLAIN})
_WHEN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def _scope(*names: str) -> Scope:
    return Scope(
        _READ,
        tuple(
            ScopedRelation(
                RelationName("sales", name),
                _READ,
                (ScopedColumn("id"), ScopedColumn("email", FullMask(), "mails")),
                (RowFilter("true"),) if name == "orders" else (),
            )
            for name in names
        ),
    )


def _said(scope: Scope, limits: SessionLimits | None = None) -> tuple[str, ...]:
    return greeting_notices(
        7, "prod/shop", _WHEN, timedelta(hours=1), scope, limits or SessionLimits()
    )


def test_three_lines_say_what_is_open_and_what_is_hidden() -> None:
    first, opened, hidden = _said(_scope("customers", "orders"))
    assert first.startswith("grant 7 on prod/shop until 2026-03-01 12:00:00 UTC")
    assert opened == "it opens explain, select on sales.customers, sales.orders"
    assert hidden == (
        "masked: sales.customers.email, sales.orders.email; some rows are hidden in: "
        "sales.orders; daypass grant 7 shows all of it"
    )


def test_many_relations_are_counted_and_limits_stand_on_the_same_line() -> None:
    said = _said(_scope(*"abcdefghi"), SessionLimits(rows=100))
    assert len(said) == 3
    assert said[1] == (
        "it opens explain, select on sales.a, sales.b, sales.c and 6 more; "
        "each statement may have 100 rows"
    )
    assert "sales.f.email and 3 more" in said[2]


def test_options_that_came_to_nothing_are_named() -> None:
    ask = Ask("prod/shop", AskedScope(_READ), reason="INC-42")
    given = frozenset({"reason", "wait"})
    wishes = Wishes(None, timedelta(), ask, given)
    assert not_needed(7, wishes, "something else") == (
        "daypass.reason, daypass.wait not needed: grant 7 is live, and no request was filed"
    )
    assert not not_needed(7, wishes, "INC-42")
    assert not not_needed(7, Wishes(None, timedelta(), None), "")
    assert not not_needed(7, Wishes(GrantId(7), timedelta(), None, frozenset({"grant"})), "")
