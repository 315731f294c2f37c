"""What every route declares: who may call it, what it is for, what it records and must hide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from daypass.audit.entry import EntryKind
from daypass.domain.principal import Capability, DaypassRole

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Callers:
    """Who may call a route.

    The shell itself checks only whether somebody is known to be calling and the capability; roles
    and ownership are checked by the operation, and tests hold this declaration against it.
    """

    text: str
    public: bool = False
    roles: frozenset[DaypassRole] = frozenset()
    """Without one of them an operation answers `daypass_role`; empty when it also depends on whose
    the thing is."""


PUBLIC = Callers("anybody", public=True)
ANY_PRINCIPAL = Callers("any principal")


def concerned(text: str) -> Callers:
    """Return principals told apart by whose the thing is, in words."""
    return Callers(text)


def holders(*roles: DaypassRole) -> Callers:
    """Return principals with one of the Daypass roles."""
    return Callers(" or ".join(role.value for role in roles), roles=frozenset(roles))


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What a route declares.

    `secret_fields` are fields of the answer (dotted, `[]` for each of a list) shown this once and
    kept nowhere. An `Idempotency-Key` makes a repeated POST act once; `keeps_answer` is false where
    the answer holds what the store must not, so that a repetition is told only that it acted.
    """

    callers: Callers
    capability: Capability | None = None
    entries: tuple[EntryKind, ...] = ()
    secret_fields: tuple[str, ...] = ()
    keeps_answer: bool = True
    timeout_s: float = 30.0
    in_schema: bool = True


@dataclass(frozen=True, slots=True)
class Declared:
    """A route as declared, ready to be added to the app."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    facts: RouteFacts
    tag: str
    status: int
    response_class: Any = None

    @property
    def once(self) -> bool:
        """Say whether an `Idempotency-Key` counts: the call does something, in somebody's name."""
        return self.method == "POST" and bool(self.facts.entries) and not self.facts.callers.public

    @property
    def operation_id(self) -> str:
        """Return the stable name the route has in OpenAPI."""
        return self.endpoint.__name__


@dataclass(frozen=True, slots=True)
class Routes:
    """Routes of one aggregate, collected by decorators; nothing is served before `create_app`."""

    tag: str
    prefix: str = "/api/v1"
    declared: list[Declared] = field(default_factory=list)

    def get(self, path: str, facts: RouteFacts, **more: Any) -> Callable[[_Endpoint], _Endpoint]:
        """Declare a route that changes nothing."""
        return self._add("GET", path, facts, **more)

    def post(self, path: str, facts: RouteFacts, **more: Any) -> Callable[[_Endpoint], _Endpoint]:
        """Declare a route that makes or does something; a `status` of its own may be given."""
        return self._add("POST", path, facts, **more)

    def put(self, path: str, facts: RouteFacts, **more: Any) -> Callable[[_Endpoint], _Endpoint]:
        """Declare a route that sets something, the same however often it is called."""
        return self._add("PUT", path, facts, **more)

    def patch(self, path: str, facts: RouteFacts, **more: Any) -> Callable[[_Endpoint], _Endpoint]:
        """Declare a route that changes fields of something."""
        return self._add("PATCH", path, facts, **more)

    def delete(self, path: str, facts: RouteFacts, **more: Any) -> Callable[[_Endpoint], _Endpoint]:
        """Declare a route that ends something, and succeeds when it has ended already."""
        return self._add("DELETE", path, facts, **more)

    def _add(
        self,
        method: str,
        path: str,
        facts: RouteFacts,
        *,
        status: int = 200,
        response_class: Any = None,
    ) -> Callable[[_Endpoint], _Endpoint]:
        def declare(endpoint: _Endpoint) -> _Endpoint:
            self.declared.append(
                Declared(
                    method, self.prefix + path, endpoint, facts, self.tag, status, response_class
                )
            )
            return endpoint

        return declare
