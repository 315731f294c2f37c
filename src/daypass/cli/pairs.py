"""Read `name=value` options."""

from __future__ import annotations

from collections.abc import Iterable

from daypass.cli.failure import usage


def read_pairs(given: Iterable[str] | None, option: str) -> dict[str, str]:
    """Read the values of an option that may be given several times."""
    pairs = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not (equals and name):
            raise usage(f"{option}: {each!r} has no NAME=VALUE", next_step=f"{option} env=prod")
        pairs[name] = value
    return pairs
