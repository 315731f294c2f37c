"""Deliver what waits in the outbox: at least once, retried until it is given up after days."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from daypass.domain.errors import Error
from daypass.operations.context import Context
from daypass.store import outbox
from daypass.store.outbox import Message

CHANNELS: Final = ("webhook", "smtp")
"""Every way out there may be."""

_AT_ONCE = 10
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 900.0
_GIVE_UP_AFTER = 300
"""About three days of trying every quarter of an hour."""
_TRY_S = 20.0
_ALONE_S = 30.0
"""Longer than a try takes: no second process sends the message meanwhile."""


class Channel(Protocol):
    """One way out."""

    async def send(self, message: Message) -> None:
        """Send a message. Raises `Unavailable` when it did not go out."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the messages that were due; `problem` is the last one's, if any failed."""

    delivered: int = 0
    failed: int = 0
    given_up: int = 0
    problem: str = ""

    def __add__(self, other: Sent) -> Sent:
        return Sent(
            self.delivered + other.delivered,
            self.failed + other.failed,
            self.given_up + other.given_up,
            other.problem or self.problem,
        )


async def send_messages(ctx: Context, name: str, channel: Channel | None) -> Sent:
    """Send every message that is due on one channel; without the channel, give them all up.

    Each channel is served by itself: one that hangs holds up no other. A message is claimed before
    it is tried, so that two processes never send it at the same time, and nothing is locked while
    the network is waited for.
    """
    if channel is None:
        problem = f"no {name} is configured"
        async with ctx.store.transaction() as tx:
            given_up = await outbox.give_up_waiting(tx, name, problem)
        return Sent(given_up=given_up, problem=problem if given_up else "")
    sent = Sent()
    while True:
        async with ctx.store.transaction() as tx:
            claimed = await outbox.claim_messages(tx, name, limit=_AT_ONCE)
            for message in claimed:
                await outbox.begin_attempt(tx, message.id, _ALONE_S)
        if not claimed:
            return sent
        for one in await asyncio.gather(*(_send(ctx, channel, each) for each in claimed)):
            sent += one


async def _send(ctx: Context, channel: Channel, message: Message) -> Sent:
    problem = ""
    try:
        async with asyncio.timeout(_TRY_S):
            await channel.send(message)
    except Error as error:
        problem = error.message
    except Exception as error:  # noqa: BLE001 - one that cannot be sent must not hold up the rest
        problem = f"{type(error).__name__} while it was sent"
    give_up = bool(problem) and message.attempts >= _GIVE_UP_AFTER
    async with ctx.store.transaction() as tx:
        if problem:
            retry_s = min(_FIRST_RETRY_S * 2 ** min(message.attempts, 16), _LONGEST_RETRY_S)
            await outbox.note_failure(tx, message.id, problem, retry_s=retry_s, give_up=give_up)
        else:
            await outbox.mark_delivered(tx, message.id)
    return Sent(not problem, bool(problem) and not give_up, give_up, problem)
