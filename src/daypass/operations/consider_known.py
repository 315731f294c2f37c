"""Decide an ask, unless the asker may not even know that the database exists."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Denied, Invalid, Unavailable
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Principal
from daypass.operations.consider import Ask, Considered, consider
from daypass.operations.context import Context
from daypass.operations.database_facts import find_database
from daypass.operations.policy_in_force import PolicyInForce
from daypass.policy.decide import knows_database
from daypass.policy.facts import DatabaseFacts, RequestFacts
from daypass.policy.judge import judge
from daypass.policy.profiles import expand_profile
from daypass.policy.rules import Policy
from daypass.store import databases
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class Unknown:
    """A database that is not there, or that no rule opens to this person.

    `decision` is what they are told, equal for both; `database_id` is for the log alone.
    """

    decision: Decision
    database_id: DatabaseId | None

    @property
    def denied(self) -> Denied:
        """Return it as an error."""
        return Denied(self.decision, code=self.decision.reasons[0].code)


async def consider_known(
    ctx: Context,
    tx: Tx,
    policy: PolicyInForce,
    principal: Principal,
    ask: Ask,
    moment: datetime,
    *,
    so_far: timedelta = timedelta(),
) -> Considered | Unknown:
    """Decide an ask; see `consider`. Nothing of an `Unknown` depends on whether it exists."""
    database_id = await find_database(tx, ask.database)
    unknown = Unknown(_nothing_on(policy.policy, principal, ask, moment), database_id)
    if database_id is None:
        return unknown
    row = await databases.get_database(tx, database_id)
    if row is None or row.state != "active" or row.instance_state != "active":
        return unknown
    known = DatabaseFacts(
        name=row.name,
        instance=row.instance,
        engine=row.engine,
        labels=row.labels,
        owners=frozenset(row.owners),
        instance_labels=row.instance_labels,
    )
    bare = RequestFacts(
        requester=principal,
        database=known,
        asked=ask.asked,
        duration=ask.duration or timedelta(minutes=5),
        reason=ask.reason,
        ticket=ask.ticket,
    )
    try:
        considered = await consider(
            ctx, tx, policy, principal, database_id, ask, moment, so_far=so_far
        )
    except (Invalid, Unavailable):
        # Names of relations are not for those who could never ask for any.
        if not knows_database(policy.policy, bare, moment):
            return unknown
        raise
    if considered.decision.outcome is Outcome.DENIED and not knows_database(
        policy.policy, considered.request, moment
    ):
        return unknown
    return considered


def _nothing_on(policy: Policy, principal: Principal, ask: Ask, moment: datetime) -> Decision:
    """Return the one answer for a database that is not there, or that no rule opens.

    It comes from who asks what, by a rule that denies such asks on whatever database, if any does.
    """
    instance, _, name = ask.database.partition("/")
    asked, profile = ask.asked, ""
    if ask.profile:
        try:
            asked, profile = expand_profile(policy, ask.profile, ask.asked), ask.profile
        except Invalid:
            profile = ""
    anywhere = RequestFacts(
        requester=principal,
        database=DatabaseFacts(name=name, instance=instance, engine=""),
        asked=asked,
        duration=ask.duration or policy.defaults.duration,
        reason=ask.reason,
        ticket=ask.ticket,
        profile=profile,
        break_glass=ask.break_glass,
        direct_credentials=ask.direct_credentials,
        starts_at=ask.starts_at,
    )
    next_step = "daypass databases lists what you may ask for; else ask a policy editor for a rule"
    decision = judge(policy, anywhere, moment)
    rule = policy.access_rule(decision.rule)
    if rule is not None and rule.deny is not None:
        return replace(decision, next_step=next_step)
    return Decision(
        Outcome.DENIED,
        (Reason("no_rule", f"no rule lets you ask for {ask.database}"),),
        next_step=next_step,
    )
