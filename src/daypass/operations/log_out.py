"""End a login."""

from __future__ import annotations

from daypass.audit.entry import EntryKind
from daypass.domain.principal import Actor
from daypass.domain.secret import Secret
from daypass.operations.context import Context
from daypass.operations.entry_by import entry_by
from daypass.operations.log_in import IDLE_FOR
from daypass.operations.one_time_value import digest_of
from daypass.store import entries, logins


async def log_out(ctx: Context, actor: Actor, cookie: Secret) -> None:
    """End the login of a cookie, if it is the actor's; one that has ended stays so."""
    async with ctx.store.transaction() as tx:
        login = await logins.find_live(tx, digest_of(cookie), IDLE_FOR)
        if login is None or login.principal_id != actor.id:
            return
        if await logins.end_login(tx, login.id):
            await entries.append(
                tx, entry_by(actor, EntryKind.LOGIN_ENDED, login=login.id, cause="logged_out")
            )
