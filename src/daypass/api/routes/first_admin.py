"""Pages for the first minutes: making the first admin, and choosing a password by a link.

Plain HTML without scripts, so that they work before anything else does; the form posts back to the
address it came from. The link's value is what proves that the call is meant: no cookie is involved.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi.responses import HTMLResponse

from daypass.api.call import Call, ThisCall
from daypass.api.facts import Callers, RouteFacts, Routes
from daypass.api.html import PAGE_POLICY, Field, PageForm, form_page, message_page
from daypass.api.problems import status_of
from daypass.audit.entry import EntryKind
from daypass.domain.errors import Error, Invalid, NotFound
from daypass.domain.secret import Secret
from daypass.operations.change_password import choose_password
from daypass.operations.make_first_admin import check_first_admin_link, make_first_admin

routes = Routes("first-admin", prefix="")

_BY_LINK = Callers("whoever has the one-time link", public=True)

_FIRST_ADMIN = PageForm(
    title="Make the first admin",
    intro="This Daypass has no admin yet. Whoever sends this form becomes the first one.",
    action="/first-admin",
    button="Make me the admin",
    fields=(
        Field("email", "E-mail address", "email", "username"),
        Field("name", "Name", "text", "name"),
        Field("password", "Password, 12 characters or more", "password", "new-password"),
    ),
)
_CHOOSE = PageForm(
    title="Choose your password",
    intro="This link works once. Logins you have elsewhere will end.",
    action="/choose-password",
    button="Set the password",
    fields=(Field("password", "Password, 12 characters or more", "password", "new-password"),),
)


@routes.get("/first-admin", RouteFacts(_BY_LINK, in_schema=False), response_class=HTMLResponse)
async def first_admin_page(call: ThisCall) -> HTMLResponse:
    """Show the form for the first admin, to whoever has the link."""
    token = call.request.query_params.get("token", "")
    try:
        await check_first_admin_link(call.ctx, Secret(token))
    except NotFound as error:
        return _gone(error)
    return _page(form_page(_FIRST_ADMIN, token, {}, ()))


@routes.post(
    "/first-admin",
    RouteFacts(_BY_LINK, entries=(EntryKind.PRINCIPAL_ADDED,), in_schema=False),
    response_class=HTMLResponse,
)
async def first_admin_form(call: ThisCall) -> HTMLResponse:
    """Make the first admin from the form."""
    sent = await _form(call)
    try:
        await make_first_admin(
            call.ctx,
            Secret(sent.get("token", "")),
            email=sent.get("email", ""),
            name=sent.get("name", ""),
            password=Secret(sent.get("password", "")),
            address=call.address,
            application=call.application,
        )
    except Invalid as error:
        return _again(_FIRST_ADMIN, sent, error)
    except NotFound as error:
        return _gone(error)
    return _page(
        message_page(
            "You are the admin",
            "Sign in on the command line: daypass login. This link no longer works.",
        )
    )


@routes.get("/choose-password", RouteFacts(_BY_LINK, in_schema=False), response_class=HTMLResponse)
async def choose_password_page(call: ThisCall) -> HTMLResponse:
    """Show the form for a new password; the link is looked at when the form is sent."""
    token = call.request.query_params.get("token", "")
    return _page(form_page(_CHOOSE, token, {}, ()))


@routes.post(
    "/choose-password",
    RouteFacts(_BY_LINK, entries=(EntryKind.PASSWORD_CHANGED,), in_schema=False),
    response_class=HTMLResponse,
)
async def choose_password_form(call: ThisCall) -> HTMLResponse:
    """Set a password from the form."""
    sent = await _form(call)
    try:
        email = await choose_password(
            call.ctx,
            Secret(sent.get("token", "")),
            Secret(sent.get("password", "")),
            address=call.address,
            application=call.application,
        )
    except Invalid as error:
        return _again(_CHOOSE, sent, error)
    except NotFound as error:
        return _gone(error)
    return _page(message_page("Your password is set", f"Sign in as {email}: daypass login."))


async def _form(call: Call) -> dict[str, str]:
    body = await call.request.body()
    try:
        sent = parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=20,
        )
    except ValueError as error:
        raise Invalid("the body is not that of the form", code="malformed") from error
    return {name: values[-1] for name, values in sent.items()}


def _again(form: PageForm, sent: dict[str, str], error: Invalid) -> HTMLResponse:
    problems = error.problems or (("", error.message),)
    kept = {name: value for name, value in sent.items() if name != "password"}
    return _page(form_page(form, sent.get("token", ""), kept, problems), status_of(error))


def _page(html: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(html, status, headers={"Content-Security-Policy": PAGE_POLICY})


def _gone(error: Error) -> HTMLResponse:
    return _page(
        message_page("This link does not work", f"{error.message}: {error.next_step}."),
        status_of(error),
    )
