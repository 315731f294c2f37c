"""Deliver what waits in the outbox: at least once, retried until it is given up after days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from daypass.domain.errors import Error
from daypass.operations.context import Context
from daypass.store import outbox
from daypass.store.outbox import Message

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 900.0
_GIVE_UP_AFTER = 300
"""About three days of trying every quarter of an hour."""
_ALONE_S = 30.0
"""Longer than a try takes: no second process sends the message meanwhile."""


class Channel(Protocol):
    """One way out."""

    async def send(self, message: Message) -> None:
        """Send a message within `_ALONE_S`. Raises `Unavailable` when it did not go out."""


async def send_messages(ctx: Context, channels: Mapping[str, Channel]) -> int:
    """Send every message that is due; return how many went out.

    A message is claimed before it is tried, so that two processes never send it at the same time,
    and nothing is locked while the network is waited for.
    """
    sent = 0
    while True:
        async with ctx.store.transaction() as tx:
            claimed = await outbox.claim_messages(tx, limit=10)
            for message in claimed:
                await outbox.begin_attempt(tx, message.id, _ALONE_S)
        if not claimed:
            return sent
        for message in claimed:
            sent += await _send(ctx, channels, message)


async def _send(ctx: Context, channels: Mapping[str, Channel], message: Message) -> bool:
    channel = channels.get(message.channel)
    problem = ""
    give_up = message.attempts >= _GIVE_UP_AFTER
    if channel is None:
        problem, give_up = f"no {message.channel} is configured", True
    else:
        try:
            await channel.send(message)
        except Error as error:
            problem = error.message
    async with ctx.store.transaction() as tx:
        if problem:
            retry_s = min(_FIRST_RETRY_S * 2**message.attempts, _LONGEST_RETRY_S)
            await outbox.note_failure(tx, message.id, problem, retry_s=retry_s, give_up=give_up)
        else:
            await outbox.mark_delivered(tx, message.id)
    return not problem
