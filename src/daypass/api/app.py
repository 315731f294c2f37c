"""The HTTP API as an ASGI app."""

from __future__ import annotations

import inspect
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from daypass.api.answer import KEY_HEADER, answering
from daypass.api.call import CSRF_HEADER, SAFE_METHODS, cookie_name, guard, https
from daypass.api.edge import Edge
from daypass.api.facts import Declared
from daypass.api.problems import MEDIA_TYPE, Problem, add_problem_handlers
from daypass.api.routes import ALL_ROUTES
from daypass.operations.context import Context

VERSION: Final = "1"
_PROBLEM: Final = {"model": Problem, "description": "A problem (RFC 9457)"}


class Api(FastAPI):
    """The app, with an OpenAPI document that says how to sign in and what errors look like."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(
            title="Daypass",
            version=VERSION,
            description="Just-in-time database access that the database itself enforces.",
            # Documentation pages would load scripts from somebody else's host.
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            default_response_class=JSONResponse,
            separate_input_output_schemas=False,
        )
        self._cookie_name = cookie_name(ctx)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                routes=self.routes,
            )
            schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["accessToken"] = {"type": "http", "scheme": "bearer"}
            schemes["login"] = {"type": "apiKey", "in": "cookie", "name": self._cookie_name}
            for path in document["paths"].values():
                for operation in path.values():
                    _name_media_type(operation)
            self.openapi_schema = document
        return self.openapi_schema


def create_app(ctx: Context) -> Api:
    """Return the API of a running Daypass."""
    app = Api(ctx)
    app.state.ctx = ctx
    add_problem_handlers(app)
    for declared in declared_routes():
        _add(app, ctx, declared)
    app.add_middleware(Edge, https=https(ctx))
    return app


def declared_routes() -> tuple[Declared, ...]:
    """Return every route there is, in the order they are tried."""
    return tuple(declared for routes in ALL_ROUTES for declared in routes.declared)


def _add(app: FastAPI, ctx: Context, declared: Declared) -> None:
    facts = declared.facts
    more: dict[str, Any] = {}
    if declared.response_class is not None:
        more["response_class"] = declared.response_class
    if "application/json" not in str(more.get("response_class", "application/json")):
        more["response_model"] = None
    app.add_api_route(
        declared.path,
        answering(declared),
        methods=[declared.method],
        status_code=declared.status,
        tags=[declared.tag],
        operation_id=declared.operation_id,
        summary=_summary(declared),
        description=inspect.cleandoc(declared.endpoint.__doc__ or ""),
        dependencies=[Depends(guard(ctx, declared))],
        responses={"default": _PROBLEM, 422: _PROBLEM},
        include_in_schema=facts.in_schema,
        openapi_extra=_openapi_extra(declared),
        **more,
    )


def _summary(declared: Declared) -> str:
    first = inspect.cleandoc(declared.endpoint.__doc__ or "").partition("\n")[0]
    return first.rstrip(".")


def _openapi_extra(declared: Declared) -> dict[str, Any]:
    facts = declared.facts
    extra: dict[str, Any] = {
        "security": [] if facts.callers.public else [{"accessToken": []}, {"login": []}],
        "x-daypass": {
            "callers": facts.callers.text,
            "capability": facts.capability.value if facts.capability else None,
            "entries": [kind.value for kind in facts.entries],
            "secret_fields": list(facts.secret_fields),
        },
    }
    parameters = []
    if not facts.callers.public and declared.method not in SAFE_METHODS:
        parameters.append(_header(CSRF_HEADER, "Needed with a login cookie: the login's own value"))
    if declared.once:
        parameters.append(_header(KEY_HEADER, "Makes repeating the call act once; kept for a day"))
    if parameters:
        extra["parameters"] = parameters
    return extra


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
    }


def _name_media_type(operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        if status in {"default", "422"} and "application/json" in response.get("content", {}):
            response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
