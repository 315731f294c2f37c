"""The difference between two policies, rule by rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from difflib import SequenceMatcher
from enum import StrEnum

from daypass.domain.duration import format_duration
from daypass.domain.masks import Mask, mask_text, type_of_mask
from daypass.policy.conditions import Condition, TicketPattern
from daypass.policy.facts import class_names
from daypass.policy.rules import (
    AccessRule,
    ApprovalStep,
    Defaults,
    Limits,
    MaskingRule,
    Policy,
    Profile,
    Requirements,
    Review,
    RowRule,
)

Rule = AccessRule | MaskingRule | RowRule | Profile


class ChangeKind(StrEnum):
    """What happened to a rule."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Change:
    """One change: the section and name of the rule, and what differs (key, old, new)."""

    kind: ChangeKind
    section: str
    name: str
    details: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        text = f"{self.kind.value} {self.section} {self.name!r}"
        parts = [f"{key}: {old} → {new}" for key, old, new in self.details]
        return f"{text}: {'; '.join(parts)}" if parts else text


def diff_policies(old: Policy, new: Policy) -> tuple[Change, ...]:
    """List what changes from one policy to another, section by section, in the new one's order.

    Texts that mean the same (comments, layout, files) make no difference; order of rules does.
    """
    changes: list[Change] = []
    details = _details(old.defaults, new.defaults)
    if details:
        changes.append(Change(ChangeKind.CHANGED, "defaults", "defaults", details))
    changes += _section("profile", old.profiles, new.profiles, ordered=False)
    changes += _section("access rule", old.access, new.access)
    changes += _section("masking rule", old.masking, new.masking)
    changes += _section("row rule", old.row, new.row, ordered=False)
    return tuple(changes)


def _section(
    section: str, old: Sequence[Rule], new: Sequence[Rule], *, ordered: bool = True
) -> list[Change]:
    before = {rule.name: rule for rule in old}
    after = {rule.name: rule for rule in new}
    changes = [Change(ChangeKind.REMOVED, section, name) for name in before if name not in after]
    places = {rule.name: index + 1 for index, rule in enumerate(new)}
    olds = {rule.name: index + 1 for index, rule in enumerate(old)}
    moved = _moved([n for n in before if n in after], [n for n in after if n in before])
    for name, rule in after.items():
        if name not in before:
            where = (("place", "none", str(places[name])),) if ordered else ()
            changes.append(Change(ChangeKind.ADDED, section, name, where))
            continue
        details = _details(before[name], rule)
        if details:
            changes.append(Change(ChangeKind.CHANGED, section, name, details))
        if ordered and name in moved:
            where = (("place", str(olds[name]), str(places[name])),)
            changes.append(Change(ChangeKind.MOVED, section, name, where))
    return changes


def _moved(old: list[str], new: list[str]) -> frozenset[str]:
    """Return the names outside the longest runs both orders share."""
    kept: set[str] = set()
    for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        kept.update(old[block.a : block.a + block.size])
    return frozenset(old) - kept


def _details(old: Rule | Defaults, new: Rule | Defaults) -> tuple[tuple[str, str, str], ...]:
    found = []
    for each in fields(old):
        if not each.compare:
            continue
        before, after = getattr(old, each.name), getattr(new, each.name)
        if before != after:
            found.append((each.name, _text(before), _text(after)))
    return tuple(found)


def _text(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case Condition(text=text) | TicketPattern(text=text):
            return " ".join(text.split())
        case timedelta():
            return format_duration(value)
        case ApprovalStep(spec, when):
            return f"{spec}" + (f" when {_text(when)}" if when is not None else "")
        case Review(approvers, within):
            return f"{', '.join(map(str, approvers))} within {format_duration(within)}"
        case Requirements(reason, ticket):
            return f"reason {_text(reason)}, ticket {_text(ticket)}"
        case Limits(timeout, rows, size):
            return f"statement_timeout {_text(timeout)}, rows {_text(rows)}, bytes {_text(size)}"
        case tuple():
            return "[" + ", ".join(map(_text, value)) + "]"
        case frozenset():
            return "[" + ", ".join(class_names(value)) + "]"
        case dict():
            return "{" + ", ".join(f"{k}: {_text(v)}" for k, v in value.items()) + "}"
        case _ if type(value) in type_of_mask:
            return _mask(value)
        case _:
            return str(value)


def _mask(value: object) -> str:
    mask: Mask = value  # type: ignore[assignment]  # its type was looked up just before
    return mask_text(mask)
