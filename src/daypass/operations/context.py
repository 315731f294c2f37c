"""What every operation is given: the store, the engines, the secrets, the targets."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Denied
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.engines.contract import Engine
from daypass.operations.log_parts import PublishedLog
from daypass.operations.secrets import SecretStore
from daypass.operations.targets import Targets
from daypass.store.database import Store


@dataclass(frozen=True, slots=True)
class Context:
    """The running Daypass, as operations see it. `process_id` names this process in the store.

    `channels` are those by which people and programs are told: `smtp`, `webhook`. `log` is where
    the audit log is published, in processes that serve it.
    """

    store: Store
    engines: Mapping[str, Engine]
    secrets: SecretStore
    targets: Targets
    process_id: uuid.UUID = field(default_factory=uuid.uuid4)
    public_url: str = ""
    channels: tuple[str, ...] = ()
    log: PublishedLog | None = None


def require_capability(actor: Actor, capability: Capability) -> None:
    """Raise `Denied` unless the actor's login or token may be used for it."""
    if not actor.may(capability):
        raise Denied(
            Decision(
                Outcome.DENIED,
                (
                    Reason(
                        "token_capability",
                        f"this access token may not be used to {capability.value}",
                    ),
                ),
                next_step=f"use a login, or an access token with the capability {capability.value}",
            ),
            code="token_capability",
        )


def require_role(actor: Actor, *roles: DaypassRole) -> None:
    """Raise `Denied` unless the actor holds one of the Daypass roles."""
    if not actor.has_role(*roles):
        names = " or ".join(role.value for role in roles)
        raise Denied(
            Decision(
                Outcome.DENIED,
                (Reason("daypass_role", f"only {names} may do this"),),
                next_step=f"ask somebody with the Daypass role {names}",
            ),
            code="daypass_role",
        )
