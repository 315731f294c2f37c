"""Ask for access from within a connection: what a client wishes, filed once and waited for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from daypass.domain.decision import Decision, Outcome
from daypass.domain.duration import parse_duration
from daypass.domain.errors import Denied, Error, Invalid
from daypass.domain.ids import GrantId, RequestId
from daypass.domain.principal import Actor, Capability
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.domain.states import RequestState
from daypass.operations.authorize_session import no_grant
from daypass.operations.consider import Ask
from daypass.operations.context import Context
from daypass.operations.explain_decision import explain_decision
from daypass.operations.request_access import request_access
from daypass.store import requests

_KNOWN: Final = frozenset(
    {"grant", "reason", "ticket", "wait", "for", "profile", "classes", "relations", "unmask"}
)
_TICKET: Final = re.compile(r"\S{1,100}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_LOOK: Final = frozenset({StatementClass.EXPLAIN, StatementClass.SELECT})
_WRITE: Final = frozenset({StatementClass.INSERT, StatementClass.UPDATE, StatementClass.DELETE})
_BY_ITSELF: Final = (
    _LOOK | _WRITE,
    _LOOK,
    frozenset({StatementClass.SELECT}),
    frozenset({StatementClass.EXPLAIN}),
)
"""What is tried where a rule files requests by itself, the most first."""
BY_ITSELF_REASON: Final = "connected"
_SCOPE: Final = ("profile", "classes", "relations", "unmask")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client wants besides a connection: a grant by number, or a request to be filed.

    `wait` is how long it is held for the decision; `ask` is None where it gave no reason. `given`
    are the names of its options.
    """

    grant_id: GrantId | None
    wait: timedelta
    ask: Ask | None
    given: frozenset[str] = frozenset()

    @property
    def scope(self) -> frozenset[str]:
        """Return the options that say what the grant has to have."""
        return self.given & frozenset(_SCOPE)


def read_wishes(database: str, asked: Mapping[str, str], *, longest_wait: timedelta) -> Wishes:
    """Read the options of a client. Raises `Invalid` with what is wrong with which."""
    unknown = sorted(set(asked) - _KNOWN)
    if unknown:
        raise _wrong(unknown[0], "there is no such option")
    grant_id = None
    if "grant" in asked:
        if not _NUMBER.fullmatch(asked["grant"]):
            raise _wrong("grant", "not the number of a grant")
        for name in _SCOPE:
            if name in asked:
                raise _wrong(name, "goes with a request, and daypass.grant names a grant")
        grant_id = GrantId(int(asked["grant"]))
    wait = _duration(asked, "wait") or timedelta()
    ask = _ask(database, asked)
    return Wishes(grant_id, min(wait, longest_wait), ask, frozenset(asked))


def _ask(database: str, asked: Mapping[str, str]) -> Ask | None:
    reason = asked.get("reason", "").strip()
    if not reason:
        for name in sorted(set(asked) - {"grant", "wait"}):
            raise _wrong(name, "goes with daypass.reason")
        return None
    profile = asked.get("profile", "")
    classes: frozenset[StatementClass]
    try:
        classes = frozenset(StatementClass(each) for each in _list(asked, "classes"))
    except ValueError as error:
        known = ", ".join(each.value for each in StatementClass)
        raise _wrong("classes", f"classes are {known}, with commas") from error
    if not classes and not profile:
        classes = _LOOK
    return Ask(
        database=database,
        asked=AskedScope(
            classes, _list(asked, "relations") or ("*.*",), unmask=_list(asked, "unmask")
        ),
        profile=profile,
        duration=_duration(asked, "for"),
        reason=reason,
        # One word is a ticket as well as a reason: rules may ask for either.
        ticket=asked.get("ticket") or (reason if _TICKET.fullmatch(reason) else ""),
    )


async def file_on_connect(
    ctx: Context, actor: Actor, database: str, ask: Ask | None
) -> tuple[RequestId, GrantId | None, Decision | None]:
    """File what a client asks for, or what a rule lets file by itself; one that waits is found.

    Returns the request, and its grant if there is one already. Raises what `request_access` raises,
    and the one answer of whoever has no grant where nothing was asked.
    """
    if ask is None:
        ask = await _by_itself(ctx, actor, database)
    else:
        waiting = await _waiting(ctx, actor, ask)
        if waiting is not None:
            return waiting, None, None
    filed = await request_access(ctx, actor, ask)
    return filed.request_id, filed.grant_id, filed.decision


async def decision_of(
    ctx: Context, actor: Actor, request_id: RequestId
) -> tuple[RequestState, GrantId | None, str]:
    """Return what became of one's own request: its state, its grant, and what was said of it."""
    async with ctx.store.connection() as connection:
        found = await requests.get_request(connection, request_id)
    if found is None or found.requester_id != actor.id:
        raise RuntimeError("a request of somebody's own is not there")
    said = f"{found.decided_by}: {found.decided_reason}" if found.decided_by else ""
    return RequestState(found.state), found.grant_id, said or found.decided_reason


async def _waiting(ctx: Context, actor: Actor, ask: Ask) -> RequestId | None:
    """Return a request that was filed with the same reason for the same database and waits."""
    async with ctx.store.connection() as connection:
        found = await requests.list_requests(
            connection, requester_id=actor.id, state=RequestState.PENDING, limit=100
        )
    for each in found:
        same = (each.database, each.reason, each.ticket) == (ask.database, ask.reason, ask.ticket)
        alike = each.profile == ask.profile and (
            bool(ask.profile)
            or (each.asked.classes, each.asked.relations)
            == (ask.asked.classes, ask.asked.relations)
        )
        if same and alike and each.extends_grant_id is None:
            return each.id
    return None


async def _by_itself(ctx: Context, actor: Actor, database: str) -> Ask:
    """Return what a rule with `on_connect` allows this person here, the most there is."""
    if actor.may(Capability.REQUEST) and actor.may(Capability.READ):
        for classes in _BY_ITSELF:
            ask = Ask(database=database, asked=AskedScope(classes), reason=BY_ITSELF_REASON)
            try:
                found = (await explain_decision(ctx, actor, ask)).considered
            except Denied:
                # Not known to this person, whatever is asked.
                break
            except Error:
                continue
            rule = found.policy.policy.access_rule(found.decision.rule)
            if found.decision.outcome is Outcome.ALLOWED and rule is not None and rule.on_connect:
                return ask
    raise no_grant(database)


def _list(asked: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in asked.get(name, "").split(",") if each.strip())


def _duration(asked: Mapping[str, str], name: str) -> timedelta | None:
    if name not in asked:
        return None
    try:
        return parse_duration(asked[name])
    except Invalid as error:
        raise _wrong(name, error.message) from error


def _wrong(name: str, problem: str) -> Invalid:
    return Invalid(
        f"daypass.{name}: {problem}",
        problems=((f"daypass.{name}", problem),),
        next_step="options go like this: options='-c daypass.reason=INC-42 -c daypass.wait=10m'; "
        f"there are {', '.join(sorted(_KNOWN))}",
        code="invalid_option",
    )
