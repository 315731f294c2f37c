"""The sessions this process keeps."""

from __future__ import annotations

from daypass.domain.ids import SessionId
from daypass.gateway.keys import number_of
from daypass.gateway.session import GatewaySession


class LiveSessions:
    """Sessions by their number, by their grant's, and by their key's."""

    def __init__(self) -> None:
        self._by_id: dict[SessionId, GatewaySession] = {}
        self._by_grant: dict[int, set[SessionId]] = {}
        self._by_key: dict[int, SessionId] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, session: GatewaySession) -> None:
        """Keep a session."""
        self._by_id[session.id] = session
        self._by_grant.setdefault(session.grant_id, set()).add(session.id)
        self._by_key[number_of(session.id)] = session.id

    def drop(self, session: GatewaySession) -> None:
        """Keep it no longer."""
        if self._by_id.pop(session.id, None) is None:
            return
        siblings = self._by_grant[session.grant_id]
        siblings.discard(session.id)
        if not siblings:
            del self._by_grant[session.grant_id]
        if self._by_key.get(number_of(session.id)) == session.id:
            del self._by_key[number_of(session.id)]

    def find(self, session_id: SessionId) -> GatewaySession | None:
        """Return a session by its number, if it is kept here."""
        return self._by_id.get(session_id)

    def by_key(self, number: int) -> GatewaySession | None:
        """Return a session by the number in its key, if it is kept here."""
        session_id = self._by_key.get(number)
        return None if session_id is None else self._by_id.get(session_id)

    def of_grant(self, grant_id: int) -> frozenset[SessionId]:
        """Return the sessions under a grant."""
        return frozenset(self._by_grant.get(grant_id, ()))

    def ids(self) -> list[SessionId]:
        """Return the numbers of all."""
        return list(self._by_id)

    def all(self) -> list[GatewaySession]:
        """Return all, as they are at this moment."""
        return list(self._by_id.values())
