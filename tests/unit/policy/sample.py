"""The blueprint's own sample policy, as written there, and facts to ask it about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from daypass.domain.catalog import ColumnName, RelationName
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Principal, PrincipalKind
from daypass.domain.scope import AskedScope, LiteralValue
from daypass.domain.statement_class import StatementClass
from daypass.policy.facts import DatabaseFacts, RequestFacts

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

SAMPLE = r"""
defaults:
  unclassified: full                 # columns of a relation nobody has classified yet: full | clear; must be stated
access:                              # the first rule that matches decides; none: denied
  - name: developers explain anywhere without asking
    when: '"developers" in requester.groups && request.classes == ["explain"]'
    max_duration: 8h
    approve: automatic
    on_connect: true                 # gateway and console file it by themselves
  - name: on-call reads production by itself
    when: >-
      "oncall" in requester.groups && database.labels.env == "prod"
      && request.classes.all(c, c in ["explain", "select"]) && request.unmask == []
    max_duration: 2h
    require: {reason: true, ticket: '^INC-\d+$'}
    approve: automatic
  - name: anything else on production
    when: database.labels.env == "prod"
    max_duration: 4h
    approve:                         # steps, in order; distinct people; never the requester
      - {approvers: [group:dba, owners], count: 1}
      - {approvers: [group:security], count: 1, when: 'request.unmask != [] || "ddl" in request.classes'}
      # also: requester.manager, user:…, external:… (a signed webhook decides)
    pending_ttl: 24h
masking:                             # per column the first that matches
  - {name: emails, columns: 'column.tags.exists(t, t == "pii.email")', mask: email}
  - {name: the rest of PII, columns: 'column.tags.exists(t, t.startsWith("pii."))', mask: full,
     reveal: '"fraud" in requester.groups'}
row:                                 # all that match, ANDed
  - {name: own region, relation: 'relation.tags.exists(t, t == "regional")',
     filter: 'region = {requester.attributes.region}'}
"""  # noqa: E501 - the blueprint's text, verbatim

READ = frozenset({StatementClass.EXPLAIN, StatementClass.SELECT})


def person(
    name: str = "alice",
    *groups: str,
    number: int | None = None,
    manager: str | None = None,
    attributes: Mapping[str, LiteralValue] | None = None,
    active: bool = True,
) -> Principal:
    """Make a person; the id follows from the name unless given."""
    identity = number if number is not None else int.from_bytes(name.encode()[:6], "big")
    return Principal(
        PrincipalId(identity),
        PrincipalKind.PERSON,
        name.title(),
        f"{name}@example.com",
        groups=frozenset(groups),
        manager=manager,
        attributes=attributes or {},
        active=active,
    )


def database(
    labels: Mapping[str, str] | None = None, owners: frozenset[str] = frozenset({"shop-team"})
) -> DatabaseFacts:
    """Make a database `prod/shop`."""
    return DatabaseFacts(
        "shop", "prod", "any", {"env": "prod"} if labels is None else labels, owners
    )


def ask(
    *groups: str,
    classes: frozenset[StatementClass] = READ,
    unmask: tuple[str, ...] = (),
    duration: timedelta = timedelta(hours=1),
    reason: str = "",
    ticket: str = "",
    on: DatabaseFacts | None = None,
    asked: AskedScope | None = None,
    profile: str = "",
    break_glass: bool = False,
    direct_credentials: bool = False,
    starts_at: datetime | None = None,
    requester: Principal | None = None,
) -> RequestFacts:
    """Make a request by a person of these groups."""
    return RequestFacts(
        requester or person("alice", *groups),
        on or database(),
        asked or AskedScope(classes, unmask=unmask),
        duration,
        (RelationName("sales", "orders"),),
        tuple(ColumnName(RelationName(*c.split(".")[:2]), c.split(".")[2]) for c in unmask),
        reason,
        ticket,
        profile,
        break_glass,
        direct_credentials,
        starts_at,
    )
