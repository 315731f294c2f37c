"""A profile may be narrowed and never widened: rules trust its name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daypass.domain.errors import Invalid
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.policy.load import load_policy
from daypass.policy.profiles import expand_profile
from tests.unit.policy.sample import READ

POLICY = load_policy(
    {
        "p": """
defaults: {unclassified: full}
profiles:
  - name: oncall-read
    classes: [explain, select]
    relations: [sales.*, billing.payments]
    unmask: [sales.orders.*]
    row_filters: {sales.orders: total > 0}
    settings: {statement_timeout: 30s}
    duration: 1h
  - {name: reader, classes: [select], native_role: app_read}
"""
    }
)
NOTHING = AskedScope(frozenset())
WHOLE = AskedScope(
    READ,
    ("sales.*", "billing.payments"),
    ("sales.orders.*",),
    {"sales.orders": "total > 0"},
    {"statement_timeout": "30s"},
)


def test_a_profile_alone_is_its_own_scope() -> None:
    assert expand_profile(POLICY, "oncall-read") == WHOLE
    assert expand_profile(POLICY, "oncall-read", NOTHING) == WHOLE
    assert expand_profile(POLICY, "reader").native_role == "app_read"


def test_an_unknown_profile_is_named_with_what_may_be_meant() -> None:
    with pytest.raises(Invalid, match="did you mean oncall-read") as raised:
        expand_profile(POLICY, "oncal-read")
    assert raised.value.detail_code == "unknown_profile"


@pytest.mark.parametrize(
    "narrower",
    [
        replace(NOTHING, classes=frozenset({StatementClass.SELECT})),
        replace(NOTHING, relations=("sales.orders",)),
        replace(NOTHING, relations=("sales.o*", "billing.payments")),
        replace(NOTHING, unmask=("sales.orders.note",)),
        replace(NOTHING, row_filters={"sales.customers": "id = 1"}),
        replace(NOTHING, settings={"work_mem": "1MB"}),
    ],
)
def test_narrowing_keeps_the_rest(narrower: AskedScope) -> None:
    found = expand_profile(POLICY, "oncall-read", narrower)
    assert found.classes == (narrower.classes or WHOLE.classes)
    assert found.relations == (
        WHOLE.relations if narrower.relations == ("*.*",) else narrower.relations
    )
    assert found.unmask == (narrower.unmask or WHOLE.unmask)
    assert found.row_filters == {**WHOLE.row_filters, **narrower.row_filters}
    assert found.settings == {**WHOLE.settings, **narrower.settings}


@pytest.mark.parametrize(
    ("wider", "kind"),
    [
        (replace(NOTHING, classes=frozenset({StatementClass.DELETE})), "classes"),
        (replace(NOTHING, relations=("sales.*", "hr.*")), "relations"),
        (replace(NOTHING, relations=("*.orders",)), "relations"),
        (replace(NOTHING, unmask=("sales.*.*",)), "unmask"),
        (replace(NOTHING, native_role="owner"), "native_role"),
        (replace(NOTHING, row_filters={"sales.orders": "true"}), "row_filters"),
        (replace(NOTHING, settings={"statement_timeout": "0"}), "settings"),
    ],
)
def test_widening_is_refused(wider: AskedScope, kind: str) -> None:
    with pytest.raises(Invalid) as raised:
        expand_profile(POLICY, "oncall-read", wider)
    assert raised.value.detail_code == "wider_than_profile"
    assert [where for where, _ in raised.value.problems] == [kind]
