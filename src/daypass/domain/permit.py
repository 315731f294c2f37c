"""The proof that a session may be opened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from daypass.domain.ids import DatabaseId, GrantId, InstanceId, PrincipalId, SessionId
from daypass.domain.limits import SessionLimits
from daypass.domain.scope import Scope


@dataclass(frozen=True, slots=True)
class SessionPermit:
    """Made by `authorize_session` alone; opening a session takes one, with nothing left to look up.

    `account` is the name of the session's account on the target, `deadline` the grant's, in UTC by
    the store's clock.
    """

    session_id: SessionId
    grant_id: GrantId
    principal_id: PrincipalId
    instance_id: InstanceId
    database_id: DatabaseId
    database_name: str
    account: str
    scope: Scope
    deadline: datetime
    timed_by_gateway: bool
    limits: SessionLimits
