"""Judging one request by the access rules: the first that matches says, with every reason."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final

from daypass.domain.decision import Decision, Outcome, Reason, StepSpec
from daypass.domain.duration import format_duration
from daypass.domain.statement_class import GATEWAY_TIMED, StatementClass
from daypass.policy.conditions import Situation, Subject, Truth
from daypass.policy.facts import (
    RequestFacts,
    class_names,
    database_values,
    request_values,
    requester_values,
)
from daypass.policy.globs import exact_glob, matches
from daypass.policy.rules import AccessRule, Policy

NO_RULE: Final = "no_rule"
NO_MORE_TIME: Final = "no_more_time"
"""A grant that has had all the time its rule allows: nothing asked for differently helps."""


def situation_of(facts: RequestFacts, now: datetime) -> Situation:
    """Prepare the facts for access conditions."""
    if now.tzinfo is None:
        raise ValueError("now must say its time zone")
    return Situation(
        Subject.ACCESS,
        requester_values(facts.requester)
        | database_values(facts.database)
        | request_values(facts, now),
    )


def applies(rule: AccessRule, facts: RequestFacts) -> bool:
    """Say whether a rule is for this kind of request: break-glass rules are for those alone."""
    return rule.deny is not None or rule.break_glass == facts.break_glass


def judge(policy: Policy, facts: RequestFacts, now: datetime) -> Decision:
    """Decide without looking for what else would be possible."""
    if not facts.requester.active:
        return _denied(Reason("requester_inactive", "the account asking is not active"))
    if facts.duration <= timedelta():
        return _denied(Reason("invalid_duration", "the duration must be longer than zero"))
    situation = situation_of(facts, now)
    for rule in policy.access:
        if not applies(rule, facts):
            continue
        truth = situation.ask(rule.when)
        if truth is Truth.NO:
            continue
        if truth is Truth.ERROR:
            return _rule_error(rule, "its condition", situation.why_not(rule.when))
        return _decide_by(rule, policy, facts, situation)
    kind = "break-glass rule" if facts.break_glass else "access rule"
    return _denied(Reason(NO_RULE, f"no {kind} covers this request on {facts.database.full_name}"))


def _denied(*reasons: Reason, rule: str | None = None, next_step: str = "") -> Decision:
    return Decision(Outcome.DENIED, reasons, rule, (), next_step)


def _rule_error(rule: AccessRule, what: str, why: str) -> Decision:
    return _denied(
        Reason(
            "rule_error",
            f"rule {rule.name!r} cannot be evaluated ({what}, {rule.place}): {why}",
            rule.name,
        ),
        rule=rule.name,
        next_step="have the rule or the missing fact corrected",
    )


def _decide_by(
    rule: AccessRule, policy: Policy, facts: RequestFacts, situation: Situation
) -> Decision:
    if rule.deny is not None:
        text = f"rule {rule.name!r} denies it" + (f": {rule.deny}" if rule.deny else "")
        return _denied(Reason("rule_denies", text, rule.name), rule=rule.name)
    against = _against(rule, policy, facts)
    if against:
        used_up = any(code == NO_MORE_TIME for code, _ in against)
        return _denied(
            *(Reason(code, text, rule.name) for code, text in against),
            rule=rule.name,
            next_step=f"ask for a new grant: daypass request {facts.database.full_name}"
            if used_up
            else "",
        )
    steps: list[StepSpec] = []
    for index, step in enumerate(rule.steps or ()):
        truth = Truth.YES if step.when is None else situation.ask(step.when)
        if truth is Truth.ERROR and step.when is not None:
            why = situation.why_not(step.when)
            return _rule_error(rule, f"the condition of step {index + 1}", why)
        if truth is Truth.YES:
            steps.append(step.spec)
    if rule.automatic:
        text = f"rule {rule.name!r} allows it without asking anybody"
        return Decision(Outcome.ALLOWED, (Reason("rule_allows", text, rule.name),), rule.name)
    if not steps:
        return _denied(
            Reason(
                "no_step_applies",
                f"none of the approval steps of rule {rule.name!r} applies, so nobody could "
                "approve it",
                rule.name,
            ),
            rule=rule.name,
            next_step="have a step without a condition added to the rule",
        )
    text = f"rule {rule.name!r} asks for approval: " + ", then ".join(map(str, steps))
    return Decision(
        Outcome.NEEDS_APPROVAL,
        (Reason("rule_asks", text, rule.name),),
        rule.name,
        tuple(steps),
        "wait for the approvers, who have been told",
    )


MENDABLE: Final = frozenset({"too_long", "reason_missing", "ticket_missing", "ticket_malformed"})
"""Codes of reasons that asking again with other particulars takes away."""


def _against(rule: AccessRule, policy: Policy, facts: RequestFacts) -> list[tuple[str, str]]:
    """List what the rule does not allow of the request, all at once, as codes and texts."""
    named = f"rule {rule.name!r}"
    asked = facts.asked
    found: list[tuple[str, str]] = []

    def add(code: str, text: str) -> None:
        found.append((code, text))

    if facts.duration > rule.max_duration:
        add(*_too_long(rule, facts))
    if (rule.require.reason or facts.break_glass) and not facts.reason.strip():
        add("reason_missing", f"{named} asks for a reason")
    pattern = rule.require.ticket
    if pattern is not None and not facts.ticket:
        add("ticket_missing", f"{named} asks for a ticket")
    elif pattern is not None and not pattern.matches(facts.ticket):
        add("ticket_malformed", f"the ticket {facts.ticket!r} does not match '{pattern.text}'")
    if rule.require.statements and not asked.statements:
        add(
            "statements_missing",
            f"{named} asks for the exact statements, which are all that may then be sent: "
            '--statement "…"',
        )
    if facts.break_glass and facts.starts_at is not None:
        add("break_glass_later", "break-glass opens at once, not later")
    if facts.unmask and facts.break_glass:
        add("unmask_denied", "break-glass never lifts a mask")
    elif facts.unmask and asked.classes <= {StatementClass.EXPLAIN}:
        add("unmask_denied", "explain alone shows no values, so there is nothing to unmask")
    elif facts.unmask and not rule.may_unmask:
        add("unmask_denied", f"{named} does not allow to unmask columns")
    role = asked.native_role
    if role is not None and not any(matches(_role_glob(g), (role,)) for g in rule.native_roles):
        add("native_role_denied", f"{named} does not allow the database's role {role!r}")
    found.extend(_settings_against(rule, policy, facts))
    if facts.direct_credentials and not rule.direct_credentials:
        add("direct_denied", f"{named} does not allow direct credentials")
    elif facts.direct_credentials and asked.statements:
        add("direct_denied", "exact statements are kept by Daypass, never by a login of one's own")
    elif facts.direct_credentials and role is not None:
        add("direct_denied", "a role of the database is used through Daypass, never directly")
    elif facts.direct_credentials and asked.classes & GATEWAY_TIMED:
        timed = ", ".join(class_names(asked.classes & GATEWAY_TIMED))
        add("direct_denied", f"{timed} can be used through Daypass alone, never directly")
    return found


def time_left(rule: AccessRule, facts: RequestFacts) -> timedelta:
    """Return the longest that the rule allows to ask for: for a grant that exists, what it lacks.

    In whole minutes where a grant is extended, so that people can type it.
    """
    if not facts.so_far:
        return rule.max_duration
    left = max(rule.max_duration - facts.so_far, timedelta())
    return left - left % timedelta(minutes=1)


def _too_long(rule: AccessRule, facts: RequestFacts) -> tuple[str, str]:
    named, most = f"rule {rule.name!r}", format_duration(rule.max_duration)
    if not facts.so_far:
        return "too_long", f"{named} allows at most {most}, not {format_duration(facts.duration)}"
    left, wanted = time_left(rule, facts), facts.duration - facts.so_far
    if not left:
        return (
            NO_MORE_TIME,
            f"{named} allows a grant {most} in all, which this one has: it cannot be extended",
        )
    allowed = f"at most {format_duration(left)} more ({most} from the grant's start)"
    return "too_long", f"{named} allows {allowed}, not {format_duration(wanted)}"


def _role_glob(glob: str) -> str:
    """Return a glob of one part: a role's name has no dots that separate."""
    return glob if set(glob) & {"*", "?", '"'} else exact_glob((glob,))


def _settings_against(
    rule: AccessRule, policy: Policy, facts: RequestFacts
) -> list[tuple[str, str]]:
    """List settings the rule does not allow; those its profile brings along are policy's own."""
    profile = policy.profile(facts.profile) if facts.profile else None
    own = profile.settings if profile is not None else {}
    return [
        ("setting_denied", f"rule {rule.name!r} does not allow to set {name!r}")
        for name, value in facts.asked.settings.items()
        if own.get(name) != value
        and not any(
            glob == "*" or matches(glob, tuple(name.split("."))) for glob in rule.setting_globs
        )
    ]


def mending(codes: AbstractSet[str], rule: AccessRule, facts: RequestFacts) -> str:
    """Say what to ask with instead, where that takes all the reasons away; else nothing."""
    if not codes <= MENDABLE:
        return ""
    parts = []
    if "too_long" in codes:
        parts.append(f"for at most {format_duration(time_left(rule, facts))}")
    if "reason_missing" in codes:
        parts.append("with a reason")
    if rule.require.ticket is not None and codes & {"ticket_missing", "ticket_malformed"}:
        parts.append(f"with a ticket that matches '{rule.require.ticket.text}'")
    return " and ".join(parts)
