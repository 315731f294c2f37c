"""One thing that happens to many sessions at once, each at another phase, and what must hold."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from daypass.domain.errors import Conflict
from daypass.domain.ids import GrantId, SessionId
from daypass.gateway.keys import number_of
from daypass.operations.kill_session import kill_session
from daypass.operations.live_sessions import pass_cancel_on
from daypass.operations.revoke_grant import revoke_grant
from tests.faults.judging import (
    marks_of,
    outcomes_of,
    sessions_of,
    settled,
    untruths,
)
from tests.faults.phases import Phase, Recorded
from tests.faults.proxy import Fault, Proxy, Trap
from tests.faults.scenes import SCENES, play
from tests.faults.speaker import Login, Refused, Speaker
from tests.faults.stage import Stage

SIZE: Final = 60
_REACHED_S: Final = 40.0
_GONE_S: Final = 5.0
_DEADLINE_S: Final = 1.5
_WORKER_S: Final = 35.0
_HANDSHAKE_S: Final = 14.0
_numbers = itertools.count(1)


class Disaster(StrEnum):
    """What happens; the first ones to a connection, the others to a process or by somebody."""

    CUT = Fault.CUT.value
    HALF_CLOSE = Fault.HALF_CLOSE.value
    BLACKHOLE = Fault.BLACKHOLE.value
    DEAF = Fault.DEAF.value
    MUTE = Fault.MUTE.value
    DELAY = Fault.DELAY.value
    SPLIT = Fault.SPLIT.value
    CLIENT_KILLED = "client killed"
    BACKEND_ENDED = "backend ended by its server"
    BACKEND_KILLED = "backend killed"
    TARGET_KILLED = "target killed"
    STORE_KILLED = "store killed"
    STORE_CUT = "store cut off"
    STORE_SILENT = "store silent"
    SESSION_KILLED = "session killed by another process"
    CANCELLED = "cancelled by another process"
    REVOKED = "grant revoked"
    DEADLINE = "deadline came"
    DRAINED = "gateway drained"

    @property
    def fault(self) -> Fault | None:
        """Return the fault of a connection, if it is one."""
        return Fault(self.value) if self.value in set(Fault) else None


_SILENT: Final = (Disaster.BLACKHOLE, Disaster.DEAF, Disaster.MUTE)
_HARMLESS: Final = (Disaster.DELAY, Disaster.SPLIT)
_ENDS_STORE: Final = (Disaster.STORE_KILLED, Disaster.STORE_CUT, Disaster.STORE_SILENT)
ENDS_ALL: Final = (Disaster.BACKEND_KILLED, Disaster.TARGET_KILLED, Disaster.DRAINED)
"""Nobody else's session outlives it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One disaster at some phases."""

    disaster: Disaster
    phases: tuple[Phase, ...]


@dataclass
class _Case:
    """One session that is stopped at a phase."""

    phase: Phase
    tag: str
    trap: Trap
    proxy: Proxy
    login: Login
    task: asyncio.Task[str] | None = None
    epochs: int = 0
    """How many had ended before it happened, that of signing in not counted."""


def units(recorded: Recorded, dice: random.Random) -> list[Unit]:
    """Put every disaster together with every phase, in units shuffled by the dice."""
    found: list[Unit] = []
    for disaster in Disaster:
        groups: dict[tuple[bool, bool], list[Phase]] = {}
        for phase in recorded.phases:
            if disaster.fault is None and phase.place.within:
                # It reaches them all together, wherever bytes are.
                continue
            if disaster is Disaster.DELAY and phase.scene == "cancel" and not phase.link.cancels:
                # A query that is held back may come after the request to cancel it, and runs on.
                continue
            # Who waits for a handshake's end waits for long, and has the others wait.
            slow = disaster in _SILENT and phase.signing_in
            groups.setdefault((slow, phase.link.cancels), []).append(phase)
        for group in groups.values():
            dice.shuffle(group)
            found += [Unit(disaster, tuple(each)) for each in _chunks(group)]
    dice.shuffle(found)
    return found


def _chunks(phases: Sequence[Phase]) -> Iterator[Sequence[Phase]]:
    for at in range(0, len(phases), SIZE):
        yield phases[at : at + SIZE]


async def run(stage: Stage, recorded: Recorded, unit: Unit, canaries: int) -> list[str]:
    """Let a unit happen and return what does not hold."""
    grant_id = await stage.grant()
    async with _cases(stage, unit, grant_id) as cases:
        problems = await _happen(stage, unit, grant_id, cases, canaries)
        problems += await _judged(stage, recorded, unit, grant_id, cases)
    stage.target.forget()
    return [f"{unit.disaster.value}: {each}" for each in problems]


