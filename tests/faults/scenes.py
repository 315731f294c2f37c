"""What clients do while something breaks: together every phase of the protocol.

Of each scene it is known how many statements are written down until each ReadyForQuery but the
first (`epochs`), and which of its inserts is done when (`marks`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.faults.speaker import (
    FLUSH,
    SYNC,
    Speaker,
    bind,
    describe,
    execute,
    message,
    parse,
    query,
)

ROWS = "select n, repeat('x', 600) from generate_series(1, 30) as n"


def mark(tag: str, n: int) -> str:
    """Return a statement that leaves a trace once it is committed."""
    return f"insert into faults.marks values ('{tag}', {n})"


async def _simple(client: Speaker, tag: str) -> None:
    await client.say(query(mark(tag, 1)))
    await client.hear("Z")
    await client.say(query(ROWS))
    await client.hear("Z")
    await client.say(query(""))
    await client.hear("Z")


async def _extended(client: Speaker, tag: str) -> None:
    for part, answer in (
        (parse("", mark(tag, 1)), "1"),
        (describe("S", ""), "n"),
        (bind("", ""), "2"),
        (describe("P", ""), "n"),
        (execute(""), "C"),
    ):
        await client.say(part, FLUSH)
        await client.hear(answer)
    await client.say(SYNC)
    await client.hear("Z")


async def _portal(client: Speaker, tag: str) -> None:
    await client.say(parse("s", ROWS), bind("p", "s"), describe("P", "p"), execute("p", 4), FLUSH)
    await client.hear("s")
    await client.say(execute("p", 4), FLUSH)
    await client.hear("s")
    await client.say(execute("p"), message("C", b"Pp\0"), message("C", b"Ss\0"), SYNC)
    await client.hear("Z")


async def _pipeline(client: Speaker, tag: str) -> None:
    parts = [
        part
        for n in (1, 2, 3)
        for part in (parse("", mark(tag, n)), bind("", ""), describe("P", ""), execute(""))
    ]
    # Half of it first: the rest follows while the server is at it.
    await client.say(*parts[:6], FLUSH)
    await asyncio.sleep(0.01)
    await client.say(*parts[6:], SYNC)
    await client.hear("Z")


async def _several(client: Speaker, tag: str) -> None:
    await client.say(query(f"{mark(tag, 1)}; select 1; {mark(tag, 2)}"))
    await client.hear("Z")


async def _copy_in(client: Speaker, tag: str) -> None:
    await client.say(query("copy faults.marks from stdin"))
    await client.hear("G")
    for n in range(1, 7):
        await client.say(message("d", f"{tag}\t{n}\n".encode()))
    await client.say(message("c", b""))
    await client.hear("Z")


async def _copy_out(client: Speaker, tag: str) -> None:
    await client.say(query(f"copy ({ROWS}) to stdout"))
    await client.hear("Z")


async def _transaction(client: Speaker, tag: str) -> None:
    for text in ("begin", mark(tag, 1), "commit"):
        await client.say(query(text))
        await client.hear("Z")


async def _failed_transaction(client: Speaker, tag: str) -> None:
    for text in ("begin", mark(tag, 1), "select 1 / 0", "rollback"):
        await client.say(query(text))
        await client.hear("Z")


async def _cancel(client: Speaker, tag: str) -> None:
    await client.say(query("select pg_sleep(40)"))
    await asyncio.sleep(0.15)
    await client.cancel()
    await client.hear("Z")


async def _sign_in(client: Speaker, tag: str) -> None:
    """Do nothing: signing in and leaving are done around each scene."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Something a client does once it is let in."""

    name: str
    play: Callable[[Speaker, str], Awaitable[None]]
    epochs: tuple[int, ...] = ()
    mark_ends: tuple[int, ...] = ()
    """Of the statements that are written down, by number from 0, those that commit traces by
    themselves: `done` if and only if the traces are there."""
    marks: int = 0
    """How many traces that leaves in all."""
    tls: bool = False


SCENES = {
    each.name: each
    for each in (
        Scene("sign in", _sign_in),
        Scene("sign in over TLS", _simple, (1, 1, 1), (0,), 1, tls=True),
        Scene("simple", _simple, (1, 1, 1), (0,), 1),
        Scene("extended", _extended, (1,), (0,), 1),
        Scene("portal", _portal, (1,)),
        Scene("pipeline", _pipeline, (3,), (0, 1, 2), 3),
        Scene("several", _several, (1,), (0,), 2),
        Scene("copy in", _copy_in, (1,), (0,), 6),
        Scene("copy out", _copy_out, (1,)),
        Scene("transaction", _transaction, (1, 1, 1), (2,), 1),
        Scene("failed transaction", _failed_transaction, (1, 1, 1, 1)),
        Scene("cancel", _cancel, (1,)),
    )
}


async def play(client: Speaker, scene: Scene) -> None:
    """Sign in, play a scene, and leave."""
    try:
        await client.connect()
        await scene.play(client, client.login.tag)
        await client.leave()
    finally:
        client.drop()
