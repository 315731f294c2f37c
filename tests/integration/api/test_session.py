"""Signing in over HTTP: cookies, CSRF, and what an outsider sees."""

from collections.abc import Callable

import httpx
import pytest

from daypass.api.app import create_app
from daypass.domain.principal import Actor
from daypass.operations.context import Context
from tests.people import PASSWORD
from tests.stores import context_of

Connect = Callable[..., httpx.AsyncClient]
ME = {"email": "bob@example.com", "password": PASSWORD.reveal()}


async def test_signing_in_and_out(bob: Actor, connect: Connect) -> None:
    client = connect()
    answer = await client.post("/api/v1/session", json=ME)
    assert answer.status_code == 201
    csrf = {"X-Daypass-CSRF": answer.json()["csrf_token"]}
    assert client.cookies["daypass_csrf"] == answer.json()["csrf_token"]
    me = (await client.get("/api/v1/session")).json()
    assert me["principal"]["email"] == "bob@example.com"
    assert me["capabilities"] == ["approve", "connect", "manage", "read", "request"]
    cookie = client.cookies["daypass_login"]
    gone = await client.delete("/api/v1/session", headers=csrf)
    assert gone.status_code == 204
    assert "daypass_login" not in client.cookies
    replay = await connect().get("/api/v1/session", headers={"Cookie": f"daypass_login={cookie}"})
    assert replay.status_code == 401
    assert replay.json()["code"] == "login_ended"


@pytest.mark.parametrize("url", ["http://daypass.test", "https://daypass.test"])
async def test_cookies_are_as_narrow_as_can_be(ctx: Context, bob: Actor, url: str) -> None:
    app = create_app(context_of(ctx.store, public_url=url))
    transport = httpx.ASGITransport(app=app, client=("192.0.2.1", 50000))
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        answer = await client.post("/api/v1/session", json=ME)
        assert (await client.get("/api/v1/session")).status_code == 200
    login, csrf = answer.headers.get_list("set-cookie")
    prefix = "__Host-" if url.startswith("https") else ""
    assert login.startswith(f"{prefix}daypass_login=")
    assert csrf.startswith(f"{prefix}daypass_csrf=")
    for cookie in (login, csrf):
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie
        assert ("Secure" in cookie) == url.startswith("https")
    assert "HttpOnly" in login
    assert "HttpOnly" not in csrf
    assert ("Strict-Transport-Security" in answer.headers) == url.startswith("https")


async def test_a_change_by_cookie_needs_the_header(bob: Actor, connect: Connect) -> None:
    client = connect()
    csrf = (await client.post("/api/v1/session", json=ME)).json()["csrf_token"]
    body = {"name": "x", "capabilities": ["read"], "valid_for": "1h"}
    for headers in ({}, {"X-Daypass-CSRF": ""}, {"X-Daypass-CSRF": "x" * 43}):
        answer = await client.post("/api/v1/tokens", json=body, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["code"] == "csrf"
    # The cookie alone, as another site would send it, is not enough either.
    forged = await client.post(
        "/api/v1/tokens", json=body, headers={"Cookie": f"daypass_csrf={csrf}"}
    )
    assert forged.status_code in {401, 403}
    assert (await client.get("/api/v1/tokens")).json()["items"] == []
    made = await client.post("/api/v1/tokens", json=body, headers={"X-Daypass-CSRF": csrf})
    assert made.status_code == 201


async def test_a_form_of_another_site_signs_nobody_in(bob: Actor, connect: Connect) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await connect().post(
            "/api/v1/session",
            content='{"email": "bob@example.com", "password": "staple-orbit-candle-77"}',
            headers={"Content-Type": media_type},
        )
        assert answer.status_code == 422
        assert "set-cookie" not in answer.headers


async def test_a_planted_cookie_is_worth_nothing(
    bob: Actor, admin: Actor, connect: Connect
) -> None:
    attacker = connect()
    await attacker.post("/api/v1/session", json={**ME, "email": "ada@example.com"})
    planted = attacker.cookies["daypass_login"]
    victim = connect()
    victim.cookies.set("daypass_login", planted)
    answer = await victim.post("/api/v1/session", json=ME)
    assert planted not in answer.headers["set-cookie"]
    assert (await attacker.get("/api/v1/session")).status_code == 401


async def test_slowed_after_failures(bob: Actor, connect: Connect) -> None:
    client = connect()
    wrong = {**ME, "password": "wrong wrong wrong"}
    seen = [(await client.post("/api/v1/session", json=wrong)) for _ in range(8)]
    assert seen[0].status_code == 401
    assert seen[0].json()["code"] == "login_failed"
    assert seen[-1].status_code == 429
    assert seen[-1].json()["code"] == "too_many_tries"
    assert int(seen[-1].headers["Retry-After"]) >= 1
    assert (await client.post("/api/v1/session", json=ME)).status_code == 429
    elsewhere = connect(address="203.0.113.9")
    assert (await elsewhere.post("/api/v1/session", json=ME)).status_code == 201


async def test_changing_the_password(bob: Actor, connect: Connect) -> None:
    client = connect()
    csrf = (await client.post("/api/v1/session", json=ME)).json()["csrf_token"]
    headers = {"X-Daypass-CSRF": csrf}
    new = "umbrella-granite-52-violin"

    async def change(old: str, to: str) -> httpx.Response:
        return await client.put(
            "/api/v1/session/password", json={"old": old, "new": to}, headers=headers
        )

    assert (await change("wrong wrong wrong", new)).json()["code"] == "wrong_password"
    weak = await change(PASSWORD.reveal(), "short")
    assert weak.status_code == 422
    assert weak.json()["code"] == "weak_password"
    assert weak.json()["problems"][0]["place"] == "password"
    assert (await change(PASSWORD.reveal(), new)).status_code == 204
    assert (await client.get("/api/v1/session")).status_code == 200
    again = await connect().post("/api/v1/session", json={**ME, "password": new})
    assert again.status_code == 201


@pytest.mark.parametrize(
    "header",
    ["Basic Ym9iOmJvYg==", "Bearer", "Bearer ", "Bearer dpt_1_" + "a" * 43, "dpt_1_x", ""],
)
async def test_wrong_authorization(bob: Actor, connect: Connect, header: str) -> None:
    client = connect()
    await client.post("/api/v1/session", json=ME)
    # A wrong header is not passed over for a right cookie.
    answer = await client.get("/api/v1/session", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"
