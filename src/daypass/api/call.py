"""One call of the API: who is calling, from where, and what must be answered with."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends, Request, Response

from daypass.api.facts import Declared
from daypass.domain.errors import Invalid, Unauthenticated
from daypass.domain.principal import Actor
from daypass.domain.secret import Secret
from daypass.operations.authenticate import BearerToken, LoginCookie, authenticate
from daypass.operations.context import Context, require_capability

CSRF_HEADER: Final = "X-Daypass-CSRF"
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_ETAG: Final = re.compile(r'(?:W/)?"([0-9]{1,9})"')
_MAX_APPLICATION = 200


class Call:
    """One call; endpoints take it as their parameter `call`."""

    __slots__ = ("_actor", "ctx", "declared", "request", "response")

    def __init__(
        self,
        ctx: Context,
        declared: Declared,
        request: Request,
        response: Response,
        actor: Actor | None,
    ) -> None:
        self.ctx = ctx
        self.declared = declared
        self.request = request
        self.response = response
        self._actor = actor

    @property
    def actor(self) -> Actor:
        """Return who is calling; never on a public route."""
        if self._actor is None:
            raise Unauthenticated("nobody is signed in", next_step="sign in")
        return self._actor

    @property
    def address(self) -> str:
        """Return the caller's network address."""
        return address_of(self.request)

    @property
    def application(self) -> str:
        """Return what the caller says it is."""
        return application_of(self.request)

    @property
    def cookie(self) -> Secret | None:
        """Return the login cookie that came along, if any."""
        return login_cookie(self.ctx, self.request)

    @property
    def expected_revision(self) -> int | None:
        """Return the revision of `If-Match`. Raises `Invalid` for what is none of ours."""
        given = self.request.headers.get("if-match", "").strip()
        if given in {"", "*"}:
            return None
        match = _ETAG.fullmatch(given)
        if match is None:
            raise Invalid("If-Match is no ETag of this API", code="malformed")
        return int(match[1])

    def tag(self, revision: int) -> None:
        """Answer with the revision as `ETag`."""
        self.response.headers["ETag"] = f'"{revision}"'

    def made(self, path: str) -> None:
        """Answer with the address of what was made."""
        self.response.headers["Location"] = f"/api/v1{path}"


def https(ctx: Context) -> bool:
    """Say whether people reach this Daypass over TLS."""
    return ctx.public_url.startswith("https://")


def cookie_name(ctx: Context) -> str:
    """Return the login cookie's name; the prefix makes browsers insist on host, path and TLS."""
    return "__Host-daypass_login" if https(ctx) else "daypass_login"


def csrf_cookie_name(ctx: Context) -> str:
    """Return the name of the cookie that pages read the CSRF value from."""
    return "__Host-daypass_csrf" if https(ctx) else "daypass_csrf"


def login_cookie(ctx: Context, request: Request) -> Secret | None:
    """Return the login cookie of a request, if any."""
    value = request.cookies.get(cookie_name(ctx), "")
    return Secret(value) if value else None


def address_of(request: Request) -> str:
    """Return the network address a request comes from."""
    return request.client.host if request.client else ""


def application_of(request: Request) -> str:
    """Return what a request says of the program that sends it, in printable characters."""
    given = request.headers.get("user-agent", "")[:_MAX_APPLICATION]
    return "".join(each for each in given if each.isprintable())


async def actor_of(ctx: Context, request: Request) -> Actor:
    """Say who is calling: by `Authorization: Bearer`, else by the login cookie."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(
                "only access tokens are taken in Authorization",
                next_step="send Authorization: Bearer dpt_…",
            )
        presented: BearerToken | LoginCookie = BearerToken(Secret(token.strip()))
    else:
        cookie = login_cookie(ctx, request)
        if cookie is None:
            raise Unauthenticated(
                "nobody is signed in", next_step="sign in, or send an access token"
            )
        csrf = request.headers.get(CSRF_HEADER)
        presented = LoginCookie(
            cookie,
            Secret(csrf) if csrf is not None else None,
            changes=request.method not in SAFE_METHODS,
        )
    return await authenticate(
        ctx, presented, address=address_of(request), application=application_of(request)
    )


def guard(ctx: Context, declared: Declared) -> Callable[[Request, Response], Awaitable[None]]:
    """Return what runs before a route's endpoint: no route works without it.

    The capability is a fact of the credential and checked here, for every route; what a principal
    may do is checked by the operation.
    """

    async def check(request: Request, response: Response) -> None:
        request.state.operation_id = declared.operation_id
        actor = None
        if not declared.facts.callers.public:
            actor = await actor_of(ctx, request)
            request.state.principal_id = actor.id
            if declared.facts.capability is not None:
                require_capability(actor, declared.facts.capability)
        request.state.call = Call(ctx, declared, request, response, actor)

    return check


def _current(request: Request) -> Call:
    call = request.state.call
    if not isinstance(call, Call):
        raise TypeError("the route was added without its guard")
    return call


ThisCall = Annotated[Call, Depends(_current)]
