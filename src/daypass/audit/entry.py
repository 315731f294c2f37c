"""Entries of the audit log as canonical JSON (RFC 8785)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

from daypass.domain.ids import DatabaseId, GrantId, PrincipalId, RequestId, SessionId

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"
"""What an entry may hold. No floats: their canonical form is where implementations differ."""


class EntryKind(StrEnum):
    """What an entry records."""

    REQUEST_FILED = "request.filed"
    REQUEST_REDECIDED = "request.redecided"
    REQUEST_APPROVED = "request.approved"
    REQUEST_DENIED = "request.denied"
    REQUEST_WITHDRAWN = "request.withdrawn"
    REQUEST_EXPIRED = "request.expired"
    APPROVAL_GIVEN = "approval.given"
    ACCESS_DENIED = "access.denied"
    GRANT_MADE = "grant.made"
    GRANT_STARTED = "grant.started"
    GRANT_EXTENDED = "grant.extended"
    GRANT_SHORTENED = "grant.shortened"
    GRANT_ENDED = "grant.ended"
    GRANT_RECOMPILED = "grant.recompiled"
    BREAK_GLASS_REVIEWED = "break_glass.reviewed"
    CREDENTIAL_ISSUED = "credential.issued"
    PLAN_APPLIED = "plan.applied"
    PLAN_REMOVED = "plan.removed"
    SESSION_AUTHORIZED = "session.authorized"
    SESSION_OPENED = "session.opened"
    SESSION_CLOSED = "session.closed"
    SESSION_INTRUDED = "session.intruded"
    SESSION_KILLED = "session.killed"
    STATEMENT_STARTED = "statement.started"
    STATEMENT_ENDED = "statement.ended"
    STATEMENT_DENIED = "statement.denied"
    JOURNAL_OPENED = "journal.opened"
    JOURNAL_CLOSED = "journal.closed"
    RECEIPT_ISSUED = "receipt.issued"
    RECONCILED = "target.reconciled"
    POLICY_APPLIED = "policy.applied"
    POLICY_ROLLED_BACK = "policy.rolled_back"
    INSTANCE_ADDED = "instance.added"
    INSTANCE_CHANGED = "instance.changed"
    INSTANCE_REMOVED = "instance.removed"
    DATABASE_ADDED = "database.added"
    DATABASE_CHANGED = "database.changed"
    DATABASE_REMOVED = "database.removed"
    CATALOG_SYNCED = "catalog.synced"
    TAGS_CHANGED = "tags.changed"
    TAGS_SUGGESTED = "tags.suggested"
    SUGGESTION_DECIDED = "suggestion.decided"
    EXPOSURE_ACCEPTED = "exposure.accepted"
    EXPOSURE_ACCEPTANCE_ENDED = "exposure.acceptance_ended"
    PRINCIPAL_ADDED = "principal.added"
    PRINCIPAL_CHANGED = "principal.changed"
    PRINCIPAL_LEFT = "principal.left"
    GROUP_CHANGED = "group.changed"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105  # the name of an event
    LOGIN_STARTED = "login.started"
    LOGIN_FAILED = "login.failed"
    LOGIN_ENDED = "login.ended"
    TOKEN_ISSUED = "token.issued"  # noqa: S105  # the name of an event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105  # the name of an event
    DELEGATION_STARTED = "delegation.started"
    DELEGATION_ENDED = "delegation.ended"
    CONFIGURATION_CHANGED = "configuration.changed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One record to append; the store adds its number and its time.

    `content` holds what the kind needs besides; times in it are RFC 3339 texts in UTC.
    """

    kind: EntryKind
    actor_id: PrincipalId | None = None
    on_behalf_of: PrincipalId | None = None
    address: str = ""
    application: str = ""
    database_id: DatabaseId | None = None
    request_id: RequestId | None = None
    grant_id: GrantId | None = None
    session_id: SessionId | None = None
    rule: str | None = None
    content: Mapping[str, Json] = field(default_factory=dict)


def utc_text(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def canonical(entry: Entry, at: datetime) -> str:
    """Return the entry as canonical JSON.

    Raises `TypeError` for anything that is not `Json`, so that a `Secret` can never get in.
    """
    document: dict[str, Json] = {
        "version": 1,
        "kind": entry.kind.value,
        "at": utc_text(at),
        "actor": entry.actor_id,
        "on_behalf_of": entry.on_behalf_of,
        "address": entry.address,
        "application": entry.application,
        "database": entry.database_id,
        "request": entry.request_id,
        "grant": entry.grant_id,
        "session": entry.session_id,
        "rule": entry.rule,
        "content": entry.content,
    }
    _check(document, "entry")
    return canonical_json(document).decode()


def canonical_json(document: Mapping[str, Json]) -> bytes:
    """Return a document of what an entry may hold as canonical JSON (RFC 8785)."""
    text = json.dumps(_ordered(document), separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest(canonical_text: str) -> bytes:
    """Return the SHA-256 of an entry's canonical text."""
    return hashlib.sha256(canonical_text.encode()).digest()


def _ordered(value: Json) -> Json:
    """Put the members of every object in the order of their names' UTF-16 units (RFC 8785)."""
    match value:
        case dict():
            names = sorted(value, key=lambda name: name.encode("utf-16-be"))
            return {name: _ordered(value[name]) for name in names}
        case list() | tuple():
            return [_ordered(inner) for inner in value]
        case _:
            return value


def _check(value: object, place: str) -> None:
    match value:
        case None | bool() | str():
            return
        case int():
            if abs(value) >= 2**53:
                raise TypeError(f"{place} is an integer JSON readers would round; write it as text")
        case dict():
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise TypeError(f"{place} has a key that is not text")
                _check(inner, f"{place}.{key}")
        case list() | tuple():
            for number, inner in enumerate(value):
                _check(inner, f"{place}[{number}]")
        case _:
            raise TypeError(f"{place} holds a {type(value).__name__}, which no entry may hold")
