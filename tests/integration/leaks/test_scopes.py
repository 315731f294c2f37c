"""Every attack under every scope, and those made for what each scope hides: with counts."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.leaks.conftest import Probes
from tests.leaks.attacks import ATTACKS
from tests.leaks.attacks.anywhere import attacks_anywhere
from tests.leaks.run import Outcome, Verdict, run_all
from tests.leaks.sample import SCOPES

pytestmark = [
    pytest.mark.leak,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest.mark.parametrize("scope", SCOPES)
async def test_nothing_leaks_under(
    probes: Probes, scope: str, capsys: pytest.CaptureFixture[str], pg_major: int
) -> None:
    probe = await probes.under(scope)
    outcomes: list[Outcome] = []
    attacks = (*ATTACKS, *attacks_anywhere(probe.truth))
    counts = await asyncio.to_thread(run_all, attacks, probe.stage, probe.truth, outcomes.append)
    with capsys.disabled():
        kinds = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict)
        print(f"\npg{pg_major} {scope}: {sum(counts.values())} attacks: {kinds}")  # noqa: T201
    leaked = [(e.attack.name, e.seen[:3]) for e in outcomes if e.verdict is Verdict.LEAKED]
    assert leaked == []
    assert sum(counts.values()) > len(ATTACKS) // 2
