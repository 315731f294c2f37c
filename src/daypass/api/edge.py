"""The outermost layer: request ids, limits, security headers, the access log, and no bare 500.

What it logs are the route, the path without its query, and who called: never a header, a query or a
body, where secrets travel.
"""

from __future__ import annotations

import asyncio
import re
import time
import traceback
import uuid
from typing import Final

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daypass.api.problems import problem_response
from daypass.domain.errors import Error, Invalid

MAX_BODY_BYTES: Final = 1024 * 1024
BODY_TIMEOUT_S: Final = 20.0
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
}
"""On every answer that does not set its own."""

_CALLS = Counter(
    "daypass_http_requests", "Calls of the API by route and status", ["operation", "status"]
)
_SECONDS = Histogram("daypass_http_request_seconds", "Duration of API calls", ["operation"])
_log = structlog.get_logger("daypass.api")


class Edge:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request; websockets are not spoken here."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] == "http":
            await _Exchange(self._app, scope, receive, send, https=self._https).serve()
        else:
            await self._app(scope, receive, send)


class _Exchange:
    def __init__(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, https: bool
    ) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._https = https
        self._status: int | None = None
        self._body_bytes = 0
        self._body_read = False
        given = Headers(scope=scope).get("x-request-id", "")
        self._request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        self._state = scope.setdefault("state", {})
        self._state["request_id"] = self._request_id

    async def serve(self) -> None:
        started = time.perf_counter()
        try:
            if self._announced_bytes() > MAX_BODY_BYTES:
                await self._fail(_too_large())
            else:
                await self._app(self._scope, self.receive, self.send)
        except Exception as error:
            # As text made here: loggers that show local variables would show secrets.
            trace = "".join(traceback.format_exception(error))
            _log.error("call_broke", request_id=self._request_id, trace=trace)
            if self._status is not None:
                # Half an answer is out: only cutting the connection says that it is not whole.
                raise
            await self._fail(Error("something went wrong inside Daypass", code="internal"), error)
        finally:
            self._record(time.perf_counter() - started)

    async def receive(self) -> Message:
        if self._body_read:
            return await self._receive()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the body did not come in time") from None
        if message["type"] == "http.request":
            self._body_bytes += len(message.get("body", b""))
            self._body_read = not message.get("more_body", False)
            if self._body_bytes > MAX_BODY_BYTES:
                raise HTTPException(413, _too_large().message)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self._https:
                headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            headers["X-Request-Id"] = self._request_id
        await self._send(message)

    def _announced_bytes(self) -> int:
        text = Headers(scope=self._scope).get("content-length", "")
        return int(text) if text.isdecimal() and len(text) < 20 else 0

    async def _fail(self, wrong: Error, cause: Exception | None = None) -> None:
        wrong.__cause__ = cause
        response = problem_response(wrong, self._request_id)
        await response(self._scope, self._receive, self.send)

    def _record(self, seconds: float) -> None:
        operation = str(self._state.get("operation_id", "none"))
        status = self._status or 0
        _CALLS.labels(operation, str(status)).inc()
        _SECONDS.labels(operation).observe(seconds)
        client = self._scope.get("client")
        _log.info(
            "call",
            request_id=self._request_id,
            method=self._scope["method"],
            path=self._scope["path"],
            operation=operation,
            status=status,
            duration_ms=round(seconds * 1000, 1),
            principal=self._state.get("principal_id"),
            address=client[0] if client else "",
        )


def _too_large() -> Invalid:
    return Invalid(f"a body has at most {MAX_BODY_BYTES} bytes", code="too_large")
