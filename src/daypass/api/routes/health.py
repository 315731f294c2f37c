"""Is it up, is it ready, how is it doing, and what can it do."""

from __future__ import annotations

import ipaddress
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from daypass.api.call import ThisCall, actor_of, address_of
from daypass.api.facts import PUBLIC, Callers, RouteFacts, Routes
from daypass.api.shapes import Out
from daypass.domain.principal import Capability, DaypassRole
from daypass.operations.context import require_capability, require_role
from daypass.operations.look_at_gauges import look_at_gauges
from daypass.store.gauges import Gauges

routes = Routes("health", prefix="")


class Health(Out):
    """That the process answers."""

    status: Literal["ok"] = "ok"


@routes.get("/healthz", RouteFacts(PUBLIC))
async def healthz(call: ThisCall) -> Health:  # noqa: ARG001  # every endpoint takes its call
    """Say that this process answers."""
    return Health()


@routes.get("/readyz", RouteFacts(PUBLIC, timeout_s=5))
async def readyz(call: ThisCall) -> Health:
    """Say that this process can reach the store; otherwise the answer is a 503."""
    async with call.ctx.store.connection() as connection:
        await connection.execute("select")
    return Health()


@routes.get(
    "/metrics",
    RouteFacts(
        Callers("processes on the same machine; admin or auditor from elsewhere", public=True),
        in_schema=False,
    ),
    response_class=Response,
)
async def metrics(call: ThisCall) -> Response:
    """Return metrics in the text format of Prometheus."""
    if not _same_machine(call.request):
        actor = await actor_of(call.ctx, call.request)
        require_capability(actor, Capability.READ)
        require_role(actor, DaypassRole.ADMIN, DaypassRole.AUDITOR)
    found = await look_at_gauges(call.ctx)
    return Response(generate_latest() + _text_of(found), media_type=CONTENT_TYPE_LATEST)


@routes.get("/api/v1/openapi.json", RouteFacts(PUBLIC, in_schema=False))
async def openapi(call: ThisCall) -> dict[str, Any]:
    """Return the OpenAPI document of this API."""
    document: dict[str, Any] = call.request.app.openapi()
    return document


def _text_of(found: Gauges) -> bytes:
    """Write the store's numbers: of this moment, so in a registry of their own."""
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(f"daypass_{name}", text, registry=registry).set(value)

    grants = Gauge("daypass_grants", "Grants not yet closed", ["state"], registry=registry)
    for state in ("scheduled", "active", "revoking"):
        grants.labels(state).set(found.grants.get(state, 0))
    sessions = Gauge("daypass_sessions", "Sessions not yet closed", ["state"], registry=registry)
    for state in ("opening", "open", "closing"):
        sessions.labels(state).set(found.sessions.get(state, 0))
    gauge("requests_pending", "Requests nobody has decided", found.requests_pending)
    gauge(
        "revoking_oldest_seconds",
        "How long ago the grant ended that has waited longest to be closed; alert on this",
        found.revoking_oldest_s,
    )
    gauge(
        "revocation_lag_seconds",
        "Longest time from the end of a grant to its being closed, of the last hour's receipts",
        found.revocation_lag_s,
    )
    gauge("messages_waiting", "Messages to people and programs not yet out", found.messages_waiting)
    gauge("message_oldest_seconds", "Age of the oldest waiting message", found.message_oldest_s)
    gauge("jobs_waiting", "Tasks of the queue that wait or run", found.jobs_waiting)
    gauge("break_glass_unreviewed", "Break-glass grants nobody has reviewed", found.reviews_due)
    return generate_latest(registry)


def _same_machine(request: Request) -> bool:
    # A proxy on this machine speaks for others, and says so.
    if any(name in request.headers for name in ("forwarded", "x-forwarded-for", "via")):
        return False
    try:
        return ipaddress.ip_address(address_of(request)).is_loopback
    except ValueError:
        return False
