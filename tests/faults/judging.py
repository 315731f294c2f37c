"""Judge what is left after a fault: backends, rows, entries, and what the gateway still holds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from daypass.domain.ids import GrantId
from tests.faults.proxy import Connection
from tests.faults.scenes import Scene
from tests.faults.stage import Stage

_POLL_S: Final = 0.05
_LOOK_S: Final = 0.12
"""How long a look and the pause behind it take on a machine that is free."""
_SHIPPED_S: Final = 10.0
_SAID_DONE: Final = ("CommandComplete", "EmptyQuery", "PortalSuspended")
_OF_SESSIONS: Final = ("challenge-", "let-in-", "turn-away-", "cancel-", "close-", "aside-")
_ESTABLISHED: Final = ("01", "08")


async def settled(
    stage: Stage, grant_id: GrantId, within_s: float, others: int, *, rows_s: float = 0.0
) -> list[str]:
    """Wait until nothing of a grant's sessions is left; return what still is when time is over.

    `others` are sessions besides that the gateway holds. Sessions' rows may take `rows_s` longer
    than backends and connections.
    """
    began, looks = time.monotonic(), 0
    while left := await _left(stage, grant_id) + await _held(stage, others):
        looks += 1
        rows_only = all(each.startswith("a session") for each in left)
        patience_s = within_s + (rows_s if rows_only else 0.0)
        # On a machine that is busy with something else, a second is short for everybody.
        if time.monotonic() - began > patience_s and looks > patience_s / _LOOK_S:
            return left
        await asyncio.sleep(_POLL_S)
    return await _recorded(stage, grant_id)


async def _recorded(stage: Stage, grant_id: GrantId) -> list[str]:
    """Wait until all that was written down has come; return the statements without one end."""
    written = (await stage.ask_gateway()).journaled
    until = time.monotonic() + _SHIPPED_S
    while True:
        rows = await stage.rows("select max(last_sequence) from journal")
        if isinstance(rows[0][0], int) and rows[0][0] >= written:
            break
        if time.monotonic() > until:
            return [f"only {rows[0][0]} of {written} records came to the store"]
        await asyncio.sleep(_POLL_S)
    counted = await stage.rows(
        "select content ->> 'statement', count(*) from entry where grant_id = %s"
        " and kind in ('statement.started', 'statement.ended') group by 1 having count(*) <> 2",
        grant_id,
    )
    return [f"a statement without its end, or with more than one: {each}" for each in counted]


async def _left(stage: Stage, grant_id: GrantId) -> list[str]:
    backends = await stage.on_target(
        "select application_name, state, query from pg_stat_activity"
        f" where usename ~ '^dp_g_{grant_id}_'"
    )
    rows = await stage.rows(
        "select application, state, close_reason from session"
        " where grant_id = %s and state <> 'closed'",
        grant_id,
    )
    return [f"a backend: {each}" for each in backends] + [f"a session: {each}" for each in rows]


async def outcomes_of(stage: Stage, grant_id: GrantId) -> dict[str, list[str]]:
    """Return the outcomes of statements by whose they are, in the order of their beginnings."""
    rows = await stage.rows(
        """
        select s.application, (e.content ->> 'outcome') from entry e join session s on
          s.id = e.session_id
        where e.grant_id = %s and e.kind = 'statement.ended'
        order by s.id, split_part(e.content ->> 'statement', '.', 2)::int
        """,
        grant_id,
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    for application, outcome in rows:
        found[str(application)].append(str(outcome))
    return found


async def sessions_of(stage: Stage, grant_id: GrantId) -> tuple[dict[str, str], list[str]]:
    """Return why sessions were closed, by whose they are, and which have no entry that says so."""
    rows = await stage.rows(
        """
        select s.application, s.close_reason, count(e.id) from session s left join entry e
          on e.session_id = s.id and e.kind = 'session.closed'
        where s.grant_id = %s group by s.id
        """,
        grant_id,
    )
    found = {str(row[0]): str(row[1]) for row in rows}
    wrong = [f"{row[0]} has {row[2]} entries of its end" for row in rows if row[2] != 1]
    return found, wrong


async def marks_of(stage: Stage) -> Counter[str]:
    """Return how many traces there are, by whose they are."""
    rows = await stage.on_target("select tag, count(*) from faults.marks group by tag")
    return Counter({str(tag): int(str(count)) for tag, count in rows})


def untruths(
    scene: Scene,
    undisturbed: Sequence[str],
    outcomes: Sequence[str],
    marks: int,
    at_target: Connection | None,
    epochs: int,
) -> list[str]:
    """Return what the recorded ends say that is not so: the target's words and data decide.

    `epochs` had ended before anything happened.
    """
    found = []
    seen = at_target.seen if at_target is not None else []
    said = sum(each.name in _SAID_DONE for each in seen)
    if len(outcomes) > len(undisturbed):
        found.append("there are more statements than were sent")
    if outcomes.count("done") > said:
        found.append(f"{outcomes.count('done')} are done, and the server said so {said} times")
    known = sum(scene.epochs[:epochs])
    if list(outcomes[:known]) != list(undisturbed[:known]):
        found.append(f"the first {known} had ended as {undisturbed[:known]}")
    committing = [outcomes[at] for at in scene.mark_ends if at < len(outcomes)]
    if marks not in (0, scene.marks):
        found.append(f"{marks} traces are there of {scene.marks}")
    if "done" in committing and not marks:
        found.append("it is done, and left no trace")
    if marks and not set(committing) & {"done", "lost"}:
        found.append("it left traces, and is said to have failed or not to have begun")
    return found


async def _held(stage: Stage, sessions: int) -> list[str]:
    state = await stage.ask_gateway()
    found = [f"task {name}" for name in state.tasks if name.startswith(_OF_SESSIONS)]
    if state.sessions != sessions:
        found.append(f"{state.sessions} sessions")
    if state.connections != sessions or state.handshakes:
        found.append(f"{state.connections} connections, {state.handshakes} handshakes")
    assert stage.process is not None
    clients = sum(local == stage.port for local, _ in sockets_of(stage.process.pid))
    if clients != sessions:
        found.append(f"{clients} clients' sockets")
    return found


def sockets_of(pid: int) -> list[tuple[int, int]]:
    """Return the local and remote ports of a process's TCP connections."""
    inodes = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            name = str(each.readlink())
        except OSError:
            continue
        if name.startswith("socket:["):
            inodes.add(name[8:-1])
    found = []
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[9] in inodes and words[3] in _ESTABLISHED:
            found.append((int(words[1].split(":")[1], 16), int(words[2].split(":")[1], 16)))
    return found
