"""Draft the policy that would replace standing logins: a text for people to go on from."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from daypass.domain.catalog import Catalog, NativeRole, Relation, RelationName
from daypass.engines.contract import StandingLogin
from daypass.policy.globs import exact_glob

Yaml: TypeAlias = "str | int | bool | list[Yaml] | dict[str, Yaml]"

_READ = ("explain", "select")
_WRITE = (*_READ, "insert", "update", "delete")
_LONGEST_SLUG = 50
_NAMED_LOGINS = 5


@dataclass(frozen=True, slots=True)
class _Need:
    """What one holder, a role or a login by itself, lets do on one database."""

    database: str
    holder: str
    classes: tuple[str, ...]
    relations: tuple[str, ...]


def draft_policy(
    instance: str, logins: Sequence[StandingLogin], catalogs: Mapping[str, Catalog]
) -> str:
    """Return a policy file with a profile and rules for each role that the logins hold.

    It names groups after those roles. People ask and an owner approves; programs get what they had
    by themselves; both see it masked, and columns nobody has classified are hidden.
    """
    users: dict[_Need, list[StandingLogin]] = defaultdict(list)
    for login in sorted(logins, key=lambda each: each.name):
        for database, catalog in catalogs.items():
            for need in _needs(database, catalog, login.name):
                users[need].append(login)
    taken: set[str] = set()
    profiles: list[Yaml] = []
    rules: list[Yaml] = []
    for need in sorted(users, key=lambda n: (n.database, n.holder, n.classes)):
        group = _slug(need.holder)
        does = "writes" if need.classes == _WRITE else "reads"
        name = _unique(f"{_slug(need.database)}-{group}-{does}", taken)
        who = [_line(login.name) for login in users[need]]
        profiles.append(
            {
                "name": name,
                "description": f"What {_line(need.holder)} {does}; stood for {_listed(who)}",
                "classes": list(need.classes),
                "relations": list(need.relations),
                "duration": "1h",
            }
        )
        kinds = sorted({_requester_kind(login) for login in users[need]})
        rules += (_rule(instance, need.database, group, name, kind) for kind in kinds)
    document: dict[str, Yaml] = {"defaults": {"unclassified": "full"}}
    if profiles:
        document |= {"profiles": profiles, "access": rules}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=98)
    drafted = {login.name for found in users.values() for login in found}
    return _header(instance, logins, drafted) + text


def _needs(database: str, catalog: Catalog, login: str) -> Iterable[_Need]:
    for holder in sorted(_held(catalog.roles, login)):
        owned = [r for r in catalog.relations if r.owner == holder]
        read = [r for r in catalog.relations if holder in r.readers and r.owner != holder]
        if owned:
            yield _Need(database, holder, _WRITE, _globs(catalog, owned))
        if read:
            yield _Need(database, holder, _READ, _globs(catalog, read))


def _held(roles: Sequence[NativeRole], login: str) -> frozenset[str]:
    """Return the login and every role it holds, through others too."""
    held = frozenset({login})
    while True:
        more = held | {role.name for role in roles if not held.isdisjoint(role.members)}
        if more == held:
            return held
        held = more


def _globs(catalog: Catalog, relations: Sequence[Relation]) -> tuple[str, ...]:
    """Name relations, or a schema as a whole where they are all of it."""
    chosen: dict[str, set[RelationName]] = defaultdict(set)
    for relation in relations:
        chosen[relation.name.schema].add(relation.name)
    globs: list[str] = []
    for schema, names in sorted(chosen.items()):
        if names == {r.name for r in catalog.relations if r.name.schema == schema}:
            globs.append(exact_glob((schema,)) + ".*")
        else:
            globs += (exact_glob((name.schema, name.name)) for name in sorted(names))
    return tuple(globs)


def _requester_kind(login: StandingLogin) -> str:
    return "service_account" if login.kind == "program" else "person"


def _rule(instance: str, database: str, group: str, profile: str, kind: str) -> dict[str, Yaml]:
    when = " && ".join(
        (
            f"{_literal(group)} in requester.groups",
            f"requester.kind == {_literal(kind)}",
            f"database.instance == {_literal(instance)}",
            f"database.name == {_literal(database)}",
            f"request.profile == {_literal(profile)}",
            "request.unmask == []",
            'request.native_role == ""',
            "!request.direct_credentials",
        )
    )
    rule: dict[str, Yaml] = {
        "name": f"{'people' if kind == 'person' else 'programs'} with {profile} on {instance}",
        "when": when,
        "max_duration": "4h" if kind == "person" else "1h",
    }
    if kind == "person":
        rule["require"] = {"reason": True}
        rule["approve"] = [{"approvers": ["owners"], "count": 1}]
    else:
        rule["approve"] = "automatic"
    return rule


def _header(instance: str, logins: Sequence[StandingLogin], drafted: set[str]) -> str:
    lines = [
        f"# Drafted from what stands open on {instance}. Before it is applied: put people and",
        "# service accounts into the groups it names, classify columns, and read every rule.",
    ]
    left = sorted(_line(login.name) for login in logins if login.name not in drafted)
    lines += (
        f"# No rule was drafted for {name}: nothing it reads or owns was found." for name in left
    )
    return "\n".join(lines) + "\n\n"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or "?"


def _slug(name: str) -> str:
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("._-")
    return slug[:_LONGEST_SLUG] or "unnamed"


def _unique(name: str, taken: set[str]) -> str:
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name}-{number}"
    taken.add(chosen)
    return chosen


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_LOGINS
    return ", ".join(names[:_NAMED_LOGINS]) + (f" and {more} more" if more > 0 else "")
