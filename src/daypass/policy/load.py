"""Loading policy: files in, a checked `Policy` out, or every problem at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar

from daypass.domain.errors import Invalid
from daypass.policy.conditions import Subject
from daypass.policy.document import Entries, Place, Problems, Scalar, read_document
from daypass.policy.fields import Fields
from daypass.policy.mask_text import read_mask
from daypass.policy.read_rules import (
    read_access_rule,
    read_condition,
    read_defaults,
    read_profile,
)
from daypass.policy.row_filter_text import read_row_filter
from daypass.policy.rules import AccessRule, Defaults, MaskingRule, Policy, Profile, RowRule

SECTIONS: Final = ("defaults", "profiles", "access", "masking", "row", "cases")
MAX_FILES: Final = 100
MAX_CHARACTERS: Final = 1024 * 1024


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def place(self) -> Place: ...


N = TypeVar("N", bound=_Named)


def load_policy(files: Mapping[str, str]) -> Policy:
    """Read the files of one policy, in order of their names; lists of several files follow on.

    Raises `Invalid` with every problem of every file, each as (file:line:column, text).
    """
    if len(files) > MAX_FILES or sum(len(text) for text in files.values()) > MAX_CHARACTERS:
        raise Invalid(
            f"a policy has at most {MAX_FILES} files and {MAX_CHARACTERS // 1024} Ki characters",
            code="invalid_policy",
        )
    problems = Problems()
    defaults: list[tuple[Place, Defaults]] = []
    access: list[AccessRule] = []
    masking: list[MaskingRule] = []
    row: list[RowRule] = []
    profiles: list[Profile] = []
    for name in sorted(files):
        document = read_document(name, files[name], problems)
        if document is None:
            continue
        fields = Fields(document, SECTIONS, "a policy file", problems)
        _read_defaults(fields, defaults, problems)
        _collect(fields, "profiles", profiles, read_profile, problems)
        _collect(fields, "access", access, read_access_rule, problems)
        _collect(fields, "masking", masking, _read_masking_rule, problems)
        _collect(fields, "row", row, _read_row_rule, problems)
    if not defaults and not len(problems):
        problems.add(
            Place(min(files, default="policy"), 1, 1),
            "'defaults' with 'unclassified: full' or 'unclassified: clear' must be stated",
        )
    _check_names("access rules", access, problems)
    _check_names("masking rules", masking, problems)
    _check_names("row rules", row, problems)
    _check_names("profiles", profiles, problems)
    problems.raise_if_any("the policy has problems")
    return Policy(
        defaults[0][1],
        tuple(access),
        tuple(masking),
        tuple(row),
        tuple(profiles),
        hash_sources(files),
    )


def hash_sources(files: Mapping[str, str]) -> str:
    """Return the SHA-256 over names and texts, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name].encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _read_defaults(fields: Fields, found: list[tuple[Place, Defaults]], problems: Problems) -> None:
    defaults = fields.nested("defaults", lambda node: read_defaults(node, problems))
    if defaults is None:
        return
    place = fields.place_of("defaults")
    if found:
        problems.add(place, f"'defaults' stand in another file already, at {found[0][0]}")
    found.append((place, defaults))


def _collect(
    fields: Fields,
    section: str,
    found: list[N],
    read: Callable[[Entries, Problems], N | None],
    problems: Problems,
) -> None:
    for node in fields.mappings(section):
        item = read(node, problems)
        if item is not None:
            found.append(item)


def _check_names(kind: str, named: list[N], problems: Problems) -> None:
    seen: dict[str, Place] = {}
    for item in named:
        if item.name in seen:
            problems.add(
                item.place,
                f"two {kind} are called {item.name!r}; the first is at {seen[item.name]}",
            )
        seen.setdefault(item.name, item.place)


def _read_masking_rule(node: Entries, problems: Problems) -> MaskingRule | None:
    before = len(problems)
    fields = Fields(node, ("name", "columns", "mask", "reveal"), "a masking rule", problems)
    fields.require("name", "columns", "mask")
    name = fields.name()
    columns = read_condition(fields, "columns", Subject.COLUMN, problems)
    reveal = read_condition(fields, "reveal", Subject.COLUMN, problems)
    mask_node = fields.node("mask")
    mask = read_mask(mask_node, problems) if mask_node is not None else None
    if columns is None or mask is None or len(problems) > before:
        return None
    return MaskingRule(name, columns, mask, reveal, node.place)


def _read_row_rule(node: Entries, problems: Problems) -> RowRule | None:
    before = len(problems)
    fields = Fields(node, ("name", "relation", "filter"), "a row rule", problems)
    fields.require("name", "relation", "filter")
    name = fields.name()
    relation = read_condition(fields, "relation", Subject.RELATION, problems)
    scalar: Scalar | None = fields.scalar("filter", "a predicate")
    predicate = read_row_filter(scalar, problems) if scalar is not None else None
    if relation is None or predicate is None or len(problems) > before:
        return None
    return RowRule(name, relation, predicate[0], predicate[1], node.place)
