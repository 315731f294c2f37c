"""Hand out a direct credential, where a rule allows one: shown once, gone with the grant."""

from __future__ import annotations

from daypass.audit.entry import Entry, EntryKind, utc_text
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Conflict, Denied
from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor, Capability
from daypass.domain.states import SessionState
from daypass.engines.contract import DirectCredential, SessionSpec
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.close_sessions import close_session
from daypass.operations.context import Context, require_capability
from daypass.operations.grant_rights import no_such
from daypass.operations.move_deadline import move_deadline
from daypass.operations.open_target import open_target
from daypass.store import entries, grants, sessions

_CONNECTIONS = 5


async def issue_credential(ctx: Context, actor: Actor, grant_id: GrantId) -> DirectCredential:
    """Make an account that its holder signs in to by themselves, until the grant's deadline.

    Raises `Denied` when the grant was not approved for it, `Conflict` when one was handed out.
    """
    require_capability(actor, Capability.CONNECT)
    async with ctx.store.connection() as connection:
        grant = await grants.get_grant(connection, grant_id)
        open_ones = await sessions.list_sessions(
            connection,
            grant_id=grant_id,
            states=(SessionState.OPENING, SessionState.OPEN),
            limit=None,
        )
    if grant is None or grant.principal_id != actor.id:
        raise no_such("grant", grant_id)
    if not grant.direct_credentials:
        raise Denied(
            Decision(
                Outcome.DENIED,
                (Reason("direct_denied", f"grant {grant_id} is used through Daypass"),),
                next_step=f"daypass query {grant.database}, or ask with --direct",
            ),
            code="direct_denied",
        )
    if any(session.kind == "direct" for session in open_ones):
        raise sessions.already_issued(grant_id)
    (candidate,) = await find_candidates(ctx, actor, grant.database, grant_id)
    permit = await authorize_session(ctx, actor, candidate, kind="direct")
    target = await open_target(ctx, permit.instance_id)
    try:
        async with ctx.store.lock("session", permit.session_id):
            credential = await target.issue_credential(
                candidate.found.plan,
                SessionSpec(
                    account=permit.account,
                    deadline=permit.deadline,
                    settings=permit.scope.settings,
                    connection_limit=_CONNECTIONS,
                ),
            )
    except BaseException:
        await close_session(ctx, permit.session_id, "not issued")
        raise
    async with ctx.store.transaction() as tx:
        marked = await sessions.mark_open(tx, permit.session_id, None)
        if marked is not None:
            await entries.append(
                tx,
                Entry(
                    EntryKind.CREDENTIAL_ISSUED,
                    actor_id=actor.id,
                    address=actor.address,
                    application=actor.application,
                    database_id=permit.database_id,
                    grant_id=grant_id,
                    session_id=permit.session_id,
                    rule=grant.rule,
                    content={"account": permit.account, "deadline": utc_text(marked.deadline)},
                ),
            )
    if marked is None:
        await target.close((permit.account,))
        raise Conflict(f"grant {grant_id} ended meanwhile", code="grant_ended")
    if marked.deadline != permit.deadline:
        await move_deadline(ctx, grant_id)
    return credential
