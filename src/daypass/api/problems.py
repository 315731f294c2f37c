"""Errors as problem+json (RFC 9457), with HTTP status in one table."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from daypass.domain.errors import (
    Conflict,
    Denied,
    Error,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from daypass.operations.login_throttle import TooManyTries

MEDIA_TYPE: Final = "application/problem+json"

STATUS_OF_CLASS: Final[Mapping[type[Error], int]] = {
    Invalid: 422,
    Unauthenticated: 401,
    Denied: 403,
    NotFound: 404,
    Conflict: 409,
    Unavailable: 503,
    Error: 500,
}
"""The status of each class of error; the nearest class counts."""

STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "malformed": 400,
    "method_not_allowed": 405,
    "revision_changed": 412,
    "revision_conflict": 412,
    "too_large": 413,
    "too_many_tries": 429,
    "timeout": 503,
}
"""Codes for which HTTP has a status of its own."""

_CODE_OF_STATUS: Final = {400: "malformed", 404: "not_found", 405: "method_not_allowed"} | {
    413: "too_large"
}
_BUSY_STATES: Final = frozenset({"40001", "40P01", "55P03", "57014"})

_log = structlog.get_logger("daypass.api")


class ProblemPlace(BaseModel):
    """One thing wrong with the input, and where."""

    place: str = Field(examples=["capabilities"])
    problem: str = Field(examples=["name at least one"])


class ReasonOut(BaseModel):
    """One reason of a decision."""

    code: str
    text: str
    rule: str | None


class DecisionProblem(BaseModel):
    """The decision that denied."""

    outcome: str
    rule: str | None
    reasons: list[ReasonOut]


class Problem(BaseModel):
    """An error: `code` is stable, `detail` says it to people, `next_step` what to do."""

    type: str = Field(examples=["urn:daypass:problem:token_unknown"])
    title: str = Field(examples=["Unauthorized"])
    status: int = Field(examples=[401])
    code: str = Field(examples=["token_unknown"])
    detail: str = Field(examples=["this access token is unknown, expired or revoked"])
    next_step: str = Field(default="", examples=["ask for a new one: daypass login"])
    problems: list[ProblemPlace] = Field(default_factory=list)
    decision: DecisionProblem | None = None
    request_id: str = ""


def status_of(error: Error) -> int:
    """Return the HTTP status of an error."""
    by_code = STATUS_OF_CODE.get(error.detail_code)
    if by_code is not None:
        return by_code
    return next(STATUS_OF_CLASS[each] for each in type(error).__mro__ if each in STATUS_OF_CLASS)


def problem_of(error: Error, request_id: str = "") -> Problem:
    """Write an error as a problem."""
    status = status_of(error)
    return Problem(
        type=f"urn:daypass:problem:{error.detail_code}",
        title=HTTPStatus(status).phrase,
        status=status,
        code=error.detail_code,
        detail=error.message,
        next_step=error.next_step,
        problems=[
            ProblemPlace(place=place, problem=problem)
            for place, problem in (error.problems if isinstance(error, Invalid) else ())
        ],
        decision=_decision(error) if isinstance(error, Denied) else None,
        request_id=request_id,
    )


def problem_response(error: Error, request_id: str = "") -> JSONResponse:
    """Answer with an error."""
    headers = {}
    problem = problem_of(error, request_id)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="Daypass"'
    if isinstance(error, TooManyTries):
        headers["Retry-After"] = str(error.retry_after_s)
    elif problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "5"
    body = problem.model_dump(mode="json", exclude={"decision"} if not problem.decision else None)
    return JSONResponse(body, problem.status, headers=headers, media_type=MEDIA_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error that an endpoint, the framework or the store raises with a problem."""
    app.add_exception_handler(Error, _on_error)
    app.add_exception_handler(RequestValidationError, _on_wrong_input)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(psycopg.Error, _on_store_error)
    app.add_exception_handler(UnicodeEncodeError, _on_unwritable_text)
    app.add_exception_handler(TimeoutError, _on_timeout)


def request_id_of(request: Request) -> str:
    """Return the id the edge gave a request."""
    return str(getattr(request.state, "request_id", ""))


def _decision(error: Denied) -> DecisionProblem:
    decision = error.decision
    return DecisionProblem(
        outcome=decision.outcome.value,
        rule=decision.rule,
        reasons=[ReasonOut(code=r.code, text=r.text, rule=r.rule) for r in decision.reasons],
    )


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Error):
        raise error
    if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning(
            "call_failed",
            code=error.detail_code,
            message=error.message,
            cause=repr(error.__cause__),
            request_id=request_id_of(request),
        )
    return problem_response(error, request_id_of(request))


async def _on_wrong_input(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        wrong = Invalid("the body is not JSON", code="malformed")
    else:
        wrong = Invalid(
            "the input is not what this call takes",
            problems=tuple((_place(each["loc"]), str(each["msg"])) for each in found),
            next_step="see problems, and /api/v1/openapi.json",
            code="invalid_input",
        )
    return problem_response(wrong, request_id_of(request))


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    code = _CODE_OF_STATUS.get(error.status_code, "error")
    match error.status_code:
        case 404:
            wrong: Error = NotFound("there is nothing at this address", code=code)
        case _:
            wrong = Invalid(str(error.detail), code=code)
    response = problem_response(wrong, request_id_of(request))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _on_store_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, psycopg.DataError):
        return await _on_unwritable_text(request, error)
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state not in _BUSY_STATES:
        # Not ours to explain: the edge logs it and answers 500.
        raise error
    busy = Unavailable(
        "somebody else is changing the same thing", next_step="try again", code="busy"
    )
    return problem_response(busy, request_id_of(request))


async def _on_unwritable_text(request: Request, _error: Exception) -> JSONResponse:
    wrong = Invalid(
        "the input holds a null character, half a surrogate pair or a number beyond all bounds",
        code="invalid_input",
    )
    return problem_response(wrong, request_id_of(request))


async def _on_timeout(request: Request, _error: Exception) -> JSONResponse:
    late = Unavailable(
        "the call took too long and was given up",
        next_step="look at what became of it before you repeat it",
        code="timeout",
    )
    return problem_response(late, request_id_of(request))


def _place(location: Any) -> str:
    parts = [str(part) for part in location]
    if parts and parts[0] in {"body", "query", "path", "header"}:
        parts = parts[1:] or parts
    return ".".join(parts)
