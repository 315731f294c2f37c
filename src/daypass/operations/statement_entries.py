"""What entries say of statements, whoever runs them: a query over the API, or the gateway."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daypass.audit.entry import Entry, EntryKind, Json
from daypass.domain.ids import DatabaseId, GrantId, SessionId
from daypass.domain.limits import Parameters
from daypass.domain.permit import SessionPermit
from daypass.domain.principal import Actor
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import StatementFacts

NOT_KEPT = "(not kept: it may set a password)"
PARAMETER_HASHES = "hashes of parameters"
"""What their key is derived for."""
_MOST = 2**20
"""So many characters of a text, and of all parameters together, are kept."""
_HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class Recording:
    """How bind parameters are recorded; `key` makes their hashes."""

    parameters: Parameters
    key: bytes

    def __repr__(self) -> str:
        return f"Recording({self.parameters})"


def statement_reference(session_id: SessionId, number: int) -> str:
    """Return what names a statement in every entry about it: the how-manyth of its session."""
    return f"{session_id}.{number}"


def statement_facts(statements: Sequence[StatementFacts]) -> dict[str, Json]:
    """Return what is known of a text's statements, without the text."""
    return {
        "classes": sorted({c.value for s in statements for c in s.classes}),
        "read": sorted({str(name) for s in statements for name in s.read}),
        "written": sorted({str(name) for s in statements for name in s.written}),
        "functions": sorted({name for s in statements for name in s.functions}),
        "fingerprints": [s.fingerprint for s in statements],
    }


def statement_text(
    text: str,
    parameters: Sequence[str | None],
    statements: Sequence[StatementFacts],
    recording: Recording,
) -> dict[str, Json]:
    """Return a text and its parameters as they may be kept.

    Texts beyond 2²⁰ characters are cut, and then told by their keyed hash; NUL and half surrogate
    pairs, which no store holds, are replaced.
    """
    if may_set_password(text, statements):
        return {"text": NOT_KEPT, "parameters": [], "length": len(text)}
    content: dict[str, Json] = {
        "text": storable(text[:_MOST]),
        "parameters": kept_parameters(parameters, recording.parameters, recording.key),
        "length": len(text),
    }
    if len(text) > _MOST:
        content["hash"] = _hash(text, recording.key)
    return content


def started_entry(
    permit: SessionPermit, actor: Actor, rule: str | None, content: Mapping[str, Json]
) -> Entry:
    """Return the entry of a statement about to be sent."""
    return Entry(
        EntryKind.STATEMENT_STARTED,
        actor_id=actor.id,
        address=actor.address,
        application=actor.application,
        database_id=permit.database_id,
        grant_id=permit.grant_id,
        session_id=permit.session_id,
        rule=rule,
        content=content,
    )


def ended_entry(permit: SessionPermit, content: Mapping[str, Json]) -> Entry:
    """Return the entry of a statement's end."""
    return Entry(
        EntryKind.STATEMENT_ENDED,
        actor_id=permit.principal_id,
        database_id=permit.database_id,
        grant_id=permit.grant_id,
        session_id=permit.session_id,
        content=content,
    )


def denied_entry(
    actor: Actor,
    content: Mapping[str, Json],
    *,
    database_id: DatabaseId | None = None,
    grant_id: GrantId | None = None,
    session_id: SessionId | None = None,
    rule: str | None = None,
) -> Entry:
    """Return the entry of a statement that was not sent."""
    return Entry(
        EntryKind.STATEMENT_DENIED,
        actor_id=actor.id,
        address=actor.address,
        application=actor.application,
        database_id=database_id,
        grant_id=grant_id,
        session_id=session_id,
        rule=rule,
        content=content,
    )


def may_set_password(text: str, statements: Sequence[StatementFacts]) -> bool:
    """Say whether a text may carry a password of an account.

    Those are denied, and the log must not be where one is kept. The word alone is no reason: else a
    comment would keep a query off the record.
    """
    if "password" not in text.lower():
        return False
    return not statements or any(
        each.unsafe or each.classes & {StatementClass.ADMIN, StatementClass.CALL}
        for each in statements
    )


def storable(text: str) -> str:
    """Return a text without what PostgreSQL cannot store."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text


def kept_parameters(values: Sequence[str | None], keep: Parameters, key: bytes) -> list[str | None]:
    """Return parameters as they may be kept; beyond 2²⁰ characters in all, as their hashes."""
    match keep:
        case Parameters.NONE:
            return []
        case Parameters.HASH:
            return [None if each is None else _hash(each, key) for each in values]
        case Parameters.FULL:
            if None not in values:
                # Mostly they are few, short and plain.
                whole = "".join(values)  # type: ignore[arg-type]
                if len(whole) <= _MOST and whole.isascii() and "\0" not in whole:
                    return list(values)
            kept: list[str | None] = []
            left = _MOST
            for each in values:
                if each is not None and len(each) > left:
                    # All of it would let one statement fill the disk.
                    kept.append(_hash(each, key))
                else:
                    left -= len(each or "")
                    kept.append(None if each is None else storable(each))
            return kept


def _hash(value: str, key: bytes) -> str:
    digest = hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256")
    return f"hmac-sha256:{digest[:_HASH_BYTES].hex()}"
