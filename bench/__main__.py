"""Measure what the blueprint promises (its section 9), on real servers, in one run."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from rich.console import Console

from bench import gateway, grants, journal, log, masked, noise, pure, sessions, usable
from bench.figures import Figure, save, show
from bench.place import DURABLE, Place, running_place
from tests import servers

_SECTIONS: dict[str, tuple[Callable[[Place], Awaitable[list[Figure]]], ...]] = {
    "usable": (usable.measure,),
    "grants": (grants.measure,),
    "revocation": (sessions.deadlines,),
    "sessions": (sessions.at_once,),
    "masked": (masked.measure,),
    "pure": (pure.measure,),
    "journal": (journal.measure,),
    "log": (log.measure,),
    "gateway": (gateway.measure,),
}


def main() -> int:
    """Run the sections asked for and return 0; a missed aim is told, and no failure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*_SECTIONS, []], help="default: all")
    parser.add_argument("--quick", action="store_true", help="less of everything, under a minute")
    parser.add_argument("--pg-major", type=int, default=16, help="the customer's server")
    parser.add_argument("--customers", type=int, help="rows to query (200,000; quick: 5,000)")
    parser.add_argument("--json", type=Path, default=Path("reports/bench.json"))
    options = parser.parse_args()
    # As `daypass serve` runs.
    uvloop.run(_run(options, Console(highlight=False, width=170)))
    return 0


async def _run(options: argparse.Namespace, console: Console) -> None:
    customers = options.customers or (5_000 if options.quick else 200_000)
    started = time.monotonic()
    figures: list[Figure] = []
    async with running_place(
        major=options.pg_major, customers=customers, quick=options.quick
    ) as place:
        facts = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "processors": os.cpu_count(),
            "processor": platform.machine(),
            "python": platform.python_version(),
            "store": f"PostgreSQL {servers.STORE_MAJOR}, Unix socket, {_told(DURABLE)}",
            "target": f"PostgreSQL {options.pg_major}, TCP on loopback, {_told(DURABLE)}",
            "customers": customers,
            "quick": options.quick,
        }
        for name, value in facts.items():
            console.print(f"{name}: {value}", style="dim")
        for name in options.sections or _SECTIONS:
            for measure in (_noise(f"before {name}"), *_SECTIONS[name]):
                found = await measure(place)
                figures += found
                show(found, console)
        found = await noise.probe(place, "at the end")
        figures += found
        show(found, console)
    facts["took_s"] = round(time.monotonic() - started, 1)
    save(figures, facts, options.json)
    missed = [each for each in figures if each.met is False]
    console.print(f"{facts['took_s']} s; {len(missed)} aims missed; {options.json}")


def _noise(when: str) -> Callable[[Place], Awaitable[list[Figure]]]:
    return lambda place: noise.probe(place, when)


def _told(settings: object) -> str:
    return ", ".join(f"{name} {value}" for name, value in dict(settings).items())  # type: ignore[call-overload]


if __name__ == "__main__":
    raise SystemExit(main())
