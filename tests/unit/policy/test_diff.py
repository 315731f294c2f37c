"""The difference of two policies is told by rule, not by line."""

from __future__ import annotations

import pytest

from daypass.policy.diff import diff_policies
from daypass.policy.load import load_policy
from tests.unit.policy.sample import SAMPLE

STEPS = (
    "of group:dba, owners, 1 of group:security "
    'when request.unmask != [] || "ddl" in request.classes'
)
ONCALL = "changed access rule 'on-call reads production by itself'"
OLD = load_policy({"p": SAMPLE})


def changes(*replacements: tuple[str, str]) -> list[str]:
    text = SAMPLE
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return [str(change) for change in diff_policies(OLD, load_policy({"other": text}))]


def test_comments_files_and_layout_make_no_difference() -> None:
    assert (
        changes(("# per column the first that matches", "# other"), ("access:", "\n\naccess:"))
        == []
    )


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "max_duration: 2h",
            "max_duration: 3h",
            "changed access rule 'on-call reads production by itself': max_duration: 2h → 3h",
        ),
        (
            "unclassified: full",
            "unclassified: clear",
            "changed defaults 'defaults': mask_unclassified: true → false",
        ),
        (
            "mask: email",
            "mask: 'partial(1, 2)'",
            "changed masking rule 'emails': mask: email → partial(1, 2)",
        ),
        (
            "count: 1}\n      - {approvers: [group:security]",
            "count: 2}\n      - {approvers: [group:security]",
            f"changed access rule 'anything else on production': steps: [1 {STEPS}] → [2 {STEPS}]",
        ),
        (
            "filter: 'region = ",
            "filter: 'area = ",
            "changed row rule 'own region': text: region = {1} → area = {1}",
        ),
        (
            "require: {reason: true, ticket: '^INC-\\d+$'}",
            "require: {reason: true}",
            f"{ONCALL}: require: reason true, ticket ^INC-\\d+$ → reason true, ticket none",
        ),
    ],
)
def test_one_change_is_one_line(old: str, new: str, line: str) -> None:
    assert changes((old, new)) == [line]


def test_added_removed_and_moved() -> None:
    lines = changes(("name: emails", "name: mail"))
    assert lines == ["removed masking rule 'emails'", "added masking rule 'mail': place: none → 1"]
    rules = "masking:\n" + "".join(
        f"  - {{name: {n}, columns: 'true', mask: full}}\n" for n in "abcd"
    )
    head = "defaults: {unclassified: full}\n"
    old = load_policy({"p": head + rules})
    lines_of = rules.split("\n")
    moved = "\n".join([lines_of[0], *lines_of[2:5], lines_of[1]]) + "\n"
    new = load_policy({"p": head + moved})
    assert [str(c) for c in diff_policies(old, new)] == ["moved masking rule 'a': place: 1 → 4"]


def test_order_of_row_rules_and_profiles_makes_no_difference() -> None:
    head = "defaults: {unclassified: full}\nrow:\n"
    a, b = ("  - {name: " + n + ", relation: 'true', filter: x}\n" for n in "ab")
    assert diff_policies(load_policy({"p": head + a + b}), load_policy({"p": head + b + a})) == ()
