"""The whole story over HTTP alone: ask, decide, use, change, end, prove; and places and policy."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from daypass import demo
from daypass.api.app import create_app
from daypass.domain.ids import GrantId
from daypass.embedded import Cluster
from daypass.operations.close_grant import close_grant
from tests import servers as pg
from tests.conftest import lacking
from tests.people import token_of
from tests.world import CompanyServer, World, company_server, world

ClientOf = Callable[[str], Awaitable[httpx.AsyncClient]]
ASK = {
    "database": "prod/shop",
    "classes": ["select"],
    "relations": ["sales.customers"],
    "duration": "1h",
    "reason": "checkout is slow",
    "ticket": "INC-42",
}
SELECT = "select id, email from sales.customers order by id limit 3"


@pytest.fixture(scope="module")
def company() -> Iterator[CompanyServer]:
    """Start the sample company on the newest server there is."""
    binaries = pg.binaries_of(18)
    if binaries is None:
        lacking("PostgreSQL 18 is not installed")
    with company_server(binaries) as found:
        yield found


@pytest.fixture
async def here(store_cluster: Cluster, company: CompanyServer) -> AsyncIterator[World]:
    """Return a Daypass that knows the company, with nothing granted yet."""
    async with world(store_cluster, company) as found:
        yield found


@pytest.fixture
async def client_of(here: World) -> AsyncIterator[ClientOf]:
    """Return a function that makes a client for somebody of the sample company."""
    app = create_app(here.ctx)
    clients: list[httpx.AsyncClient] = []

    async def make(name: str) -> httpx.AsyncClient:
        issued = await token_of(here.ctx, await here.actor(name))
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, client=("192.0.2.1", 50000)),
            base_url="http://daypass.test/api/v1",
            headers={"Authorization": f"Bearer {issued.secret.reveal()}"},
            timeout=60,
        )
        clients.append(client)
        return client

    yield make
    for each in clients:
        await each.aclose()


async def test_from_asking_to_the_receipt(here: World, client_of: ClientOf) -> None:
    ada, dana, anton = [await client_of(name) for name in ("ada", "dana", "anton")]
    filed = await ada.post("/requests", json=ASK)
    assert filed.status_code == 201, filed.text
    assert filed.json()["decision"]["rule"] == "on-call reads production by itself"
    assert "sales.customers.email" in filed.json()["masked"]
    grant = filed.json()["grant_id"]

    result = await ada.post("/query", json={"database": "prod/shop", "text": SELECT})
    assert result.status_code == 200, result.text
    assert [each["name"] for each in result.json()["columns"]] == ["id", "email"]
    assert len(result.json()["rows"]) == 3
    assert all("***" in row[1] for row in result.json()["rows"])
    assert result.json()["masked"] == ["email"]
    wrong = await ada.post("/query", json={"database": "prod/shop", "text": "select 1/0"})
    assert wrong.json()["sqlstate"] == "22012"
    denied = await ada.post(
        "/query", json={"database": "prod/shop", "text": "select * from hr.employees"}
    )
    assert denied.status_code == 403
    assert denied.json()["next_step"]

    shown = (await ada.get(f"/grants/{grant}")).json()
    assert shown["state"] == "active"
    assert 3500 < shown["remaining_s"] <= 3600
    (relation,) = shown["scope"]["relations"]
    assert relation["name"] == "sales.customers"
    shorter = await ada.post(
        f"/grants/{grant}/shorten", json={"deadline": shown["deadline"], "reason": ""}
    )
    assert shorter.json()["code"] == "deadline_not_sooner"
    more = await ada.post(
        f"/grants/{grant}/extend", json={"duration": "30m", "reason": "more", "ticket": "INC-42"}
    )
    assert more.status_code == 201, more.text
    assert (await ada.get(f"/grants/{grant}")).json()["remaining_s"] > 5000
    early = await ada.get(f"/grants/{grant}/receipt")
    assert early.json()["code"] == "no_receipt"
    revoked = await dana.post(f"/grants/{grant}/revoke", json={"reason": "migration"})
    assert revoked.status_code == 204, revoked.text
    await close_grant(here.ctx, GrantId(grant))
    receipt = await ada.get(f"/grants/{grant}/receipt")
    assert receipt.status_code == 200, receipt.text
    assert receipt.json()["probes"]
    sessions = (await anton.get(f"/grants/{grant}/sessions")).json()["items"]
    assert {each["state"] for each in sessions} == {"closed"}
    ended = await ada.post("/query", json={"database": "prod/shop", "text": "select 1"})
    assert ended.status_code == 403
    assert ended.json()["code"] == "no_grant"
    log = (await anton.get(f"/entries?grant_id={grant}&limit=200")).json()["items"]
    kinds = {each["kind"] for each in log}
    assert {"grant.made", "statement.started", "grant.ended", "receipt.issued"} <= kinds


async def test_two_steps_of_approval(here: World, client_of: ClientOf) -> None:
    ben, dana, samira, cleo = [await client_of(name) for name in ("ben", "dana", "samira", "cleo")]
    filed = await ben.post("/requests", json={**ASK, "unmask": ["sales.customers.email"]})
    assert filed.status_code == 201, filed.text
    number = filed.json()["request_id"]
    assert filed.json()["grant_id"] is None
    assert filed.json()["decision"]["outcome"] == "needs_approval"
    place = f"/requests/{number}"
    own = await ben.post(f"{place}/approve", json={})
    assert own.status_code == 403
    assert (await cleo.get(place)).status_code == 404
    assert (await cleo.post(f"{place}/approve", json={})).status_code == 404
    early = await samira.post(f"{place}/approve", json={})
    assert early.status_code == 403
    waiting = (await dana.get("/requests?awaiting_me=true")).json()["items"]
    assert [each["id"] for each in waiting] == [number]
    assert (await samira.get("/requests?awaiting_me=true")).json()["items"] == []
    first = await dana.post(f"{place}/approve", json={"comment": "fine", "duration": "30m"})
    assert first.status_code == 200, first.text
    assert first.json()["request"]["state"] == "pending"
    twice = await dana.post(f"{place}/approve", json={})
    assert twice.status_code == 403
    shown = (await samira.get(place)).json()
    assert shown["awaits_me"]
    assert [step["done"] for step in shown["steps"]] == [True, False]
    last = await samira.post(f"{place}/approve", json={})
    assert last.json()["request"]["state"] == "approved"
    late = await dana.post(f"{place}/deny", json={"comment": "no"})
    assert late.status_code == 409
    grants = (await ben.get("/grants?mine=true&state=active&state=scheduled")).json()["items"]
    assert [each["request_id"] for each in grants] == [number]
    clear = await ben.post("/query", json={"database": "prod/shop", "text": SELECT})
    assert "@" in clear.json()["rows"][0][1]
    assert clear.json()["masked"] == []
    anton = await client_of("anton")
    log = (await anton.get(f"/entries?grant_id={grants[0]['id']}&limit=200")).json()["items"]
    approved = [each["actor"] for each in log if each["kind"] == "approval.given"]
    assert approved == ["samira@example.com", "dana@example.com"]
    assert (await ben.post(f"/grants/{grants[0]['id']}/release")).status_code == 204


async def test_wrong_turns_are_answered_helpfully(here: World, client_of: ClientOf) -> None:
    ada = await client_of("ada")
    typo = await ada.post("/requests", json={**ASK, "relations": ["sales.customer"]})
    assert typo.status_code == 422
    assert "sales.customers" in typo.text
    none = await ada.post("/requests", json={**ASK, "ticket": ""})
    assert none.status_code == 403
    assert none.json()["decision"]["rule"] == "on-call reads production by itself"
    assert none.json()["decision"]["reasons"][0]["code"] == "ticket_missing"
    assert none.json()["next_step"]
    seen = set()
    for database in ("prod/nothing", "nowhere/shop"):
        answer = await ada.post("/requests", json={**ASK, "database": database})
        seen.add((answer.status_code, answer.json()["code"]))
    assert seen == {(403, "no_rule")}
    empty = await ada.post("/requests", json={"database": "prod/shop"})
    assert empty.json()["code"] == "invalid_input"


async def test_what_if(here: World, client_of: ClientOf) -> None:
    ada, samira = await client_of("ada"), await client_of("samira")
    mine = await ada.post("/what-if", json=ASK)
    assert mine.status_code == 200, mine.text
    assert mine.json()["decision"]["outcome"] == "allowed"
    assert any(each["result"] == "decided" for each in mine.json()["rules"])
    masks = {each["name"]: each["mask"] for each in mine.json()["relations"][0]["columns"]}
    assert masks["email"] == "email"
    theirs = await ada.post("/what-if", json={**ASK, "person": "ben@example.com"})
    assert theirs.status_code == 403
    asked = await samira.post("/what-if", json={**ASK, "person": "ben@example.com"})
    assert asked.json()["decision"]["outcome"] == "needs_approval"


async def test_places(here: World, client_of: ClientOf) -> None:
    ada, dana, robin = [await client_of(name) for name in ("ada", "dana", "anton")]
    assert [each["name"] for each in (await ada.get("/instances")).json()["items"]] == ["prod"]
    assert (await ada.get("/instances/prod")).json()["address"] is None
    assert (await robin.get("/instances/prod")).json()["address"]["secret_kind"] == "sealed"
    shop = (await ada.get("/databases/prod/shop")).json()
    assert shop["path"] == "prod/shop"
    catalog = (await ada.get("/databases/prod/shop/catalog")).json()
    customers = next(each for each in catalog["relations"] if each["name"] == "sales.customers")
    email = next(each for each in customers["columns"] if each["name"] == "email")
    assert email["tags"] == ["pii.email"]
    body = {"changes": [{"relation": "sales.customers", "column": "notes", "tags": ["pii.free"]}]}
    assert (await ada.post("/databases/prod/shop/tags", json=body)).status_code == 403
    preview = await dana.post("/databases/prod/shop/tags", json={**body, "preview": True})
    assert preview.status_code == 200, preview.text
    assert not preview.json()["applied"]
    assert (await dana.post("/databases/prod/shop/tags", json=body)).json()["applied"]
    suggested = await dana.post("/databases/prod/shop/suggestions", json={})
    assert suggested.status_code == 200, suggested.text
    assert suggested.json()["looked_at"] > 0
    assert (await ada.post("/databases/prod/shop/suggestions", json={})).status_code == 403
    for each in suggested.json()["items"][:1]:
        decided = await dana.post(
            "/databases/prod/shop/suggestions/decide", json={"ids": [each["id"]], "accept": False}
        )
        assert decided.json()["items"][0]["state"] == "dismissed"
    synced = await dana.post("/databases/prod/shop/sync")
    assert synced.status_code == 200, synced.text
    assert not synced.json()["changed"]
    doctor = await dana.get("/instances/prod/doctor")
    assert doctor.status_code == 200, doctor.text
    assert doctor.json()["findings"]
    scan = await robin.get("/instances/prod/scan")
    assert scan.status_code == 200, scan.text
    assert "logins" in scan.json()["headline"]
    assert (await ada.get("/instances/prod/scan")).status_code == 403
    stranger = await ada.patch("/instances/prod", json={"labels": {"env": "dev"}})
    assert stranger.status_code == 403


async def test_policy(here: World, client_of: ClientOf) -> None:
    samira, anton, ada = [await client_of(name) for name in ("samira", "anton", "ada")]
    in_force = await samira.get("/policy")
    version = in_force.json()["version"]
    assert in_force.headers["etag"] == f'"{version}"'
    folder = Path(demo.__file__).parent / "policy"
    files = {path.name: path.read_text() for path in sorted(folder.glob("*.yaml"))}
    checked = await anton.post("/policy/check", json={"files": files})
    assert checked.json()["ok"], checked.text
    tested = await samira.post("/policy/test", json={"files": files})
    assert tested.json()["ok"], [each for each in tested.json()["cases"] if not each["holds"]]
    broken = {**files, "policy.yaml": files["policy.yaml"].replace("access:", "acces:", 1)}
    wrong = await samira.post("/policy/check", json={"files": broken})
    assert wrong.status_code == 422
    assert wrong.json()["problems"][0]["place"].startswith("policy.yaml:")
    changed = {
        **files,
        "policy.yaml": files["policy.yaml"].replace("max_duration: 2h", "max_duration: 3h", 1),
    }
    difference = await anton.post("/policy/diff", json={"files": changed})
    assert len(difference.json()["changes"]) == 1, difference.text
    assert (await anton.put("/policy", json={"files": changed})).status_code == 403
    assert (await ada.get("/policy")).status_code == 403
    stale = await samira.put("/policy", json={"files": changed, "expected": version + 7})
    assert stale.status_code == 409
    applied = await samira.put("/policy", json={"files": changed, "note": "longer"})
    assert applied.status_code == 200, applied.text
    assert applied.json()["changed"]
    back = await samira.post("/policy/roll-back", json={"version": version})
    assert back.status_code == 200, back.text
    history = (await anton.get("/policy/versions")).json()["items"]
    assert history[0]["rollback_of"] == version
    one = await anton.get(f"/policy/versions/{version}")
    assert set(one.json()["files"]) == set(in_force.json()["files"])
