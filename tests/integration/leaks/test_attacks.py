"""Every attack under the scope it is made for: it shows nothing there, and would elsewhere."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.leaks.conftest import Probes
from tests.leaks.attack import Attack
from tests.leaks.attacks import ATTACKS
from tests.leaks.run import Verdict, run
from tests.leaks.sample import control_stage

pytestmark = [pytest.mark.leak, pytest.mark.asyncio(loop_scope="module")]

_SHOWS = (Verdict.LEAKED, Verdict.DOCUMENTED)


async def test_there_are_many_and_most_are_shown_to_leak() -> None:
    assert len(ATTACKS) >= 180
    assert sum(each.control != "none" for each in ATTACKS) >= 180
    assert all(each.why for each in ATTACKS if each.control == "none")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda each: each.name)
async def test_attack(probes: Probes, pg_major: int, attack: Attack) -> None:
    probe = await probes.under(attack.home)
    if not attack.applies(pg_major) or attack.feature in probe.stage.lacks:
        pytest.skip("this server does not know what it uses")
    outcome = await asyncio.to_thread(run, attack, probe.stage, probe.truth)
    assert outcome.verdict is not Verdict.LEAKED, outcome.seen[:5]
    assert outcome.as_expected, f"{outcome.manner}: {outcome.text[:1000]}"
    if attack.control == "none":
        return
    # The same as somebody who may see everything: else nothing was tried.
    control = control_stage(probes.company, attack.control)
    shown = await asyncio.to_thread(run, attack, control, probe.truth)
    assert shown.verdict in _SHOWS, f"the control shows nothing: {shown.text[:1000]}"
