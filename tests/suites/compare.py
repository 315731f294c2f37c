"""What differs between two ways, and what was expected to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.suites.suites import HERE, Outcome, Suite


@dataclass(frozen=True)
class Listed:
    """Why a test differs through the gateway; `sometimes` where it may end the same by chance."""

    reason: str
    sometimes: bool = False


def expected(suite: Suite) -> dict[str, Listed]:
    """Return the tests that differ through the gateway, with the reason."""
    path: Path = HERE / suite.name / "expected.yaml"
    groups = yaml.safe_load(path.read_text("utf-8")) if path.exists() else None
    found: dict[str, Listed] = {}
    for group in groups or []:
        for test in group["tests"]:
            if test in found:
                raise ValueError(f"{path}: {test} is listed twice")
            found[test] = Listed(str(group["reason"]), bool(group.get("sometimes", False)))
    return found


def differences(direct: Outcome, gateway: Outcome) -> dict[str, tuple[str, str]]:
    """Return the tests that ended differently: how directly, and how through the gateway."""
    return {
        name: (direct.ended.get(name, "missing"), gateway.ended.get(name, "missing"))
        for name in sorted(direct.ended.keys() | gateway.ended.keys())
        if direct.ended.get(name) != gateway.ended.get(name)
    }


def surprises(
    suite: Suite, direct: Outcome, gateway: Outcome, listed: Mapping[str, Listed]
) -> list[str]:
    """Say what differs and is not listed, and what is listed and does not differ."""
    found = differences(direct, gateway)
    new = [
        f"{name}: {one} directly, {other} through the gateway"
        for name, (one, other) in found.items()
        if name not in listed
    ]
    gone = [
        f"{name}: listed in {suite.name}/expected.yaml, and {direct.ended[name]} both ways"
        for name, why in listed.items()
        if name in direct.ended and name not in found and not why.sometimes
    ]
    return new + gone
