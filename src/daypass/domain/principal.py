"""Who acts: people and service accounts, their rights in Daypass and their access tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from daypass.domain.ids import PrincipalId
from daypass.domain.scope import LiteralValue


class PrincipalKind(StrEnum):
    """People sign in; service accounts hold access tokens only."""

    PERSON = "person"
    SERVICE_ACCOUNT = "service_account"


class DaypassRole(StrEnum):
    """Rights in Daypass itself; database owners are named per database besides."""

    ADMIN = "admin"
    POLICY_EDITOR = "policy_editor"
    DATABASE_OWNER = "database_owner"
    AUDITOR = "auditor"
    MEMBER = "member"


class Capability(StrEnum):
    """What an access token may be used for; a login has all of them."""

    READ = "read"
    """Look at what its principal may see."""
    REQUEST = "request"
    """File, withdraw, extend and release requests and grants of its principal."""
    CONNECT = "connect"
    """Open sessions on targets."""
    APPROVE = "approve"
    """Approve and deny in its principal's name."""
    MANAGE = "manage"
    """Use its principal's Daypass roles."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or service account with what policy may ask about it.

    `manager` is an e-mail address; `owner` the person answering for a service account.
    """

    id: PrincipalId
    kind: PrincipalKind
    name: str
    email: str
    groups: frozenset[str] = frozenset()
    roles: frozenset[DaypassRole] = frozenset()
    attributes: Mapping[str, LiteralValue] = field(default_factory=dict)
    manager: str | None = None
    owner: PrincipalId | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is acting now and by what means; operations take one and trust nothing else."""

    principal: Principal
    capabilities: frozenset[Capability]
    address: str = ""
    application: str = ""
    token_id: int | None = None

    @property
    def id(self) -> PrincipalId:
        """Return the principal's id."""
        return self.principal.id

    def may(self, capability: Capability) -> bool:
        """Say whether this login or token may be used for it."""
        return capability in self.capabilities

    def has_role(self, *roles: DaypassRole) -> bool:
        """Say whether the principal holds any of the roles and the token may use them."""
        return Capability.MANAGE in self.capabilities and not self.principal.roles.isdisjoint(roles)
