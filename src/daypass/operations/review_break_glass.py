"""Judge a break-glass grant afterwards."""

from __future__ import annotations

from daypass.audit.entry import Entry, EntryKind
from daypass.domain.decision import ApproverSpec, Decision, Outcome, Reason
from daypass.domain.errors import Conflict, Denied, Invalid
from daypass.domain.ids import GrantId
from daypass.domain.principal import Actor, Capability, DaypassRole, PrincipalKind
from daypass.operations.check_ask import check_comment
from daypass.operations.context import Context, require_capability
from daypass.operations.database_facts import load_facts
from daypass.operations.end_grants import LIVE
from daypass.operations.grant_rights import is_own, may_look, no_such
from daypass.operations.tell_people import tell_people
from daypass.policy.approvals import names
from daypass.store import entries, grants
from daypass.store.database import Tx
from daypass.store.grants import GrantRow
from daypass.store.principals import get_principal, hold_principal


async def review_break_glass(
    ctx: Context, actor: Actor, grant_id: GrantId, *, justified: bool, comment: str
) -> None:
    """Record whether breaking the glass was justified, by somebody the rule names.

    Raises `Denied` for the one who did it and for everybody the rule does not name, `Conflict` when
    it is still open or has been reviewed.
    """
    require_capability(actor, Capability.APPROVE)
    check_comment(comment)
    if not comment.strip():
        raise Invalid("say what was found", next_step="add --comment", code="reason_missing")
    async with ctx.store.transaction() as tx:
        await hold_principal(tx, actor.id)
        grant = await grants.lock_grant(tx, grant_id)
        if grant is None:
            raise no_such("grant", grant_id)
        named = await may_review(tx, actor, grant)
        if not named and not await may_look(tx, actor, grant.principal_id, grant.database_id):
            raise no_such("grant", grant_id)
        if not grant.break_glass or grant.review is None:
            raise Conflict(f"grant {grant_id} is no break-glass grant", code="no_break_glass")
        if await is_own(tx, actor, grant.principal_id):
            raise _denied("own_grant", "nobody reviews their own break-glass grant")
        if not named:
            raise _denied("not_a_reviewer", "the rule names others to review this")
        if grant.state in LIVE:
            # What is judged must be over: else a friend's early word would cover what follows.
            raise Conflict(
                f"grant {grant_id} is still open, and is reviewed when it has ended",
                next_step=f"daypass revoke {grant_id} ends it now",
                code="grant_live",
            )
        if grant.reviewed:
            raise Conflict(f"grant {grant_id} has been reviewed", code="already_reviewed")
        verdict = "justified" if justified else "not_justified"
        await grants.insert_review(
            tx, grant_id, reviewer_id=actor.id, verdict=verdict, comment=comment
        )
        await entries.append(
            tx,
            Entry(
                EntryKind.BREAK_GLASS_REVIEWED,
                actor_id=actor.id,
                address=actor.address,
                database_id=grant.database_id,
                request_id=grant.request_id,
                grant_id=grant_id,
                rule=grant.rule,
                content={"verdict": verdict, "comment": comment},
            ),
        )
        await tell_people(
            tx,
            "break_glass.reviewed",
            {grant.principal_id},
            subject=f"Your break-glass grant {grant_id} was reviewed",
            text=f"{actor.principal.name} found it {verdict.replace('_', ' ')}: {comment}",
            facts={"grant": grant_id, "database": grant.database, "verdict": verdict},
        )


async def may_review(tx: Tx, actor: Actor, grant: GrantRow) -> bool:
    """Say whether a break-glass grant's rule names the actor to judge it; admins always may."""
    person = await get_principal(tx, actor.id)
    if not person.active or person.kind is not PrincipalKind.PERSON:
        return False
    if actor.has_role(DaypassRole.ADMIN):
        return True
    if grant.review is None:
        return False
    facts = await load_facts(tx, grant.database_id)
    requester = await get_principal(tx, grant.principal_id)
    return any(
        names(ApproverSpec(a["kind"], a["name"]), person, requester, facts.for_policy())
        for a in grant.review["approvers"]
    )


def _denied(code: str, text: str) -> Denied:
    return Denied(Decision(Outcome.DENIED, (Reason(code, text),)), code=code)
