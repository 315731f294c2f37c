"""People, groups, access tokens and delegations over HTTP."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx

from daypass.domain.principal import Actor, Capability
from daypass.operations.context import Context
from tests.people import PASSWORD

Connect = Callable[..., httpx.AsyncClient]
ClientOf = Callable[..., Awaitable[httpx.AsyncClient]]


async def test_a_person_from_being_added_to_leaving(
    client_of: ClientOf, connect: Connect, admin: Actor
) -> None:
    boss = await client_of(admin)
    added = await boss.post(
        "/api/v1/principals",
        json={
            "email": "Carol@example.com",
            "name": "Carol",
            "roles": ["auditor"],
            "attributes": {"region": "eu"},
            "manager": "ada@example.com",
        },
    )
    assert added.status_code == 201
    carol = added.json()
    assert carol["email"] == "carol@example.com"
    assert carol["roles"] == ["auditor", "member"]
    assert added.headers["location"] == f"/api/v1/principals/{carol['id']}"
    place = added.headers["location"]

    link = await boss.post(f"{place}/password-link")
    assert link.status_code == 201
    value = link.json()["url"].partition("token=")[2]
    page = await connect().get("/choose-password", params={"token": value})
    assert page.status_code == 200
    sent = await connect().post(
        "/choose-password", data={"token": value, "password": PASSWORD.reveal()}
    )
    assert sent.status_code == 200
    again = await connect().post(
        "/choose-password", data={"token": value, "password": PASSWORD.reveal()}
    )
    assert again.status_code == 404
    client = connect()
    login = {"email": "carol@example.com", "password": PASSWORD.reveal()}
    assert (await client.post("/api/v1/session", json=login)).status_code == 201

    assert (await boss.post("/api/v1/groups", json={"name": "dba"})).status_code == 201
    for _ in range(2):
        put = await boss.put(f"/api/v1/groups/dba/members/{carol['id']}")
        assert put.status_code == 204
    group = (await client.get("/api/v1/groups/dba")).json()
    assert [each["email"] for each in group["who"]] == ["carol@example.com"]

    seen = await boss.get(place)
    assert seen.json()["groups"] == ["dba"]
    stale = await boss.patch(place, json={"name": "C"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert stale.json()["code"] == "revision_changed"
    fresh = await boss.patch(place, json={"name": "C"}, headers={"If-Match": seen.headers["etag"]})
    assert fresh.status_code == 200
    assert fresh.json()["name"] == "C"
    assert fresh.json()["attributes"] == {"region": "eu"}
    assert fresh.headers["etag"] != seen.headers["etag"]

    left = await boss.post(f"{place}/leave", json={"reason": "left"})
    assert left.json() == {"left": [carol["id"]]}
    assert (await client.get("/api/v1/session")).status_code == 401
    gone = (await boss.get("/api/v1/principals?left=true")).json()["items"]
    assert [each["email"] for each in gone] == ["carol@example.com"]


async def test_a_token_is_shown_once(client_of: ClientOf, connect: Connect, bob: Actor) -> None:
    client = await client_of(bob)
    body = {"name": "laptop", "capabilities": ["read"], "valid_for": "30m"}
    made = await client.post("/api/v1/tokens", json=body)
    assert made.status_code == 201
    token = made.json()["token"]
    assert token.startswith(f"dpt_{made.json()['id']}_")
    used = connect(token)
    me = (await used.get("/api/v1/session")).json()
    assert me["capabilities"] == ["read"]
    assert me["token_id"] == made.json()["id"]
    listed = await client.get("/api/v1/tokens")
    assert token not in listed.text
    assert "token" not in listed.json()["items"][0]
    assert (await used.post("/api/v1/tokens", json=body)).json()["code"] == "token_capability"
    assert (await used.delete(f"/api/v1/tokens/{made.json()['id']}")).status_code == 204
    assert (await used.get("/api/v1/session")).json()["code"] == "token_unknown"
    assert (await client.delete(f"/api/v1/tokens/{made.json()['id']}")).status_code == 204


async def test_wrong_tokens(client_of: ClientOf, bob: Actor) -> None:
    client = await client_of(bob, Capability.READ, Capability.MANAGE)
    good = {"name": "laptop", "capabilities": ["read"], "valid_for": "30m"}
    for change, status, code in (
        ({"capabilities": ["connect"]}, 403, "token_beyond_issuer"),
        ({"valid_for": "2h"}, 403, "token_beyond_issuer"),
        ({"valid_for": "91d"}, 422, "invalid_token"),
        ({"valid_for": "soon"}, 422, "invalid_input"),
        ({"valid_for": 3600}, 422, "invalid_input"),
        ({"capabilities": []}, 422, "invalid_input"),
        ({"capabilities": ["root"]}, 422, "invalid_input"),
        ({"principal_id": 1}, 404, "principal_not_found"),
        ({"admin": True}, 422, "invalid_input"),
    ):
        answer = await client.post("/api/v1/tokens", json={**good, **change})
        assert (answer.status_code, answer.json()["code"]) == (status, code), change
    problem = (await client.post("/api/v1/tokens", json={**good, "admin": True})).json()
    assert problem["problems"] == [{"place": "admin", "problem": "Extra inputs are not permitted"}]


async def test_service_accounts(
    client_of: ClientOf, connect: Connect, admin: Actor, bob: Actor
) -> None:
    boss, owner = await client_of(admin), await client_of(bob)
    made = await boss.post(
        "/api/v1/service-accounts",
        json={"email": "agent@example.com", "name": "Agent", "owner": "bob@example.com"},
    )
    assert made.status_code == 201
    agent = made.json()
    issued = await owner.post(
        "/api/v1/tokens",
        json={
            "name": "ci",
            "capabilities": ["request", "connect"],
            "valid_for": "30m",
            "principal_id": agent["id"],
        },
    )
    assert issued.status_code == 201
    used = connect(issued.json()["token"])
    assert (await used.get("/api/v1/session")).json()["principal"]["owner"] == "bob@example.com"
    left = await owner.post(f"/api/v1/principals/{agent['id']}/leave", json={"reason": "done"})
    assert left.json() == {"left": [agent["id"]]}
    assert (await used.get("/api/v1/session")).status_code == 401


async def test_delegations(client_of: ClientOf, bob: Actor, admin: Actor) -> None:
    client = await client_of(bob)
    body = {
        "to": "ada@example.com",
        "ends_at": (datetime.now(UTC) + timedelta(days=3)).isoformat(),
        "reason": "holidays",
    }
    made = await client.post("/api/v1/delegations", json=body)
    assert made.status_code == 201
    assert made.json()["live"]
    naive = await client.post("/api/v1/delegations", json={**body, "ends_at": "2030-01-01T00:00"})
    assert naive.json()["code"] == "invalid_input"
    ended = await client.delete(f"/api/v1/delegations/{made.json()['id']}")
    assert ended.status_code == 204
    live = (await client.get("/api/v1/delegations?live=true")).json()["items"]
    assert live == []


async def test_lists_come_in_pages(client_of: ClientOf, admin: Actor) -> None:
    boss = await client_of(admin)
    names = [f"group-{number}" for number in range(7)]
    for name in names:
        await boss.post("/api/v1/groups", json={"name": name})
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = (await boss.get("/api/v1/groups", params={"limit": 2, "cursor": cursor})).json()
        seen += [each["name"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert seen == names
    assert cursor is None
    for wrong in ({"cursor": "nonsense"}, {"limit": 0}, {"limit": 201}, {"offset": 5}):
        answer = await boss.get("/api/v1/groups", params=wrong)
        assert answer.status_code == 422, wrong


async def test_entries_name_what_was_done(
    client_of: ClientOf, ctx: Context, admin: Actor, bob: Actor
) -> None:
    boss = await client_of(admin)
    await boss.post("/api/v1/groups", json={"name": "dba"}, headers={"User-Agent": "pytest\t1"})
    (entry,) = (await boss.get("/api/v1/entries?kind=group")).json()["items"]
    assert entry["kind"] == "group.changed"
    assert entry["actor"] == "ada@example.com"
    assert entry["address"] == "192.0.2.1"
    assert entry["application"] == "pytest1"
    assert entry["content"] == {"group": "dba", "change": "added"}
    assert len(entry["digest"]) == 64
