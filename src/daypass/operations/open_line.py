"""Open a session for a client's own protocol, with a permit, and give it back."""

from __future__ import annotations

from collections.abc import Sequence

from daypass.domain.errors import Invalid
from daypass.domain.permit import SessionPermit
from daypass.engines.contract import Plan, SessionSpec, Target
from daypass.engines.relay_contract import Line, RelayTarget
from daypass.operations.context import Context
from daypass.operations.open_session import give_up, open_by


async def open_line(
    ctx: Context,
    permit: SessionPermit,
    plan: Plan,
    *,
    settings: Sequence[tuple[str, str]],
    application: str,
) -> Line:
    """Dial the target as the permit's account, with what the client wants set in its session.

    Raises `Conflict` when the grant ended meanwhile, `Invalid` for a target without a relay.
    """

    async def dial(target: Target, spec: SessionSpec) -> Line:
        if not isinstance(target, RelayTarget):
            raise Invalid("this kind of database has no gateway yet", code="no_relay")
        return await target.dial(plan, spec, settings)

    async def drop(line: Line) -> None:
        line.transport.abort()

    line, _ = await open_by(ctx, permit, dial, drop, application=application or "daypass")
    return line


async def close_line(ctx: Context, permit: SessionPermit, reason: str) -> None:
    """Have the account of a session that is over closed; idempotent."""
    await give_up(ctx, permit, reason)
