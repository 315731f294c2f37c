"""The one place that makes a session permit."""

from __future__ import annotations

from dataclasses import dataclass

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Denied, NotFound, Unauthenticated
from daypass.domain.ids import GrantId, TokenId
from daypass.domain.permit import SessionPermit
from daypass.domain.principal import Actor, Capability
from daypass.domain.states import GrantState
from daypass.operations.apply_scope import ensure_applied, note_scope, scope_changed
from daypass.operations.context import Context, require_capability
from daypass.operations.database_facts import find_database
from daypass.operations.plan_grant import GrantPlan, plan_grants
from daypass.operations.yielded import require_not_yielded
from daypass.store import entries, grants, sessions, tokens
from daypass.store.database import now
from daypass.store.grants import GrantRow
from daypass.store.principals import hold_principal


@dataclass(frozen=True, slots=True)
class Candidate:
    """A live grant and what it gives."""

    grant: GrantRow
    found: GrantPlan


async def find_candidates(
    ctx: Context, actor: Actor, database: str, grant_id: GrantId | None = None
) -> tuple[Candidate, ...]:
    """List the actor's live grants on `instance/database`, the most specific first.

    Raises `Denied` with how to ask when there is none, or not the one named.
    """
    require_capability(actor, Capability.CONNECT)
    # Nothing is locked: whatever changes meanwhile, `authorize_session` looks at again.
    async with ctx.store.connection() as connection:
        database_id = await find_database(connection, database)
        live = (
            await grants.live_grants(connection, actor.id, database_id)
            if database_id is not None
            else ()
        )
        if grant_id is not None:
            live = tuple(grant for grant in live if grant.id == grant_id)
        if not live or database_id is None:
            raise no_grant(database, grant_id)
        await require_not_yielded(connection, database_id)
        plans = await plan_grants(ctx, connection, live)
    found = [Candidate(grant, plan) for grant, plan in zip(live, plans, strict=True)]
    return tuple(sorted(found, key=_breadth))


def _breadth(candidate: Candidate) -> tuple[bool, bool, bool, int, int, int, int]:
    scope = candidate.found.scope
    return (
        bool(candidate.found.plan.blocked) or candidate.found.plan.opens_nothing,
        # Whoever names none would find that nothing else can be sent.
        bool(candidate.grant.asked.statements),
        scope.native_role is not None,
        len(scope.relations),
        len(scope.classes),
        len(candidate.grant.asked.unmask),
        -candidate.grant.id,
    )


async def authorize_session(
    ctx: Context, actor: Actor, candidate: Candidate, *, kind: str, most: int | None = None
) -> SessionPermit:
    """Permit one session under a grant and write it down, before its account exists anywhere.

    `most` is how many of the kind one principal may have on the instance. Raises `Denied` when the
    grant has ended meanwhile, or the database cannot keep its promise, and `Unauthenticated` when
    the access token has.
    """
    require_capability(actor, Capability.CONNECT)
    found = candidate.found
    if candidate.grant.scope_hash != found.plan.scope_hash:
        await note_scope(ctx, candidate.grant.id, found)
    await ensure_applied(ctx, found)
    async with ctx.store.transaction() as tx:
        principal = await hold_principal(tx, actor.id)
        grant = await grants.keep_grant(tx, candidate.grant.id)
        moment = await now(tx)
        if (
            actor.token_id is not None
            and await tokens.find_verifier(tx, TokenId(actor.token_id)) is None
        ):
            # Whoever waits for a decision waits for up to an hour.
            raise Unauthenticated(
                "the access token was revoked or has expired meanwhile",
                next_step="connect with another: daypass tokens issue makes one",
                code="token_unknown",
            )
        if (
            grant is None
            or not principal.active
            or grant.principal_id != actor.id
            or grant.state not in (GrantState.ACTIVE, GrantState.SCHEDULED)
            or not grant.starts_at <= moment < grant.deadline
        ):
            raise no_grant(candidate.grant.database, candidate.grant.id)
        if grant.scope_hash != found.plan.scope_hash:
            raise scope_changed()
        session_id, account = await sessions.insert_session(
            tx,
            grant_id=grant.id,
            kind=kind,
            scope_hash=found.plan.scope_hash,
            process_id=ctx.process_id,
            address=actor.address,
            application=actor.application,
            token_id=TokenId(actor.token_id) if actor.token_id is not None else None,
            most=most,
            of=(grant.principal_id, found.facts.instance_id),
        )
        await entries.append(
            tx,
            Entry(
                EntryKind.SESSION_AUTHORIZED,
                actor_id=actor.id,
                address=actor.address,
                application=actor.application,
                database_id=grant.database_id,
                request_id=grant.request_id,
                grant_id=grant.id,
                session_id=session_id,
                rule=grant.rule,
                content={"kind": kind, "account": account, "scope": found.plan.scope_hash},
            ),
            at=moment,
        )
        return SessionPermit(
            session_id=session_id,
            grant_id=grant.id,
            principal_id=actor.id,
            instance_id=found.facts.instance_id,
            database_id=found.facts.id,
            database_name=found.facts.name,
            account=account,
            scope=found.scope,
            deadline=grant.deadline,
            timed_by_gateway=bool(found.plan.timed_by_gateway),
            limits=grant.session_limits,
        )


def no_grant(database: str, grant_id: GrantId | None = None) -> Denied | NotFound:
    """Return the one answer when somebody holds no live grant, known database or not."""
    if grant_id is not None:
        return NotFound(
            f"you hold no live grant {grant_id} on {database}",
            next_step="daypass grants lists yours",
            code="no_grant",
        )
    next_step = f'ask for one: daypass request {database} --for 1h --reason "…"'
    if database.count("/") != 1 or not all(database.split("/")):
        # Nothing is looked up: what a name looks like tells nobody which there are.
        next_step = (
            "databases are named instance/database, such as prod/shop: daypass databases lists "
            "those you may ask for"
        )
    return Denied(
        Decision(
            Outcome.DENIED,
            (Reason("no_grant", f"you hold no live grant on {database}"),),
            next_step=next_step,
        ),
        code="no_grant",
    )
