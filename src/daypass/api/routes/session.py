"""Signing in and out with a browser or for the command line, and one's own password."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fastapi import Response
from pydantic import Field, SecretStr

from daypass.api.call import Call, ThisCall, cookie_name, csrf_cookie_name, https
from daypass.api.facts import ANY_PRINCIPAL, PUBLIC, RouteFacts, Routes, concerned
from daypass.api.routes.principals import PrincipalOut, principal_out
from daypass.api.shapes import Body, Email, Out
from daypass.audit.entry import EntryKind
from daypass.domain.principal import Capability
from daypass.domain.secret import Secret
from daypass.operations.change_password import change_password
from daypass.operations.log_in import VALID_FOR, StartedLogin, log_in
from daypass.operations.log_out import log_out
from daypass.operations.show_principals import show_self

routes = Routes("session")
_MAX_PASSWORD: Final = 1000


class LogInBody(Body):
    """Who signs in."""

    email: Email
    password: SecretStr = Field(
        min_length=1, max_length=_MAX_PASSWORD, examples=["staple-orbit-candle-77"]
    )


class LoginOut(Out):
    """A login just started; its cookie is in `Set-Cookie`."""

    principal: PrincipalOut
    csrf_token: str | None = Field(description="to send as X-Daypass-CSRF with every change")
    expires_at: datetime


class MeOut(Out):
    """Who is calling, and what for the login or access token may be used."""

    principal: PrincipalOut
    capabilities: list[Capability]
    token_id: int | None
    channels: list[str] = Field(description="how this Daypass tells people: smtp, webhook, or not")


class ChangePasswordBody(Body):
    """The old password and the new one."""

    old: SecretStr = Field(min_length=1, max_length=_MAX_PASSWORD)
    new: SecretStr = Field(
        min_length=1, max_length=_MAX_PASSWORD, examples=["umbrella-granite-52-violin"]
    )


@routes.post(
    "/session",
    RouteFacts(
        PUBLIC,
        entries=(EntryKind.LOGIN_STARTED, EntryKind.LOGIN_FAILED),
        secret_fields=("csrf_token",),
    ),
    status=201,
)
async def start_session(call: ThisCall, body: LogInBody) -> LoginOut:
    """Sign in with e-mail address and password.

    Answers alike whatever was wrong. Further tries after failures have to wait (429).
    """
    started = await log_in(
        call.ctx,
        body.email,
        Secret(body.password.get_secret_value()),
        address=call.address,
        application=call.application,
        replaces=call.cookie,
    )
    _set_cookies(call, started)
    return LoginOut(
        principal=principal_out(started.stored),
        csrf_token=started.csrf.reveal(),
        expires_at=started.expires_at,
    )


@routes.get("/session", RouteFacts(ANY_PRINCIPAL))
async def show_session(call: ThisCall) -> MeOut:
    """Show who is calling."""
    return MeOut(
        principal=principal_out(await show_self(call.ctx, call.actor)),
        capabilities=sorted(call.actor.capabilities),
        token_id=call.actor.token_id,
        channels=list(call.ctx.channels),
    )


@routes.delete("/session", RouteFacts(ANY_PRINCIPAL, entries=(EntryKind.LOGIN_ENDED,)), status=204)
async def end_session(call: ThisCall) -> None:
    """Sign out."""
    if call.cookie is not None and call.actor.token_id is None:
        await log_out(call.ctx, call.actor, call.cookie)
    for name in (cookie_name(call.ctx), csrf_cookie_name(call.ctx)):
        call.response.delete_cookie(name, path="/", secure=https(call.ctx), samesite="strict")


@routes.put(
    "/session/password",
    RouteFacts(
        concerned("people, with a login"),
        Capability.MANAGE,
        entries=(EntryKind.PASSWORD_CHANGED,),
    ),
    status=204,
)
async def change_own_password(call: ThisCall, body: ChangePasswordBody) -> None:
    """Change one's own password; all other logins end."""
    await change_password(
        call.ctx,
        call.actor,
        old=Secret(body.old.get_secret_value()),
        new=Secret(body.new.get_secret_value()),
        cookie=call.cookie,
    )


def _set_cookies(call: Call, started: StartedLogin) -> None:
    response: Response = call.response
    for name, value, hidden in (
        (cookie_name(call.ctx), started.cookie, True),
        (csrf_cookie_name(call.ctx), started.csrf, False),
    ):
        response.set_cookie(
            name,
            value.reveal(),
            max_age=int(VALID_FOR.total_seconds()),
            path="/",
            secure=https(call.ctx),
            httponly=hidden,
            samesite="strict",
        )
