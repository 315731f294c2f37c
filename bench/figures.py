"""Figures: what was measured, how it is told in a table, and how it is kept as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: `values` by name, in `unit`; `aims` are upper bounds of some.

    `load` is the machine's load average over one minute when it was measured.
    """

    section: str
    what: str
    unit: str
    values: Mapping[str, float]
    count: int
    aims: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    @property
    def met(self) -> bool | None:
        """Say whether every aim was met; None where there is none."""
        if not self.aims:
            return None
        return all(self.values[name] <= most for name, most in self.aims.items())


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least such a share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return quantile(values, 0.5)


def spread(
    section: str,
    what: str,
    seconds: Sequence[float],
    *,
    unit: str = "ms",
    aims: Mapping[str, float] | None = None,
    note: str = "",
) -> Figure:
    """Make a figure of durations: their median, 99th percentile and maximum."""
    scale = {"s": 1.0, "ms": 1e3, "µs": 1e6}[unit]
    scaled = [each * scale for each in seconds]
    values = {"p50": quantile(scaled, 0.5), "p99": quantile(scaled, 0.99), "max": max(scaled)}
    return Figure(section, what, unit, values, len(scaled), aims or {}, note)


def show(figures: Iterable[Figure], console: Console) -> None:
    """Print figures as a table."""
    table = Table(show_lines=False, pad_edge=False, box=None)
    for name in ("what", "figures", "n", "aim", "met", "load"):
        table.add_column(name, justify="right" if name in {"n", "load"} else "left")
    for each in figures:
        values = "  ".join(f"{name} {_number(value)}" for name, value in each.values.items())
        aims = "  ".join(f"{name} ≤ {_number(value)}" for name, value in each.aims.items())
        met = {None: "", True: "yes", False: "NO"}[each.met]
        table.add_row(
            f"{each.section} {each.what}",
            f"{values} {each.unit}",
            str(each.count),
            aims,
            met,
            f"{each.load:.1f}",
        )
        if each.note:
            table.add_row(f"    {each.note}", "", "", "", "", "", style="dim")
    console.print(table)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def save(figures: Iterable[Figure], facts: Mapping[str, object], path: Path) -> None:
    """Write everything to a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "facts": dict(facts),
        "figures": [{**asdict(each), "met": each.met} for each in figures],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
