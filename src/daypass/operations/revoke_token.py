"""Revoke access tokens."""

from __future__ import annotations

from daypass.audit.entry import EntryKind
from daypass.domain.errors import NotFound
from daypass.domain.ids import TokenId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.operations.context import Context, require_capability
from daypass.operations.entry_by import entry_by
from daypass.operations.kill_session import end_session
from daypass.store import entries, principals, sessions, tokens


async def revoke_token(ctx: Context, actor: Actor, token_id: TokenId) -> None:
    """Revoke an access token and all that were issued with it; one that is gone stays so.

    Sessions of gateways that were opened with them end.
    For the principal it is of, whoever answers for that one, and admins; any access token may
    revoke itself. Raises `NotFound` for what others may not know of.
    """
    if actor.token_id != token_id:
        require_capability(actor, Capability.MANAGE)
    async with ctx.store.transaction() as tx:
        token = await tokens.get_token(tx, token_id)
        if actor.id not in (token.principal_id, token.owner_id) and not actor.has_role(
            DaypassRole.ADMIN
        ):
            raise NotFound(f"there is no access token {token_id}", code="token_not_found")
        # The same lock as issuing takes: none is issued with it from here on.
        await principals.lock_principal(tx, token.principal_id)
        family = await tokens.revoke_token(tx, token_id)
        for revoked in family:
            await entries.append(
                tx,
                entry_by(
                    actor,
                    EntryKind.TOKEN_REVOKED,
                    token=revoked,
                    name=token.name if revoked == token_id else "",
                    principal=token.principal_id,
                    with_token=None if revoked == token_id else token_id,
                ),
            )
        # Whoever opens one with it now waits for the lock, and finds it revoked.
        for session in await sessions.of_tokens(tx, family):
            await end_session(
                tx, actor, session, why="its access token was revoked", reason="token revoked"
            )
