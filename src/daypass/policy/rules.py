"""Policy as typed values: what the files say once every name, type and number has been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from daypass.domain.decision import ApproverSpec, StepSpec
from daypass.domain.limits import Parameters
from daypass.domain.masks import Mask
from daypass.domain.statement_class import StatementClass
from daypass.policy.conditions import Condition, TicketPattern
from daypass.policy.document import Place

UNCLASSIFIED_RULE: Final = "defaults.unclassified"
"""What a scope names as the rule of a column masked because nobody has classified it."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where no rule says otherwise.

    `mask_unclassified`: columns nobody has classified are hidden. `duration` is a request's that
    names none, `pending_ttl` how long a request waits for its approvals.
    """

    mask_unclassified: bool
    duration: timedelta = timedelta(hours=1)
    pending_ttl: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class ApprovalStep:
    """A step of approval that applies when its condition holds, or always without one."""

    spec: StepSpec
    when: Condition | None
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a request must say for itself."""

    reason: bool = False
    ticket: TicketPattern | None = None
    statements: bool = False
    """The exact statements, which are all that may then be sent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on each session's statements; None is no bound."""

    statement_timeout: timedelta | None = None
    rows: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """How statements are recorded; `strict`: on disk before they are sent."""

    parameters: Parameters = Parameters.FULL
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """Who looks at a break-glass grant afterwards, and how long after its start at the latest."""

    approvers: tuple[ApproverSpec, ...]
    within: timedelta


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A rule of access; the first whose condition holds decides.

    `steps` is None when it approves automatically. `deny` is the message of a rule that denies, and
    None for one that does not. A rule with a `review` is a break-glass rule: it decides break-glass
    requests and no others. `allow_unmask` and `settings` are None where the rule is silent.
    """

    name: str
    when: Condition
    place: Place = field(compare=False)
    description: str = ""
    deny: str | None = None
    max_duration: timedelta = timedelta()
    steps: tuple[ApprovalStep, ...] | None = None
    require: Requirements = Requirements()
    on_connect: bool = False
    allow_unmask: bool | None = None
    native_roles: tuple[str, ...] = ()
    settings: tuple[str, ...] | None = None
    direct_credentials: bool = False
    review: Review | None = None
    pending_ttl: timedelta | None = None
    limits: Limits = Limits()
    record: Recording = Recording()

    @property
    def automatic(self) -> bool:
        """Say whether it opens without anybody's approval."""
        return self.deny is None and self.steps is None

    @property
    def break_glass(self) -> bool:
        """Say whether it is for break-glass requests alone."""
        return self.review is not None

    @property
    def may_unmask(self) -> bool:
        """Say whether columns may be unmasked: by itself only where an automatic rule says so."""
        if self.deny is not None or self.break_glass:
            return False
        return not self.automatic if self.allow_unmask is None else self.allow_unmask

    @property
    def setting_globs(self) -> tuple[str, ...]:
        """Return which settings may be asked for: where silent, any that approvers look at."""
        if self.settings is not None:
            return self.settings
        return () if self.automatic else ("*",)


@dataclass(frozen=True, slots=True)
class MaskingRule:
    """A rule that masks the columns its condition holds for, unless `reveal` holds."""

    name: str
    columns: Condition
    mask: Mask
    reveal: Condition | None
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class RowRule:
    """A rule that filters the relations its condition holds for.

    `text` is the predicate with `{1}`, `{2}` … for the values named by `values`, each a name such
    as `requester.email` or `requester.attributes.region`.
    """

    name: str
    relation: Condition
    text: str
    values: tuple[str, ...]
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """A scope with a name; `duration` is a request's that names none."""

    name: str
    classes: frozenset[StatementClass]
    place: Place = field(compare=False)
    description: str = ""
    relations: tuple[str, ...] = ("*.*",)
    unmask: tuple[str, ...] = ()
    row_filters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    native_role: str | None = None
    duration: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the files of one policy say; `source_hash` is the SHA-256 over them."""

    defaults: Defaults
    access: tuple[AccessRule, ...]
    masking: tuple[MaskingRule, ...]
    row: tuple[RowRule, ...]
    profiles: tuple[Profile, ...]
    source_hash: str

    def access_rule(self, name: str | None) -> AccessRule | None:
        """Return the access rule of that name, if there is one."""
        return next((rule for rule in self.access if rule.name == name), None)

    def profile(self, name: str) -> Profile | None:
        """Return the profile of that name, if there is one."""
        return next((profile for profile in self.profiles if profile.name == name), None)

    def pending_ttl(self, rule: str | None) -> timedelta:
        """Return how long a request under that rule waits."""
        found = self.access_rule(rule)
        return (found.pending_ttl if found else None) or self.defaults.pending_ttl
