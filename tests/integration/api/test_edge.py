"""What the outermost layer keeps in and out."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from structlog.testing import capture_logs

from daypass.api.app import Api, create_app
from daypass.api.edge import HEADERS
from daypass.app import api_socket
from daypass.domain.errors import Unavailable
from daypass.domain.principal import Actor, DaypassRole
from daypass.domain.secret import Secret
from daypass.operations.context import Context
from daypass.operations.make_first_admin import offer_first_admin
from daypass.store.database import Store
from tests.people import PASSWORD, person
from tests.stores import context_of

Connect = Callable[..., httpx.AsyncClient]
ClientOf = Callable[..., Awaitable[httpx.AsyncClient]]


async def test_every_answer_has_the_headers(connect: Connect, ctx: Context) -> None:
    client = connect()
    for path in ("/healthz", "/nowhere", "/api/v1/session", "/api/v1/openapi.json"):
        answer = await client.get(path)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (path, name)
        assert answer.headers["x-request-id"]
    named = await client.get("/nowhere", headers={"X-Request-Id": "abc-123-xyz"})
    assert named.headers["x-request-id"] == named.json()["request_id"] == "abc-123-xyz"
    forged = await client.get("/nowhere", headers={"X-Request-Id": "a b\x7f"})
    assert forged.headers["x-request-id"] != "a b\x7f"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/api/v1/principals/x", 401, "unauthenticated"),
        ("PUT", "/api/v1/principals", 405, "method_not_allowed"),
        ("GET", "/api/v1/../../etc/passwd", 404, "not_found"),
    ],
)
async def test_framework_errors_are_problems(
    connect: Connect, method: str, path: str, status: int, code: str
) -> None:
    answer = await connect().request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"", 422, "invalid_input"),
        (b"[]", 422, "invalid_input"),
        (b'"x"', 422, "invalid_input"),
        (b'{"name": "a\\u0000b"}', 422, "invalid_input"),
        (b'{"name": "\\ud800"}', 422, "invalid_input"),
        (b'{"name": "\xff"}', 400, "malformed"),
        (b'{"name": "dba", "extra": 1}', 422, "invalid_input"),
        (b'{"name": 1}', 422, "invalid_input"),
        (b"[" * 100_000, 400, "malformed"),
    ],
)
async def test_strange_bodies(
    client_of: ClientOf, admin: Actor, content: bytes, status: int, code: str
) -> None:
    client = await client_of(admin)
    answer = await client.post(
        "/api/v1/groups", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code


async def test_strange_values_where_no_pattern_holds_them_back(
    client_of: ClientOf, admin: Actor
) -> None:
    client = await client_of(admin)
    for name in ("a\0b", "\ud800"):
        answer = await client.post(
            "/api/v1/principals",
            content=json.dumps(
                {"email": "x@example.com", "name": "x", "attributes": {"place": name}}
            ),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 422, answer.text
    for path in (
        "principals?email=%00",
        f"principals/{2**63}",
        "groups/%00",
        "grants?database=%00",
    ):
        assert (await client.get(f"/api/v1/{path}")).status_code in {404, 422}, path


async def test_bodies_are_limited(client_of: ClientOf, admin: Actor) -> None:
    client = await client_of(admin)

    async def stream() -> AsyncIterator[bytes]:
        yield b'{"name": "'
        for _ in range(40):
            yield b"x" * 65536
        yield b'"}'

    announced = b'{"name": "' + b"x" * 2_000_000 + b'"}'
    headers = {"Content-Type": "application/json"}
    for content in (announced, stream()):
        answer = await client.post("/api/v1/groups", content=content, headers=headers)
        assert answer.status_code == 413
        assert answer.json()["code"] == "too_large"


async def test_the_log_holds_no_secret(connect: Connect, bob: Actor, client_of: ClientOf) -> None:
    with capture_logs() as logs:
        client = connect()
        await client.post(
            "/api/v1/session", json={"email": "bob@example.com", "password": PASSWORD.reveal()}
        )
        await client.get("/first-admin?token=very-secret-value")
        await client.get("/api/v1/session", headers={"Authorization": "Bearer dpt_1_secret"})
    assert len([each for each in logs if each["event"] == "call"]) == 3
    assert logs[0]["operation"] == "start_session"
    assert logs[0]["status"] == 201
    text = str(logs)
    for secret in (PASSWORD.reveal(), "very-secret-value", "dpt_1_secret", "bob@example.com"):
        assert secret not in text
    for cookie in client.cookies.jar:
        assert str(cookie.value) not in text


async def test_an_unforeseen_error_tells_nothing(api: Api, ctx: Context) -> None:
    @api.get("/broken")
    async def broken() -> None:
        raise RuntimeError("password=hunter2")

    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://daypass.test") as client:
        with capture_logs() as logs:
            answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "hunter2" not in answer.text
    (broke,) = [each for each in logs if each["event"] == "call_broke"]
    assert broke["request_id"] == answer.json()["request_id"]
    assert "RuntimeError" in broke["trace"]


async def test_without_a_store_it_is_up_and_not_ready() -> None:
    store = Store(Secret("host=127.0.0.1 port=1 connect_timeout=1"), min_size=1)
    with pytest.raises(Unavailable):
        await store.open()
    try:
        transport = httpx.ASGITransport(app=create_app(context_of(store)))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://daypass.test", timeout=30
        ) as client:
            assert (await client.get("/healthz")).status_code == 200
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["code"] in {"unavailable", "timeout"}
            assert ready.headers["retry-after"] == "5"
    finally:
        await store.aclose()


async def test_ready_with_a_store(connect: Connect) -> None:
    assert (await connect().get("/readyz")).json() == {"status": "ok"}


async def test_metrics_are_for_this_machine_admins_and_auditors(
    ctx: Context, connect: Connect, client_of: ClientOf, admin: Actor, bob: Actor
) -> None:
    near = connect(address="127.0.0.1")
    text = (await near.get("/metrics")).text
    assert 'daypass_grants{state="revoking"} 0.0' in text
    assert "daypass_revoking_oldest_seconds 0.0" in text
    assert "daypass_http_requests_total" in text
    proxied = await near.get("/metrics", headers={"X-Forwarded-For": "203.0.113.1"})
    assert proxied.status_code == 401
    assert (await connect().get("/metrics")).status_code == 401
    assert (await (await client_of(bob)).get("/metrics")).status_code == 403
    auditor = await person(ctx, admin, "aud@example.com", DaypassRole.AUDITOR)
    assert (await (await client_of(auditor)).get("/metrics")).status_code == 200


async def test_the_first_admins_page(ctx: Context, connect: Connect) -> None:
    offer = await offer_first_admin(ctx)
    assert offer is not None
    token = offer.url.reveal().partition("token=")[2]
    client = connect()
    page = await client.get("/first-admin", params={"token": token})
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    for needed in ('lang="en"', "<main>", '<label for="password">', 'autocomplete="new-password"'):
        assert needed in page.text
    form = {"token": token, "email": "ada@example.com", "name": "<b>Ada</b>", "password": "short"}
    wrong = await client.post("/first-admin", data=form)
    assert wrong.status_code == 422
    assert 'role="alert"' in wrong.text
    assert "&lt;b&gt;Ada" in wrong.text
    assert "<b>Ada" not in wrong.text
    assert "short" not in wrong.text
    done = await client.post("/first-admin", data={**form, "password": PASSWORD.reveal()})
    assert done.status_code == 200
    replay = await client.post(
        "/first-admin",
        data={**form, "email": "eve@example.com", "password": PASSWORD.reveal()},
    )
    assert replay.status_code == 404
    assert (await client.get("/first-admin", params={"token": token})).status_code == 404
    signed_in = await client.post(
        "/api/v1/session", json={"email": "ada@example.com", "password": PASSWORD.reveal()}
    )
    assert "admin" in signed_in.json()["principal"]["roles"]


async def test_forms_of_another_kind_are_refused(connect: Connect) -> None:
    for content in (b"\xff\xfe", b"novalue", b"&".join(b"a=1" for _ in range(50)), b""):
        answer = await connect().post("/first-admin", content=content)
        assert answer.status_code in {400, 404, 422}


def test_behind_a_proxy_a_taken_port_is_an_error_else_the_next_is_taken() -> None:
    with api_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(Unavailable, match=f"port {port} .*public_url") as caught:
            api_socket("127.0.0.1", port, exact=True)
        assert caught.value.next_step
        with api_socket("127.0.0.1", port) as second:
            assert port < second.getsockname()[1] < port + 50
