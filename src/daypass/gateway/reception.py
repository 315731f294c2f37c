"""Receive a client: greet it, see who it is, find its grant, dial, and let it in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, assert_never

import psycopg
import structlog

from daypass.domain.decision import Outcome
from daypass.domain.errors import Conflict, Denied, Error, Unavailable
from daypass.domain.ids import GrantId, RequestId
from daypass.domain.permit import SessionPermit
from daypass.domain.principal import Actor
from daypass.domain.states import RequestState
from daypass.engines.relay_contract import (
    CancelAsked,
    Gone,
    GreetingEvent,
    Hello,
    Identified,
    Proven,
    ScramVerifier,
    StartTls,
    Unproven,
)
from daypass.gateway.client_port import ClientPort
from daypass.gateway.keys import cancel_key
from daypass.gateway.limits import DIAL_S, HANDSHAKE_S, relay_limits
from daypass.gateway.session import GatewaySession
from daypass.gateway.throttle import network_of
from daypass.gateway.wording import greeting_notices, not_needed, shutting_down
from daypass.operations.ask_on_connect import (
    Wishes,
    decision_of,
    file_on_connect,
    read_wishes,
)
from daypass.operations.authenticate_by_scram import (
    ScramOffer,
    authenticate_by_scram,
    not_let_in,
    offer_scram,
    record_failed_proof,
)
from daypass.operations.authorize_session import (
    Candidate,
    authorize_session,
    find_candidates,
    no_grant,
)
from daypass.operations.choose_for_session import choose_for_session
from daypass.operations.open_line import open_line

if TYPE_CHECKING:
    from daypass.gateway.gateway import Gateway

_log = structlog.get_logger(__name__)

_LOOK_EVERY_S: Final = 1.0
_MOST_APPLICATION: Final = 200
_MOST_OTHERS: Final = 5
_QUICK_S: Final = 1.0
"""Who needs no longer than this to prove who it is gives way to nobody."""


class Reception:
    """One client that has not been let in yet."""

    def __init__(self, gateway: Gateway, port: ClientPort, address: str) -> None:
        self._gateway = gateway
        self._port = port
        self._address = address
        self._greeting = gateway.engine.greeting(tls=gateway.options.tls)
        self._task: asyncio.Task[None] | None = None
        self._offer: ScramOffer | None = None
        self._hello: Hello | None = None
        self._direct_tls = False
        self._greeted = False
        self._came = time.monotonic()
        self._over = False
        self._holds: int | None = None
        """The principal of whose connections this is one."""
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_S, self._too_slow)

    # What the port calls

    def receive(self, data: bytes) -> None:
        """Take bytes of the client."""
        for event in self._greeting.receive(data):
            self._say()
            self._take(event, data)
        self._say()

    def tls_started(self, alpn: str | None) -> None:
        """Go on over TLS."""
        tls = self._gateway.tls
        if tls is None or (self._direct_tls and alpn != self._gateway.engine.alpn):
            # Who begins with TLS at once has to say for what: else another protocol's client could
            # be led here.
            self._leave("TLS without its protocol's name")
            return
        self._greeting.tls_started(tls.der)

    def gone(self, reason: str) -> None:
        """Note that the client has left before it was let in."""
        self._finish(reason)

    def pause(self) -> None:
        """Nothing is brought yet."""

    def resume(self) -> None:
        """Nothing is brought yet."""

    def stop(self) -> None:
        """Turn the client away: the gateway stops."""
        self._refuse(shutting_down())

    def gives_way(self, place: str) -> bool:
        """Turn the client away if it is of a place and takes its time; say whether so."""
        slow = time.monotonic() - self._came > _QUICK_S
        if self._greeted or self._over or not slow or network_of(self._address) != place:
            return False
        self._port.abort()
        self._finish("it gave way to another")
        return True

    # Steps

    def _take(self, event: GreetingEvent, data: bytes) -> None:
        match event:
            case StartTls(direct):
                self._direct_tls = direct
                if self._gateway.tls is None:
                    self._leave("there is no TLS")
                    return
                self._port.start_tls(self._gateway.tls.context, data if direct else b"")
            case Identified(hello):
                self._hello = hello
                self._begin(lambda: self._challenge(hello), "challenge")
            case Proven(verifier):
                self._begin(lambda: self._let_in(verifier), "let-in")
            case Unproven():
                self._begin(self._turn_away, "turn-away")
            case CancelAsked(key):
                # It goes on though the client leaves: many do not wait for the end.
                self._gateway.group.create_task(
                    self._guarded(lambda: self._cancel(key)), name=f"cancel-{self._address}"
                )
            case Gone(reason):
                self._leave(reason)
            case _:
                assert_never(event)

    async def _challenge(self, hello: Hello) -> None:
        wait_s = self._gateway.throttle.wait_s(hello.user, self._address, time.monotonic())
        if wait_s > 0:
            self._refuse(
                Conflict(
                    "there were too many failed tries to sign in",
                    next_step=f"try again in {int(wait_s) + 1} seconds",
                    code="too_many_tries",
                )
            )
            return
        self._gateway.watch.require_contact()
        self._offer = await offer_scram(self._gateway.ctx, hello.user)
        self._greeting.challenge(
            self._offer.salt,
            self._offer.iterations,
            [
                ScramVerifier(each.scram_stored_key, each.scram_server_key)
                for each in self._offer.verifiers
            ],
        )

    async def _turn_away(self) -> None:
        offer, hello = self._given()
        failures = self._gateway.throttle.failed(hello.user, self._address, time.monotonic())
        self._refuse(not_let_in())
        if failures <= _RECORDED:
            await record_failed_proof(
                self._gateway.ctx, offer, address=self._address, application=_application(hello)
            )

    async def _cancel(self, key: bytes) -> None:
        await self._gateway.cancel_by_key(key)
        self._leave("cancelled")

    async def _let_in(self, verifier: int) -> None:
        offer, hello = self._given()
        self._gateway.throttle.succeeded(hello.user, self._address, time.monotonic())
        self._known()
        actor = await authenticate_by_scram(
            self._gateway.ctx,
            offer,
            verifier,
            address=self._address,
            application=_application(hello),
        )
        self._holds = self._gateway.hold_place(actor.id)
        wishes = read_wishes(
            hello.database, hello.asked, longest_wait=self._gateway.options.longest_wait
        )
        candidate, others = await self._find(actor, hello.database, wishes)
        async with asyncio.timeout(DIAL_S):
            await self._open(actor, candidate, others, hello)

    async def _find(
        self, actor: Actor, database: str, wishes: Wishes
    ) -> tuple[Candidate, tuple[Candidate, ...]]:
        """Return the live grant that is meant, or file a request and wait; and the other ones."""
        ctx = self._gateway.ctx
        try:
            live = await find_candidates(ctx, actor, database)
        except Denied as error:
            if error.detail_code != "no_grant":
                raise
            live = ()
        chosen = choose_for_session(live, wishes)
        if chosen is not None:
            unneeded = not_needed(chosen.grant.id, wishes, chosen.grant.reason)
            if unneeded:
                self._notice(unneeded)
            return chosen, _without(live, chosen)
        if wishes.grant_id is not None:
            raise no_grant(database, wishes.grant_id)
        request_id, grant_id, decision = await file_on_connect(ctx, actor, database, wishes.ask)
        if grant_id is None:
            steps = (
                f"; {decision.summary()}"
                if decision is not None and decision.outcome is not Outcome.ALLOWED
                else ""
            )
            self._notice(f"request {request_id} on {database} waits for approval{steps}")
            grant_id = await self._decided(actor, request_id, database, wishes.wait)
        chosen = (await find_candidates(ctx, actor, database, grant_id))[0]
        return chosen, _without(live, chosen)

    async def _decided(
        self, actor: Actor, request_id: RequestId, database: str, wait: timedelta
    ) -> GrantId:
        """Hold the client until a request is decided, or its patience is over."""
        until = time.monotonic() + wait.total_seconds()
        while True:
            with self._gateway.watch.request_changes(request_id) as changed:
                state, grant_id, said = await decision_of(self._gateway.ctx, actor, request_id)
                if grant_id is not None:
                    return grant_id
                if state is not RequestState.PENDING:
                    raise Conflict(
                        f"request {request_id} on {database} was {state.value}"
                        + (f": {said}" if said else ""),
                        next_step=f"daypass show {request_id} says more",
                        code=f"request_{state.value}",
                    )
                left_s = until - time.monotonic()
                if left_s <= 0:
                    raise Unavailable(
                        f"request {request_id} on {database} is not decided yet",
                        next_step="connect again once it is; it stays filed. "
                        "-c daypass.wait=10m waits for it",
                        code="request_pending",
                    )
                await changed.wait(min(left_s, _LOOK_EVERY_S))

    async def _open(
        self, actor: Actor, candidate: Candidate, others: tuple[Candidate, ...], hello: Hello
    ) -> None:
        gateway = self._gateway
        gateway.watch.require_contact()
        permit = await self._authorized(actor, candidate)
        plan = candidate.found.plan
        try:
            line = await open_line(
                gateway.ctx,
                permit,
                plan,
                # They could give an approved text another meaning: `datestyle`, for one.
                settings=() if permit.limits.exact else hello.settings,
                application=_application(hello),
            )
        except BaseException:
            # That was tried already, but the store may have been what failed.
            gateway.closing.close(permit, "not opened")
            raise
        if self._over:
            line.transport.abort()
            gateway.closing.close(permit, "the client left")
            return
        # From here to its end nothing waits: a session is either not there, or kept.
        try:
            log = gateway.open_log(permit, actor, candidate.grant)
            session = GatewaySession(
                self._port,
                line,
                permit,
                candidate.grant.database,
                log,
                gateway.ports,
            )
            limits = relay_limits(
                permit.limits,
                candidate.grant.database,
                permit.grant_id,
                [(each.grant.id, each.grant.deadline, each.found.plan) for each in others],
            )
            relay = gateway.engine.relay(plan, line, session, limits)
            early = self._greeting.admit(
                line,
                cancel_key(gateway.cancel_secret, permit.session_id),
                greeting_notices(
                    permit.grant_id,
                    candidate.grant.database,
                    permit.deadline,
                    gateway.left_until(permit.deadline),
                    permit.scope if permit.scope.native_role else permit.scope.only(plan.given),
                    permit.limits,
                ),
            )
        except BaseException:
            line.transport.abort()
            gateway.closing.close(permit, "not let in")
            raise
        self._say()
        # Its place stays taken until the session is over.
        self._over = True
        self._timer.cancel()
        gateway.keep(self, session, log, self._holds, self._address)
        session.begin(relay, early)

    async def _authorized(self, actor: Actor, candidate: Candidate) -> SessionPermit:
        """Have a session permitted; one whose client leaves meanwhile is closed again."""
        gateway = self._gateway
        permitting = asyncio.ensure_future(
            authorize_session(
                gateway.ctx, actor, candidate, kind="gateway", most=gateway.options.per_person
            )
        )
        try:
            return await asyncio.shield(permitting)
        except asyncio.CancelledError:
            # Were it cancelled as well, nobody would know whether the session is written down.
            permitting.add_done_callback(self._unwanted)
            raise

    def _unwanted(self, permitted: asyncio.Future[SessionPermit]) -> None:
        if not permitted.cancelled() and permitted.exception() is None:
            self._gateway.closing.close(permitted.result(), "the client left")

    # Inside

    def _begin(self, step: Callable[[], Awaitable[None]], name: str) -> None:
        self._task = self._gateway.group.create_task(
            self._guarded(step), name=f"{name}-{self._address}"
        )

    async def _guarded(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except Error as error:
            self._refuse(error)
        except TimeoutError:
            self._refuse(
                Unavailable("the database did not answer in time", code="target_unreachable")
            )
        except (psycopg.Error, OSError) as error:
            _log.warning("reception_failed", address=self._address, error=str(error))
            self._refuse(Unavailable("Daypass could not look that up", next_step="try again"))
        except asyncio.CancelledError:
            self._leave("the client left")
            raise
        except Exception:  # noqa: BLE001 - logged; one client must not end the others
            _log.exception("reception_broken", address=self._address)
            self._refuse(Unavailable("the gateway failed", next_step="try again"))
        finally:
            if not self._over:
                self._say()

    def _given(self) -> tuple[ScramOffer, Hello]:
        if self._offer is None or self._hello is None:
            raise RuntimeError("a proof came before it was asked for")
        return self._offer, self._hello

    def _notice(self, text: str) -> None:
        self._greeting.notice(text)
        self._say()

    def _known(self) -> None:
        """Let the handshake's limits go: it is known who this is."""
        self._timer.cancel()
        self._port.limit_bytes = None
        if not self._greeted:
            self._greeted = True
            self._gateway.places.greeted(self._address)

    def _say(self) -> None:
        self._port.write(self._greeting.outgoing())
        self._port.flush()

    def _refuse(self, error: Error) -> None:
        if self._over:
            return
        self._greeting.refuse(error)
        self._leave(error.detail_code)

    def _leave(self, reason: str) -> None:
        if self._over:
            return
        self._say()
        self._port.close()
        self._finish(reason)

    def _too_slow(self) -> None:
        self._port.abort()
        self._finish("it took too long to sign in")

    def _finish(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._timer.cancel()
        if not self._greeted:
            self._greeted = True
            self._gateway.places.greeted(self._address)
        self._gateway.let_go(self, self._holds, self._address)
        task = self._task
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        _log.debug("client_not_let_in", address=self._address, reason=reason)


_RECORDED: Final = 20
"""So many failures in a row from one place are put on record each; more would fill the log."""


def _without(live: tuple[Candidate, ...], chosen: Candidate) -> tuple[Candidate, ...]:
    # One for exact statements takes no other text, and one that is blocked none at all.
    return tuple(
        each
        for each in live
        if each.grant.id != chosen.grant.id
        and not each.grant.asked.statements
        and not each.found.plan.blocked
    )[:_MOST_OTHERS]


def _application(hello: Hello) -> str:
    said = hello.application[:_MOST_APPLICATION]
    return "".join(each for each in said if each.isprintable())
