"""What policy is asked about: who asks for what on which database, as values and as CEL names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from daypass.domain.catalog import Column, ColumnName, Relation, RelationName
from daypass.domain.principal import Principal
from daypass.domain.scope import AskedScope, LiteralValue
from daypass.domain.statement_class import StatementClass


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """A database and its instance; `owners` are names of groups, or e-mail addresses of people."""

    name: str
    instance: str
    engine: str
    labels: Mapping[str, str] = field(default_factory=dict)
    owners: frozenset[str] = frozenset()
    instance_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Return `instance/database`."""
        return f"{self.instance}/{self.name}"


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """One request: `relations` and `unmask` are what its globs matched, as `resolve` says.

    `profile` is set only when `asked` came out of `expand_profile` with that name. `so_far` is
    longer than zero for more time on a grant alone: what the grant has from its start to its
    deadline, and part of `duration`.
    """

    requester: Principal
    database: DatabaseFacts
    asked: AskedScope
    duration: timedelta
    relations: tuple[RelationName, ...] = ()
    unmask: tuple[ColumnName, ...] = ()
    reason: str = ""
    ticket: str = ""
    profile: str = ""
    break_glass: bool = False
    direct_credentials: bool = False
    starts_at: datetime | None = None
    so_far: timedelta = timedelta()


CLASS_ORDER: Final = {c: i for i, c in enumerate(StatementClass)}


def class_names(classes: frozenset[StatementClass]) -> list[str]:
    """List the classes in their one order, so that `==` in a condition means the same set."""
    return [c.value for c in sorted(classes, key=CLASS_ORDER.__getitem__)]


def _plain(value: LiteralValue) -> object:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def requester_values(principal: Principal) -> dict[str, object]:
    """Return the `requester.*` names."""
    return {
        "requester.id": int(principal.id),
        "requester.name": principal.name,
        "requester.email": principal.email,
        "requester.kind": principal.kind.value,
        "requester.groups": sorted(principal.groups),
        "requester.attributes": {k: _plain(v) for k, v in principal.attributes.items()},
        "requester.manager": principal.manager or "",
    }


def database_values(database: DatabaseFacts) -> dict[str, object]:
    """Return the `database.*` and `instance.*` names."""
    return {
        "database.name": database.name,
        "database.instance": database.instance,
        "database.engine": database.engine,
        "database.labels": dict(database.labels),
        "database.owners": sorted(database.owners),
        "instance.name": database.instance,
        "instance.labels": dict(database.instance_labels),
    }


def request_values(facts: RequestFacts, now: datetime) -> dict[str, object]:
    """Return the `request.*` names and `now`."""
    asked = facts.asked
    return {
        "request.classes": class_names(asked.classes),
        "request.relations": [str(r) for r in facts.relations],
        "request.unmask": [str(c) for c in facts.unmask],
        "request.settings": dict(asked.settings),
        "request.profile": facts.profile,
        "request.native_role": asked.native_role or "",
        "request.statements": [each.text for each in asked.statements],
        "request.break_glass": facts.break_glass,
        "request.direct_credentials": facts.direct_credentials,
        "request.duration": facts.duration,
        "request.reason": facts.reason,
        "request.ticket": facts.ticket,
        "request.starts_later": facts.starts_at is not None and facts.starts_at > now,
        "now": now,
    }


def relation_values(relation: Relation, tags: frozenset[str]) -> dict[str, object]:
    """Return the `relation.*` names."""
    return {
        "relation.schema": relation.name.schema,
        "relation.name": relation.name.name,
        "relation.kind": relation.kind.value,
        "relation.tags": sorted(tags),
    }


def column_values(column: Column, tags: frozenset[str]) -> dict[str, object]:
    """Return the `column.*` names."""
    return {
        "column.name": column.name,
        "column.type": column.type,
        "column.type_family": column.type_family,
        "column.tags": sorted(tags),
    }
