"""The examples of docs/policy.md load, and its tables name every key and every name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daypass.policy import cases, read_rules
from daypass.policy.cases import load_cases
from daypass.policy.check import Known, Severity, check_policy
from daypass.policy.conditions import NAMES
from daypass.policy.load import load_policy
from daypass.policy.mask_text import MASK_FORMS
from tests.unit.policy.sample import NOW

TEXT = (Path(__file__).parents[3] / "docs" / "policy.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("example", [e for e in EXAMPLES if not e.startswith("cases:")])
def test_every_example_loads_without_an_error(example: str) -> None:
    found = check_policy(load_policy({"example.yaml": example}), Known(), NOW)
    assert [str(f) for f in found if f.severity is Severity.ERROR] == []


def test_the_example_of_cases_loads() -> None:
    (example,) = [e for e in EXAMPLES if e.startswith("cases:")]
    assert len(load_cases({"cases.yaml": example})) == 2


def test_every_key_is_described() -> None:
    described = set(re.findall(r"`(\w+)`", TEXT))
    keys = {*read_rules._ACCESS_KEYS, *read_rules._PROFILE_KEYS}
    keys |= {*cases._REQUEST_KEYS, *cases._EXPECT_KEYS}
    assert keys - described == set()


def test_every_name_of_conditions_is_described() -> None:
    rows = [line for line in TEXT.split("\n") if line.startswith("| `")]
    for names in NAMES.values():
        for name in names:
            head, dot, last = name.partition(".")
            assert any(
                f"`{name}`" in row or (f"`{head}." in row and dot and f"`.{last}`" in row)
                for row in rows
            ), name


def test_every_mask_is_described() -> None:
    for form in MASK_FORMS:
        assert form.partition("(")[0] in TEXT