@asynccontextmanager
async def _cases(stage: Stage, unit: Unit, grant_id: GrantId) -> AsyncIterator[list[_Case]]:
    at_once = unit.disaster.fault if unit.disaster in _HARMLESS else None
    async with AsyncExitStack() as stack:
        cases = []
        for phase in unit.phases:
            tag = f"case-{next(_numbers)}"
            trap = Trap(phase.place, at_once)
            proxy = Proxy(("127.0.0.1", stage.port), inner_accepts=True)
            if phase.link.to_client:
                of_cancel = phase.link.cancels
                proxy.whose = lambda c, t=tag, o=of_cancel, p=trap: (
                    t,
                    p if bool(c.said.cancels) is o else None,
                )
            else:
                proxy.whose = lambda _, t=tag: (t, None)
                stage.traps[tag] = phase.link.cancels, trap
            await stack.enter_async_context(proxy)
            login = Login(
                proxy.port,
                "ada@example.com",
                stage.token,
                grant_id,
                tag,
                SCENES[phase.scene].tls,
            )
            cases.append(_Case(phase, tag, trap, proxy, login))
        try:
            yield cases
        finally:
            for case in cases:
                stage.traps.pop(case.tag, None)
                if case.task is not None:
                    case.task.cancel()
            await asyncio.gather(*(c.task for c in cases if c.task), return_exceptions=True)
            for case in cases:
                for each in (*stage.target.of(case.tag), *stage.target.of(f"{case.tag} cancel")):
                    if each in stage.target.open:
                        each.close()


async def _played(case: _Case) -> str:
    try:
        await play(Speaker(case.login), SCENES[case.phase.scene])
    except (Refused, OSError) as error:
        return str(error) or repr(error)
    return ""


async def _happen(
    stage: Stage, unit: Unit, grant_id: GrantId, cases: list[_Case], others: int
) -> list[str]:
    """Have all sessions stopped at their phases, and let it happen; return what stays too long."""
    killed: asyncio.subprocess.Process | None = None
    if unit.disaster is Disaster.CLIENT_KILLED:
        what = [[case.phase.scene, asdict(case.login)] for case in cases]
        killed = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.clients", json.dumps(what)
        )
    else:
        for case in cases:
            case.task = asyncio.create_task(_played(case), name=case.tag)
    try:
        async with asyncio.timeout(_REACHED_S):
            await asyncio.gather(*(_reached(case) for case in cases))
    except TimeoutError:
        if killed is not None:
            killed.kill()
            await killed.wait()
        return [f"{c.phase} was not reached" for c in cases if not c.trap.sprung.is_set()]
    missed = [f"{c.phase} was passed by" for c in cases if not c.trap.sprung.is_set()]
    if len(missed) > len(cases) // 10:
        return missed
    for case in cases:
        at_target = next(stage.target.of(case.tag), None)
        seen = at_target.seen if at_target is not None else []
        case.epochs = max(0, sum(each.name.startswith("Ready") for each in seen) - 1)
    if killed is not None:
        killed.kill()
        await killed.wait()
        _release(cases)
        return _each(await settled(stage, grant_id, _GONE_S, others))
    return await _struck(stage, unit, grant_id, cases, others)


