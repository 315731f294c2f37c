"""Run an endpoint: in its time, and once only for each `Idempotency-Key`."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Callable
from typing import Any, Final

from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from daypass.api.call import Call
from daypass.api.facts import Declared
from daypass.domain.errors import Conflict, Error, Invalid, Unavailable
from daypass.store import idempotency

KEY_HEADER: Final = "Idempotency-Key"
_MAX_KEY = 200
_LOOK_AGAIN_S = 0.1
_KEPT_HEADERS = ("etag", "location")


def answering(declared: Declared) -> Callable[..., Any]:
    """Return what is added to the app for an endpoint; it must have a parameter `call`."""
    endpoint, facts = declared.endpoint, declared.facts

    @functools.wraps(endpoint)
    async def run(**arguments: Any) -> Any:
        call: Call = arguments["call"]
        async with asyncio.timeout(facts.timeout_s):
            key = call.request.headers.get(KEY_HEADER)
            if key is None or not declared.once:
                return await endpoint(**arguments)
            if not 0 < len(key) <= _MAX_KEY:
                raise Invalid(f"{KEY_HEADER} has 1 to {_MAX_KEY} characters", code="malformed")
            return await _once(declared, call, key, arguments)

    return run


async def _once(declared: Declared, call: Call, key: str, arguments: dict[str, Any]) -> Any:
    route = f"{call.request.method} {call.request.url.path}"
    digest = hashlib.sha256(await call.request.body()).digest()
    while True:
        async with call.ctx.store.transaction() as tx:
            claimed = await idempotency.claim(tx, call.actor.id, key, route, digest)
            kept = None if claimed else await idempotency.find(tx, call.actor.id, key)
        if claimed:
            return await _act(declared, call, key, arguments)
        # None: whoever was first has just failed and let go; the claim is tried again.
        if kept is not None:
            if (kept.route, kept.body_digest) != (route, digest):
                raise Conflict(
                    "this idempotency key was used for something else",
                    next_step="use a fresh key for each new call",
                    code="idempotency_key_reused",
                )
            if kept.status is not None and not declared.facts.keeps_answer:
                raise Conflict(
                    "this call was made already; its answer is kept nowhere",
                    next_step="use a fresh key to make it again",
                    code="idempotency_answer_gone",
                )
            if kept.status is not None:
                return _replay(kept.status, kept.response)
            if kept.age_s > declared.facts.timeout_s:
                raise Conflict(
                    "nobody knows what became of the first call with this idempotency key",
                    next_step="look whether it acted, then use a fresh key",
                    code="idempotency_unknown",
                )
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _act(declared: Declared, call: Call, key: str, arguments: dict[str, Any]) -> Any:
    try:
        answer = await declared.endpoint(**arguments)
    except Error as error:
        # An operation that raises one has changed nothing. Anything else leaves the claim: whether
        # it acted is unknown then, and acting twice is worse than asking somebody to look. So it
        # is with a target that went away while a statement ran.
        if isinstance(error, Unavailable) and not declared.facts.keeps_answer:
            raise
        async with call.ctx.store.transaction() as tx:
            await idempotency.release(tx, call.actor.id, key)
        raise
    keeps = isinstance(answer, BaseModel) and declared.facts.keeps_answer
    body = answer.model_dump(mode="json") if keeps else None
    for secret in declared.facts.secret_fields:
        _blank(body, secret.split("."))
    headers = {
        name: call.response.headers[name] for name in _KEPT_HEADERS if name in call.response.headers
    }
    async with call.ctx.store.transaction() as tx:
        await idempotency.keep_answer(
            tx, call.actor.id, key, declared.status, {"body": body, "headers": headers}
        )
    return answer


def _replay(status: int, kept: dict[str, Any]) -> Response:
    headers = {**kept["headers"], "Idempotency-Replayed": "true"}
    if kept["body"] is None:
        return Response(status_code=status, headers=headers)
    return JSONResponse(kept["body"], status, headers=headers)


def _blank(value: Any, path: list[str]) -> None:
    """Take what a path leads to out of an answer: secrets are shown once and kept nowhere."""
    name, rest = path[0].removesuffix("[]"), path[1:]
    if not rest:
        value[name] = None
        return
    for each in value[name] if path[0].endswith("[]") else [value[name]]:
        if each is not None:
            _blank(each, rest)
