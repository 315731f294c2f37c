"""Profiles: scopes with a name, which a request may narrow and never widen."""

from __future__ import annotations

from dataclasses import replace

from daypass.domain.errors import Invalid
from daypass.domain.scope import AskedScope
from daypass.policy.facts import class_names
from daypass.policy.fields import did_you_mean
from daypass.policy.globs import contains
from daypass.policy.rules import Policy, Profile

_ANYTHING = ("*.*",)


def expand_profile(policy: Policy, name: str, narrower: AskedScope | None = None) -> AskedScope:
    """Return the scope a profile stands for, narrowed by what the request says besides.

    Of `narrower`, no classes, the relations `*.*` and no unmask mean the profile's own; its row
    filters and settings are added. Raises `Invalid` for an unknown profile, or one widened.
    """
    profile = policy.profile(name)
    if profile is None:
        known = [p.name for p in policy.profiles]
        raise Invalid(
            f"no profile is called {name!r}{did_you_mean(name, known)}",
            next_step=f"profiles: {', '.join(sorted(known))}" if known else "",
            code="unknown_profile",
        )
    whole = AskedScope(
        profile.classes,
        profile.relations,
        profile.unmask,
        dict(profile.row_filters),
        dict(profile.settings),
        profile.native_role,
    )
    return whole if narrower is None else _narrow(whole, profile, narrower)


def _narrow(whole: AskedScope, profile: Profile, narrower: AskedScope) -> AskedScope:
    problems: list[tuple[str, str]] = []
    more = narrower.classes - whole.classes
    if more:
        names = ", ".join(class_names(more))
        problems.append(("classes", f"profile {profile.name!r} does not have {names}"))
    relations = whole.relations
    if narrower.relations not in (_ANYTHING, ()):
        relations = narrower.relations
        problems += _outside(profile, "relations", relations, whole.relations)
    unmask = whole.unmask
    if narrower.unmask:
        unmask = narrower.unmask
        problems += _outside(profile, "unmask", unmask, whole.unmask)
    if narrower.native_role not in (None, whole.native_role):
        problems.append(
            ("native_role", f"profile {profile.name!r} is not the role {narrower.native_role!r}")
        )
    filters, settings = dict(whole.row_filters), dict(whole.settings)
    for kind, mine, theirs in (
        ("row_filters", filters, narrower.row_filters),
        ("settings", settings, narrower.settings),
    ):
        for key, value in theirs.items():
            if mine.setdefault(key, value) != value:
                problems.append((kind, f"profile {profile.name!r} says otherwise for {key!r}"))
    if problems:
        raise Invalid(
            "; ".join(text for _, text in problems),
            problems=tuple(problems),
            next_step="ask for less, or without the profile",
            code="wider_than_profile",
        )
    return replace(
        whole,
        classes=narrower.classes or whole.classes,
        relations=relations,
        unmask=unmask,
        row_filters=filters,
        settings=settings,
        statements=narrower.statements,
    )


def _outside(
    profile: Profile, kind: str, globs: tuple[str, ...], within: tuple[str, ...]
) -> list[tuple[str, str]]:
    return [
        (kind, f"{glob!r} is not within profile {profile.name!r} ({', '.join(within) or 'none'})")
        for glob in globs
        if not any(contains(outer, glob) for outer in within)
    ]
