"""What principals are made of: its form, and who is told when it changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from daypass.audit.entry import Json
from daypass.domain.errors import Conflict, Invalid
from daypass.domain.ids import PrincipalId
from daypass.domain.scope import LiteralValue
from daypass.domain.states import GrantState
from daypass.store import grants, principals
from daypass.store.database import Tx
from daypass.store.jobs import Task, enqueue

_EMAIL: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_ATTRIBUTE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MAX_EMAIL = 254
_MAX_NAME = 200
_MAX_ATTRIBUTES = 50
_MAX_TEXT = 1000
_MAX_LIST = 100
_MAX_INTEGER = 2**63


def check_email(email: str) -> str:
    """Return an e-mail address as it is kept. Raises `Invalid`."""
    email = email.strip().lower()
    if len(email) > _MAX_EMAIL or not _EMAIL.fullmatch(email):
        raise _invalid("email", "this is no e-mail address")
    return email


def check_name(name: str) -> str:
    """Return a person's name as it is kept. Raises `Invalid`."""
    name = " ".join(name.split())
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise _invalid("name", f"write 1 to {_MAX_NAME} characters")
    return name


def check_attributes(attributes: Mapping[str, object]) -> dict[str, LiteralValue]:
    """Return attributes as they are kept: names of identifiers, scalars and lists of scalars."""
    if len(attributes) > _MAX_ATTRIBUTES:
        raise _invalid("attributes", f"at most {_MAX_ATTRIBUTES} attributes")
    checked: dict[str, LiteralValue] = {}
    for name, value in attributes.items():
        if not _ATTRIBUTE_NAME.fullmatch(name):
            raise _invalid(f"attributes.{name}", "names are lower case letters, digits and _")
        checked[name] = _check_value(f"attributes.{name}", value, nested=True)
    return checked


async def find_person(tx: Tx, place: str, email: str) -> PrincipalId:
    """Return the active person of an e-mail address. Raises `Invalid` naming the place."""
    found = await principals.find_principal(tx, email)
    if found is None or not found.active or found.owner is not None:
        raise _invalid(place, f"nobody here has the address {email}")
    return found.id


async def principal_facts_changed(tx: Tx, principal_id: PrincipalId) -> None:
    """Have the principal's live grants compiled again: masks and rows rest on who they are.

    Call it after the change and in its transaction.
    """
    live = await grants.list_grants(
        tx,
        principal_id=principal_id,
        states=(GrantState.SCHEDULED, GrantState.ACTIVE),
        limit=100_000,
    )
    for database_id in sorted({grant.database_id for grant in live}):
        await enqueue(
            tx,
            Task.RECOMPILE_GRANTS,
            lock=f"recompile:{database_id}",
            database_id=int(database_id),
        )


def check_revision(stored: principals.StoredPrincipal, expected: int | None) -> None:
    """Raise `Conflict` when somebody changed the principal since the caller looked."""
    if expected is not None and stored.revision != expected:
        raise Conflict(
            f"{stored.email} was changed by somebody else meanwhile",
            next_step="look at it again, then change it",
            code="revision_changed",
        )


def as_json(value: LiteralValue) -> Json:
    """Write an attribute as an entry may hold it."""
    match value:
        case tuple():
            return [as_json(each) for each in value]
        case bool() | None | str():
            return value
        case int() if abs(value) < 2**53:
            return value
        case _:
            return str(value)


def _check_value(place: str, value: object, *, nested: bool) -> LiteralValue:
    match value:
        case str() if len(value) <= _MAX_TEXT and "\0" not in value:
            return value
        case bool() | None:
            return value
        case int() if -_MAX_INTEGER <= value < _MAX_INTEGER:
            return value
        case float() if value - value == 0:
            return value
        case list() | tuple() if nested and len(value) <= _MAX_LIST:
            return tuple(_check_value(place, each, nested=False) for each in value)
        case _:
            raise _invalid(
                place, "values are texts, numbers, true, false, null, or short lists of those"
            )


def _invalid(place: str, problem: str) -> Invalid:
    return Invalid(f"{place}: {problem}", problems=((place, problem),), code="invalid_principal")