async def _reached(case: _Case) -> None:
    """Wait until a session is at its phase, or is over: TLS cuts its records as it likes."""
    reached = asyncio.create_task(case.trap.sprung.wait(), name=f"{case.tag} reached")
    try:
        await asyncio.wait(
            {reached, case.task} if case.task is not None else {reached},
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        reached.cancel()


async def _struck(
    stage: Stage, unit: Unit, grant_id: GrantId, cases: list[_Case], others: int
) -> list[str]:
    disaster = unit.disaster
    within_s = _GONE_S
    if (fault := disaster.fault) is not None and disaster not in _HARMLESS:
        for case in cases:
            if case.trap.connection is not None:
                case.trap.connection.suffer(fault)
        if disaster in _SILENT or any(case.phase.link.cancels for case in cases):
            await stage.deadline_in(grant_id, _DEADLINE_S)
            within_s += _DEADLINE_S
            if any(case.phase.signing_in for case in cases):
                within_s += _HANDSHAKE_S
        return _each(await settled(stage, grant_id, within_s, others))
    match disaster:
        case Disaster.BACKEND_ENDED:
            await stage.on_target(_of(grant_id, "pg_terminate_backend(pid)"))
            _release(cases)
        case Disaster.BACKEND_KILLED:
            await _kill_backend(stage, grant_id)
            _release(cases)
            await _target_back(stage)
        case Disaster.TARGET_KILLED:
            await asyncio.to_thread(stage.servers.company.cluster.kill)
            _release(cases)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(stage.servers.company.cluster.start)
        case Disaster.STORE_KILLED:
            await asyncio.to_thread(stage.servers.store.kill)
            _release(cases)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(stage.servers.store.start)
        case Disaster.STORE_CUT:
            stage.store.refusing = True
            stage.store.all_suffer(Fault.CUT)
            _release(cases)
            await asyncio.sleep(2)
            stage.store.heal()
        case Disaster.STORE_SILENT:
            stage.store.swallowing = True
            stage.store.all_suffer(Fault.BLACKHOLE)
            _release(cases)
            await asyncio.sleep(2)
            stage.store.heal()
        case Disaster.SESSION_KILLED:
            await _kill_sessions(stage, grant_id)
            _release(cases)
        case Disaster.CANCELLED:
            for number in await _sessions(stage, grant_id):
                await pass_cancel_on(stage.world.ctx, number_of(number))
            await asyncio.sleep(0.05)
            _release(cases)
        case Disaster.DRAINED:
            stopping = asyncio.create_task(stage.stop_gateway(), name="drain")
            await asyncio.sleep(0.2)
            _release(cases)
            await stopping
            await stage.start_gateway()
        case Disaster.REVOKED:
            dana = await stage.world.actor("dana")
            await revoke_grant(stage.world.ctx, dana, grant_id, "a test")
            _release(cases)
        case Disaster.DEADLINE:
            await stage.deadline_in(grant_id, 0.3)
            await asyncio.sleep(0.4)
            _release(cases)
        case _:
            pass
    if disaster in (*_ENDS_STORE, *_HARMLESS, Disaster.CANCELLED):
        # Sessions go on; who waits for something that is lost leaves.
        tasks = [case.task for case in cases if case.task is not None]
        _, waiting = await asyncio.wait(tasks, timeout=12 if disaster not in _HARMLESS else 40)
        if waiting and disaster in _HARMLESS:
            return [f"{case.phase}: it waits" for case in cases if case.task in waiting]
        for task in waiting:
            task.cancel()
    # Whoever works jobs off looks for them again after some seconds, once the store is back; what
    # nobody knows of is looked for after a while.
    rows_s = _WORKER_S if disaster in _ENDS_STORE else 0.0
    return _each(await settled(stage, grant_id, within_s, others, rows_s=rows_s))


def _release(cases: list[_Case]) -> None:
    for case in cases:
        if case.trap.connection is not None:
            case.trap.connection.release()


def _each(left: list[str]) -> list[str]:
    return [f"left after its time: {each}" for each in left]


def _of(grant_id: GrantId, what: str) -> str:
    return f"select {what} from pg_stat_activity where usename ~ '^dp_g_{grant_id}_'"


async def _kill_backend(stage: Stage, grant_id: GrantId) -> None:
    import os
    import signal

    rows = await stage.on_target(_of(grant_id, "pid"))
    if rows:
        os.kill(int(str(rows[0][0])), signal.SIGKILL)


async def _target_back(stage: Stage) -> None:
    import psycopg

    until = time.monotonic() + 20
    while True:
        try:
            await stage.on_target("select 1")
            return
        except psycopg.OperationalError:
            assert time.monotonic() < until
            await asyncio.sleep(0.1)


async def _sessions(stage: Stage, grant_id: GrantId) -> list[SessionId]:
    rows = await stage.rows(
        "select id from session where grant_id = %s and state in ('opening', 'open')", grant_id
    )
    return [SessionId(int(str(row[0]))) for row in rows]


async def _kill_sessions(stage: Stage, grant_id: GrantId) -> None:
    dana = await stage.world.actor("dana")
    for number in await _sessions(stage, grant_id):
        # One may end by itself meanwhile.
        with contextlib.suppress(Conflict):
            await kill_session(stage.world.ctx, dana, number, "a test")


async def _judged(
    stage: Stage, recorded: Recorded, unit: Unit, grant_id: GrantId, cases: list[_Case]
) -> list[str]:
    found: list[str] = []
    outcomes = await outcomes_of(stage, grant_id)
    marks = await marks_of(stage)
    reasons, wrong_ends = await sessions_of(stage, grant_id)
    found += wrong_ends
    for case in cases:
        scene, undisturbed = SCENES[case.phase.scene], recorded.outcomes[case.phase.scene]
        mine = outcomes.get(case.tag, [])
        at_target = next(stage.target.of(case.tag), None)
        wrong = untruths(scene, undisturbed, mine, marks[case.tag], at_target, case.epochs)
        if unit.disaster in _HARMLESS:
            said = case.task.result() if case.task is not None and case.task.done() else "it waits"
            if said:
                wrong.append(f"the client was disturbed: {said}")
            if tuple(mine) != undisturbed:
                wrong.append("something came out else than undisturbed")
        if case.tag in reasons and not reasons[case.tag]:
            wrong.append("nobody knows why it was closed")
        found += [f"{case.phase}: {each} ({mine}, {reasons.get(case.tag)})" for each in wrong]
    return found
