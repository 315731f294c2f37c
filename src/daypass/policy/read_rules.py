"""Reading the sections of a policy file into rules; what is wrong is noted, never guessed."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from daypass.domain.decision import ApproverSpec, StepSpec
from daypass.domain.limits import Parameters
from daypass.domain.statement_class import StatementClass
from daypass.policy.conditions import (
    NEVER,
    Condition,
    Subject,
    compile_condition,
    compile_ticket_pattern,
)
from daypass.policy.document import Entries, Items, Problems, Scalar
from daypass.policy.fields import Fields, did_you_mean, kind_of
from daypass.policy.globs import split_glob
from daypass.policy.rules import (
    AccessRule,
    ApprovalStep,
    Defaults,
    Limits,
    Profile,
    Recording,
    Requirements,
    Review,
)

_ACCESS_KEYS: Final = (
    "name", "description", "when", "deny", "max_duration", "approve", "require", "on_connect",
    "allow_unmask", "native_roles", "settings", "direct_credentials", "break_glass", "review",
    "pending_ttl", "limits", "record",
)  # fmt: skip
_DENY_KEYS: Final = frozenset({"name", "description", "when", "deny"})
_PROFILE_KEYS: Final = (
    "name", "description", "classes", "relations", "unmask", "row_filters", "settings",
    "native_role", "duration",
)  # fmt: skip
_APPROVER = re.compile(r"(group|user|external):(\S(?:.{0,118}\S)?)")
_BARE_APPROVERS: Final = {
    "owners": ApproverSpec("owners"),
    "requester.manager": ApproverSpec("manager"),
}
_ALONE: Final = frozenset({"user", "manager", "external"})
_MAX_ROWS: Final = 10**12
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,62}")
_CLASSES: Final = tuple(c.value for c in StatementClass)


def read_defaults(node: Entries, problems: Problems) -> Defaults | None:
    """Read the section `defaults`."""
    fields = Fields(node, ("unclassified", "duration", "pending_ttl"), "defaults", problems)
    fields.require("unclassified")
    unclassified = fields.choice("unclassified", ("full", "clear"))
    defaults = Defaults(mask_unclassified=unclassified != "clear")
    return Defaults(
        mask_unclassified=unclassified != "clear",
        duration=fields.duration("duration") or defaults.duration,
        pending_ttl=fields.duration("pending_ttl") or defaults.pending_ttl,
    )


def read_condition(
    fields: Fields, key: str, subject: Subject, problems: Problems
) -> Condition | None:
    """Read a CEL expression; a bare `true` is one, too."""
    scalar = fields.scalar(key, "a condition")
    return compile_condition(scalar, subject, problems) if scalar is not None else None


def read_access_rule(node: Entries, problems: Problems) -> AccessRule | None:
    """Read one rule of the section `access`; None when it has problems."""
    before = len(problems)
    fields = Fields(node, _ACCESS_KEYS, "an access rule", problems)
    fields.require("name", "when")
    name = fields.name()
    when = read_condition(fields, "when", Subject.ACCESS, problems)
    deny = _read_deny(fields, problems)
    if deny is not None:
        for key in _ACCESS_KEYS:
            if key in fields and key not in _DENY_KEYS:
                problems.add(fields.place_of(key), f"a rule that denies cannot have {key!r}")
        denying = AccessRule(name, when or NEVER, node.place, fields.text("description"), deny=deny)
        return denying if len(problems) == before else None
    fields.require("max_duration", "approve")
    steps = _read_approve(fields, problems)
    rule_review = _read_review(fields, problems)
    on_connect = fields.boolean("on_connect") or False
    allow_unmask = fields.boolean("allow_unmask")
    if steps is not None and on_connect:
        problems.add(
            fields.place_of("on_connect"), "'on_connect' goes only with 'approve: automatic'"
        )
    if rule_review is not None:
        if steps is not None:
            problems.add(fields.place_of("approve"), "a break-glass rule opens at once: automatic")
        if on_connect:
            problems.add(fields.place_of("on_connect"), "break-glass is never filed by itself")
        if allow_unmask:
            problems.add(fields.place_of("allow_unmask"), "break-glass never lifts a mask")
        if fields.boolean("direct_credentials"):
            problems.add(
                fields.place_of("direct_credentials"), "break-glass has no direct credentials"
            )
    settings = fields.texts("settings")
    maximum = fields.duration("max_duration")
    rule = AccessRule(
        name,
        when or NEVER,
        node.place,
        fields.text("description"),
        max_duration=maximum or timedelta(),
        steps=steps,
        require=fields.nested("require", lambda n: _read_require(n, problems)) or Requirements(),
        on_connect=on_connect,
        allow_unmask=allow_unmask,
        native_roles=tuple(s.value for s in fields.texts("native_roles")),
        settings=tuple(s.value for s in settings) if "settings" in fields else None,
        direct_credentials=fields.boolean("direct_credentials") or False,
        review=rule_review,
        pending_ttl=fields.duration("pending_ttl"),
        limits=fields.nested("limits", lambda n: _read_limits(n, problems)) or Limits(),
        record=fields.nested("record", lambda n: _read_record(n, problems)) or Recording(),
    )
    return rule if len(problems) == before else None


def _read_deny(fields: Fields, problems: Problems) -> str | None:
    if "deny" not in fields:
        return None
    scalar = fields.scalar("deny", "true or a message")
    if scalar is None:
        return ""
    if not scalar.plain or scalar.value not in ("true", "false"):
        return scalar.value
    if scalar.value == "false":
        problems.add(
            scalar.place, "'deny' is true or a message; a rule that does not deny omits it"
        )
    return ""


def _read_approve(fields: Fields, problems: Problems) -> tuple[ApprovalStep, ...] | None:
    node = fields.node("approve")
    if node is None or (isinstance(node, Scalar) and node.value == "automatic"):
        return None
    if not isinstance(node, Items) or not node.items:
        problems.add(
            node.place, f"'approve' must be automatic or a list of steps, not {kind_of(node)}"
        )
        return None
    steps = [_read_step(each, problems) for each in fields.mappings("approve")]
    return tuple(step for step in steps if step is not None)


def _read_step(node: Entries, problems: Problems) -> ApprovalStep | None:
    before = len(problems)
    fields = Fields(node, ("approvers", "any_of", "count", "when"), "a step", problems)
    if "approvers" in fields and "any_of" in fields:
        problems.add(fields.place_of("any_of"), "'any_of' means 'approvers': write one of them")
    elif "any_of" not in fields:
        fields.require("approvers")
    key = "any_of" if "any_of" in fields else "approvers"
    approvers = read_approvers(fields, key, problems)
    count = fields.integer("count", 1, 20) or 1
    if approvers and count > len(approvers) and all(a.kind in _ALONE for a in approvers):
        problems.add(
            fields.place_of("count"),
            f"{count} approvals can never come from {len(approvers)} possible approver(s)",
        )
    when = read_condition(fields, "when", Subject.ACCESS, problems)
    if len(problems) > before:
        return None
    return ApprovalStep(StepSpec(approvers, count), when, node.place)


def read_approvers(fields: Fields, key: str, problems: Problems) -> tuple[ApproverSpec, ...]:
    """Read a list such as `[group:dba, owners, requester.manager]`."""
    scalars = fields.texts(key)
    if key in fields and isinstance(fields.node(key), Items) and not scalars:
        problems.add(fields.place_of(key), f"{key!r} is empty: nobody could approve")
    found: list[ApproverSpec] = []
    for scalar in scalars:
        match = _APPROVER.fullmatch(scalar.value)
        spec = _BARE_APPROVERS.get(scalar.value)
        if match is not None:
            spec = ApproverSpec(match[1], match[2])
        if spec is None:
            problems.add(
                scalar.place,
                f"{scalar.value!r} is not an approver; write group:…, user:…, external:…, owners "
                f"or requester.manager{did_you_mean(scalar.value, _BARE_APPROVERS)}",
            )
        elif spec in found:
            problems.add(scalar.place, f"{scalar.value!r} stands here twice")
        else:
            found.append(spec)
    return tuple(found)


def _read_review(fields: Fields, problems: Problems) -> Review | None:
    if not fields.boolean("break_glass"):
        if "review" in fields:
            problems.add(fields.place_of("review"), "'review' goes only with 'break_glass: true'")
        return None
    fields.require("review")

    def read(node: Entries) -> Review | None:
        inner = Fields(node, ("approvers", "within"), "a review", problems)
        inner.require("approvers", "within")
        approvers = read_approvers(inner, "approvers", problems)
        within = inner.duration("within")
        return Review(approvers, within) if within is not None else None

    return fields.nested("review", read)


def _read_require(node: Entries, problems: Problems) -> Requirements:
    fields = Fields(node, ("reason", "ticket", "statements"), "'require'", problems)
    ticket = fields.scalar("ticket", "a regular expression, or true")
    pattern = None
    if ticket is not None and not (ticket.plain and ticket.value == "false"):
        if ticket.plain and ticket.value == "true":
            ticket = Scalar(r"\S", ticket.source, ticket.start, ticket.end, "")
        pattern = compile_ticket_pattern(ticket, problems)
    return Requirements(
        fields.boolean("reason") or False, pattern, fields.boolean("statements") or False
    )


def _read_limits(node: Entries, problems: Problems) -> Limits:
    fields = Fields(node, ("statement_timeout", "rows", "bytes"), "'limits'", problems)
    return Limits(
        fields.duration("statement_timeout"),
        fields.integer("rows", 1, _MAX_ROWS),
        fields.integer("bytes", 1, _MAX_ROWS * 1000),
    )


def _read_record(node: Entries, problems: Problems) -> Recording:
    fields = Fields(node, ("parameters", "strict"), "'record'", problems)
    parameters = fields.choice("parameters", tuple(each.value for each in Parameters))
    return Recording(
        Parameters(parameters) if parameters else Parameters.FULL,
        fields.boolean("strict") or False,
    )


def read_profile(node: Entries, problems: Problems) -> Profile | None:
    """Read one profile; None when it has problems."""
    before = len(problems)
    fields = Fields(node, _PROFILE_KEYS, "a profile", problems)
    fields.require("name", "classes")
    name = fields.name()
    classes = set()
    for scalar in fields.texts("classes"):
        if scalar.value in _CLASSES:
            classes.add(StatementClass(scalar.value))
        else:
            problems.add(
                scalar.place,
                f"no class is called {scalar.value!r}"
                + (did_you_mean(scalar.value, _CLASSES) or f"; classes: {', '.join(_CLASSES)}"),
            )
    if "classes" in fields and not classes and len(problems) == before:
        problems.add(fields.place_of("classes"), "'classes' is empty")
    native_role = fields.text("native_role") or None
    relations = _read_globs(fields, "relations", 2, "schema.relation", problems)
    if native_role is not None:
        for key in ("relations", "unmask", "row_filters"):
            if key in fields:
                problems.add(fields.place_of(key), f"a profile of a native role has no {key!r}")
    filters = fields.pairs("row_filters")
    for key_scalar, value in filters:
        _check_glob(key_scalar, 2, "schema.relation", problems)
        if not value.value.strip():
            problems.add(value.place, "an empty row filter")
    for key_scalar, _ in fields.pairs("settings"):
        if not _SETTING.fullmatch(key_scalar.value):
            problems.add(key_scalar.place, f"{key_scalar.value!r} is not the name of a setting")
    profile = Profile(
        name,
        frozenset(classes),
        node.place,
        fields.text("description"),
        relations or ("*.*",),
        _read_globs(fields, "unmask", 3, "schema.relation.column", problems),
        {k.value: v.value for k, v in filters},
        {k.value: v.value for k, v in fields.pairs("settings")},
        native_role,
        fields.duration("duration"),
    )
    return profile if len(problems) == before else None


def _read_globs(
    fields: Fields, key: str, parts: int, form: str, problems: Problems
) -> tuple[str, ...]:
    scalars = fields.texts(key)
    for scalar in scalars:
        _check_glob(scalar, parts, form, problems)
    return tuple(s.value for s in scalars)


def _check_glob(scalar: Scalar, parts: int, form: str, problems: Problems) -> None:
    found = split_glob(scalar.value)
    if found is None or len(found) != parts:
        problems.add(scalar.place, f"{scalar.value!r} is not of the form {form}; * is any name")
