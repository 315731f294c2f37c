"""What would be granted instead: requests near to a denied one, so that every denial helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from daypass.domain.catalog import ColumnName, RelationName
from daypass.domain.decision import Decision, Outcome
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import READS, StatementClass
from daypass.policy.facts import RequestFacts, class_names
from daypass.policy.globs import split_glob
from daypass.policy.judge import MENDABLE, judge, mending
from daypass.policy.rules import Policy, Profile

_MAX_NEARBY: Final = 3
_TICKET_CODES: Final = frozenset({"ticket_missing", "ticket_malformed"})

_Change = tuple[str, Callable[[RequestFacts], RequestFacts]]


@dataclass(frozen=True, slots=True)
class Nearby:
    """A request near to a denied one that would not be; `text` says how it differs.

    A ticket that the rule asks for cannot be made up: `decision` may still miss it, and `text`
    says so.
    """

    text: str
    facts: RequestFacts
    decision: Decision


def also_possible(policy: Policy, facts: RequestFacts, now: datetime) -> tuple[Nearby, ...]:
    """List up to three requests near to a denied one that would be allowed or approvable."""
    found: list[Nearby] = []
    for words, variant in (*_variants(facts), *_profile_variants(policy, facts)):
        nearby = _try(policy, words, variant, now)
        if nearby is not None and all(n.decision.rule != nearby.decision.rule for n in found):
            found.append(nearby)
        if len(found) == _MAX_NEARBY:
            break
    return tuple(found)


def _try(
    policy: Policy, words: tuple[str, ...], variant: RequestFacts, now: datetime
) -> Nearby | None:
    decision = judge(policy, variant, now)
    if decision.outcome is Outcome.DENIED:
        rule = policy.access_rule(decision.rule)
        codes = {reason.code for reason in decision.reasons}
        if rule is None or not codes <= MENDABLE:
            return None
        words = (*words, mending(codes, rule, variant))
        variant = replace(
            variant,
            duration=min(variant.duration, rule.max_duration),
            reason=variant.reason.strip() or "(a reason)",
        )
        decision = judge(policy, variant, now)
        left = {reason.code for reason in decision.reasons}
        if decision.outcome is Outcome.DENIED and not left <= _TICKET_CODES:
            return None
    needs = " (it then needs approval)" if decision.outcome is Outcome.NEEDS_APPROVAL else ""
    return Nearby(" and ".join(words) + needs, variant, decision)


def _variants(facts: RequestFacts) -> Iterator[tuple[tuple[str, ...], RequestFacts]]:
    """Yield the request itself, each lesser form of it, then ever more of them at once."""
    yield (), facts
    if facts.so_far:
        # More time on a grant is for what the grant has, as it is.
        return
    changes = list(_changes(facts))
    for words, change in changes:
        yield (words,), change(facts)
    together = facts
    said: tuple[str, ...] = ()
    for words, change in changes:
        together, said = change(together), (*said, words)
        if len(said) > 1:
            yield said, together


def _profile_variants(
    policy: Policy, facts: RequestFacts
) -> Iterator[tuple[tuple[str, ...], RequestFacts]]:
    if facts.so_far or facts.profile or facts.asked.native_role is not None:
        return
    plain = replace(facts, break_glass=False, direct_credentials=False)
    for profile in policy.profiles:
        if not profile.unmask and profile.classes & facts.asked.classes:
            yield (f"with the profile {profile.name!r}",), with_profile(plain, profile)


def with_profile(facts: RequestFacts, profile: Profile) -> RequestFacts:
    """Return a request for a profile, as far as can be told without a catalog."""
    columns = [split_glob(glob) or () for glob in profile.unmask]
    return replace(
        facts,
        asked=AskedScope(
            profile.classes,
            profile.relations,
            profile.unmask,
            profile.row_filters,
            profile.settings,
            profile.native_role,
        ),
        unmask=tuple(
            ColumnName(RelationName(c[0][0], c[1][0]), c[2][0]) for c in columns if len(c) > 2
        ),
        profile=profile.name,
        duration=min(facts.duration, profile.duration or facts.duration),
    )


def _changes(facts: RequestFacts) -> Iterator[_Change]:
    asked = facts.asked
    if facts.break_glass:
        yield "without break-glass", lambda f: replace(f, break_glass=False)
    if facts.unmask:
        yield (
            "without unmasking",
            lambda f: replace(f, unmask=(), asked=replace(f.asked, unmask=())),
        )
    if facts.direct_credentials:
        yield "without direct credentials", lambda f: replace(f, direct_credentials=False)
    if asked.settings:
        yield (
            "without session settings",
            lambda f: replace(f, asked=replace(f.asked, settings={})),
        )
    if asked.native_role is not None:
        return
    lesser = (asked.classes & READS) - {StatementClass.EXPORT}
    if lesser and lesser != asked.classes:
        yield _only(lesser)
    elif lesser > {StatementClass.EXPLAIN}:
        yield _only(frozenset({StatementClass.EXPLAIN}))


def _only(classes: frozenset[StatementClass]) -> _Change:
    return (
        f"for {' and '.join(class_names(classes))} only",
        lambda f: replace(f, asked=replace(f.asked, classes=classes)),
    )
