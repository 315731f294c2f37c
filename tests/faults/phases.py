"""Find every phase there is: each scene is played once undisturbed, and what passes is listed.

A phase is a message of a connection: a fault happens before it, or when half of it has passed. Of
messages of one name in a row the first, the middle one and the last are taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from daypass.domain.ids import GrantId
from tests.faults.framing import Message
from tests.faults.judging import outcomes_of, settled
from tests.faults.proxy import Connection, Place, Proxy
from tests.faults.scenes import SCENES, Scene, play
from tests.faults.speaker import Login, Speaker
from tests.faults.stage import Stage

_PATIENCE_S: Final = 30.0


class Link(StrEnum):
    """Which connection it is."""

    CLIENT = "client"
    CLIENT_CANCEL = "client's cancel"
    TARGET = "target"
    TARGET_CANCEL = "target's cancel"

    @property
    def cancels(self) -> bool:
        """Say whether it is a connection to cancel by."""
        return self in (Link.CLIENT_CANCEL, Link.TARGET_CANCEL)

    @property
    def to_client(self) -> bool:
        """Say whether it is between client and gateway."""
        return self in (Link.CLIENT, Link.CLIENT_CANCEL)


@dataclass(frozen=True, slots=True)
class Phase:
    """Where in a scene something happens."""

    scene: str
    link: Link
    place: Place
    signing_in: bool

    def __str__(self) -> str:
        return f"{self.scene}, {self.link.value}, {self.place}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of scenes that nothing disturbed."""

    phases: tuple[Phase, ...]
    outcomes: dict[str, tuple[str, ...]]
    """Of a scene's statements, in their order."""


async def record(stage: Stage) -> Recorded:
    """Play every scene once."""
    grant_id = await stage.grant()
    found = await asyncio.gather(*(_played(stage, grant_id, each) for each in SCENES.values()))
    assert not await settled(stage, grant_id, 10.0, 0)
    ended = await outcomes_of(stage, grant_id)
    outcomes = {each.name: tuple(ended.get(_tag(each), [])) for each in SCENES.values()}
    for each in SCENES.values():
        assert len(outcomes[each.name]) == sum(each.epochs), outcomes[each.name]
    return Recorded(tuple(dict.fromkeys(phase for some in found for phase in some)), outcomes)


def _tag(scene: Scene) -> str:
    return f"undisturbed {scene.name}"


async def _played(stage: Stage, grant_id: GrantId, scene: Scene) -> list[Phase]:
    tag = _tag(scene)
    async with Proxy(
        ("127.0.0.1", stage.port), inner_accepts=True, whose=lambda _: ("", None)
    ) as proxy:
        login = Login(proxy.port, "ada@example.com", stage.token, grant_id, tag, scene.tls)
        async with asyncio.timeout(_PATIENCE_S):
            await play(Speaker(login), scene)
        return [
            phase
            for link, connection in _connections(stage, proxy, tag)
            for phase in _phases(scene, link, connection.seen)
        ]


def _connections(stage: Stage, proxy: Proxy, tag: str) -> Iterator[tuple[Link, Connection]]:
    for each in proxy.connections:
        yield (Link.CLIENT_CANCEL if each.said.cancels else Link.CLIENT), each
    for each in stage.target.of(tag):
        yield Link.TARGET, each
    for each in stage.target.of(f"{tag} cancel"):
        yield Link.TARGET_CANCEL, each


def _phases(scene: Scene, link: Link, seen: list[Message]) -> Iterator[Phase]:
    if scene.tls and link is not Link.CLIENT:
        return
    ready = next((at for at, each in enumerate(seen) if each.name == "ReadyI"), len(seen))
    signs_in = scene.name == "sign in"
    groups: dict[tuple[str, str], list[tuple[bool, Message]]] = {}
    for at, each in enumerate(seen):
        signing_in = not link.cancels and (at <= ready or scene.tls)
        if signs_in or scene.tls or link.cancels or not signing_in:
            groups.setdefault((each.way, each.name), []).append((signing_in, each))
    for group in groups.values():
        last = len(group) - 1
        # How many records TLS makes of it differs a little.
        end = last // 2 if scene.tls else last
        for at, within in ((0, False), (last // 2, True), (end, False)):
            signing_in, message = group[at]
            if within and len(message.raw) < 2:
                continue
            place = Place(message.way, message.name, message.nth, within)
            yield Phase(scene.name, link, place, signing_in)
