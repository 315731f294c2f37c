"""Every route keeps to what it declares, called as nobody, with a weak token, as somebody else."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx

from daypass.api.app import Api, declared_routes
from daypass.api.facts import Declared
from daypass.domain.ids import GrantId, ScopeHash
from daypass.domain.principal import Actor, Capability
from daypass.operations.context import Context
from daypass.operations.delegate_decisions import delegate_decisions
from daypass.store.database import Tx, now
from daypass.store.entries import list_entries
from daypass.store.sessions import insert_session
from tests.api_examples import example_body
from tests.people import person, token_of

Connect = Callable[..., httpx.AsyncClient]
ClientOf = Callable[..., Awaitable[httpx.AsyncClient]]
GUARDED = tuple(each for each in declared_routes() if not each.facts.callers.public)


async def _call(
    client: httpx.AsyncClient,
    api: Api,
    declared: Declared,
    places: dict[str, int | str],
    **more: Any,
) -> httpx.Response:
    path = declared.path
    for name, value in places.items():
        path = path.replace("{" + name + "}", str(value))
    assert "{" not in path, f"the test knows no value for {path}"
    document = api.openapi()
    operation = document["paths"][declared.path][declared.method.lower()]
    body = example_body(document, operation)
    return await client.request(declared.method, path, json=body, **more)


PLACES: dict[str, int | str] = {
    "principal_id": 1,
    "name": "prod",
    "instance": "prod",
    "token_id": 1,
    "delegation_id": 1,
    "request_id": 1,
    "grant_id": 1,
    "session_id": 1,
    "version": 1,
    "entry_id": 1,
}


async def test_nobody_is_let_in(api: Api, connect: Connect, bob: Actor) -> None:
    client = connect()
    for declared in GUARDED:
        answer = await _call(client, api, declared, PLACES)
        assert answer.status_code == 401, declared.operation_id
        assert answer.json()["code"] == "unauthenticated"
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_weak_token_is_denied_even_to_an_admin(
    api: Api, client_of: ClientOf, admin: Actor
) -> None:
    for capability in Capability:
        lacking = [each for each in Capability if each is not capability]
        client = await client_of(admin, *lacking)
        for declared in GUARDED:
            if declared.facts.capability is not capability:
                continue
            answer = await _call(client, api, declared, PLACES)
            assert answer.status_code == 403, declared.operation_id
            assert answer.json()["code"] == "token_capability"


async def test_roles_are_asked_for(api: Api, client_of: ClientOf, bob: Actor) -> None:
    client = await client_of(bob)
    asked = [each for each in GUARDED if each.facts.callers.roles]
    assert len(asked) > 10
    for declared in asked:
        answer = await _call(client, api, declared, PLACES)
        assert answer.status_code == 403, declared.operation_id
        assert answer.json()["code"] == "daypass_role"
        assert answer.json()["next_step"]


async def test_a_cookie_changes_nothing_without_its_header(
    api: Api, connect: Connect, bob: Actor
) -> None:
    client = connect()
    signed_in = await client.post(
        "/api/v1/session", json={"email": "bob@example.com", "password": "staple-orbit-candle-77"}
    )
    assert signed_in.status_code == 201
    for declared in GUARDED:
        if declared.method == "GET":
            continue
        answer = await _call(client, api, declared, PLACES)
        assert answer.status_code == 403, declared.operation_id
        assert answer.json()["code"] == "csrf"


async def test_what_is_anothers_looks_as_if_it_did_not_exist(
    api: Api, ctx: Context, client_of: ClientOf, bob: Actor, admin: Actor
) -> None:
    """Call every route with ids of somebody else's things, and with ids of nothing."""
    eve = await person(ctx, admin, "eve@example.com")
    client = await client_of(eve)
    theirs = await _things_of(ctx, bob, admin)
    nothing: dict[str, int | str] = dict.fromkeys(theirs, 999_999) | {
        "name": "nothing",
        "instance": "nowhere",
    }
    tried = 0
    for declared in GUARDED:
        if "{" not in declared.path or declared.facts.callers.roles:
            continue
        if declared.operation_id in _FOR_ANYBODY:
            continue
        tried += 1
        real = await _call(client, api, declared, theirs)
        unreal = await _call(client, api, declared, nothing)
        assert real.status_code == unreal.status_code == 404, declared.operation_id
        assert _shape(real, theirs) == _shape(unreal, nothing), declared.operation_id
    assert tried > 30
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute(
            """
            select (select state from request where id = %(request_id)s),
              (select state from access_grant where id = %(grant_id)s),
              (select revoked_at is null from access_token where id = %(token_id)s),
              (select ended_at is null from delegation where id = %(delegation_id)s),
              (select active and name = 'Bob' from principal where id = %(principal_id)s)
            """,
            theirs,
        )
        assert await cursor.fetchone() == ("approved", "active", True, True, True)


# Groups and their names are nobody's secret; who is in them is tested elsewhere.
_FOR_ANYBODY = {"show_one_group"}


def _shape(answer: httpx.Response, places: dict[str, int | str]) -> dict[str, Any]:
    shape: dict[str, Any] = answer.json()
    shape.pop("request_id")
    # Longest first: an id may be part of another.
    text = str(shape)
    for value in sorted({str(each) for each in places.values()}, key=len, reverse=True):
        text = text.replace(value, "…")
    return {"text": text}


async def test_lists_hold_ones_own_only(
    ctx: Context, client_of: ClientOf, bob: Actor, admin: Actor
) -> None:
    await _things_of(ctx, bob, admin)
    eve = await client_of(await person(ctx, admin, "eve@example.com"))
    mine = await client_of(bob)
    for path in ("requests", "grants", "delegations", "instances", "databases"):
        assert (await eve.get(f"/api/v1/{path}")).json()["items"] == [], path
    for path in ("requests", "grants", "delegations"):
        assert len((await mine.get(f"/api/v1/{path}")).json()["items"]) == 1, path
    tokens = (await eve.get("/api/v1/tokens")).json()["items"]
    assert {each["principal"] for each in tokens} == {"eve@example.com"}
    people = (await eve.get("/api/v1/principals")).json()["items"]
    assert [each["email"] for each in people] == ["eve@example.com"]
    seen = (await eve.get("/api/v1/entries?limit=200")).json()["items"]
    assert {each["actor"] for each in seen} == {"eve@example.com"}
    others = await eve.get("/api/v1/entries?actor=bob@example.com")
    assert others.json()["items"] == []
    everything = (await (await client_of(admin)).get("/api/v1/entries")).json()["items"]
    assert {each["actor"] for each in everything} > {"bob@example.com", "ada@example.com"}
    about = {e["subject"] for e in everything if e["kind"] == "principal.added"}
    assert "eve@example.com" in about
    own, other = seen[0], next(e for e in everything if e["actor"] == "bob@example.com")
    whole = (await eve.get(f"/api/v1/entries/{own['id']}")).json()
    assert hashlib.sha256(whole["canonical"].encode()).hexdigest() == own["digest"]
    assert (await eve.get(f"/api/v1/entries/{other['id']}")).status_code == 404
    typo = await eve.get("/api/v1/entries?kind=polcy.applied")
    assert typo.status_code == 422
    assert "did you mean policy.applied" in typo.json()["detail"]


async def test_nothing_works_for_somebody_who_left(
    api: Api, ctx: Context, client_of: ClientOf, connect: Connect, bob: Actor, admin: Actor
) -> None:
    client = await client_of(bob)
    left = await (await client_of(admin)).post(
        f"/api/v1/principals/{bob.id}/leave", json={"reason": "left"}
    )
    assert left.json() == {"left": [bob.id]}
    for declared in GUARDED:
        answer = await _call(client, api, declared, PLACES)
        assert answer.status_code == 401, declared.operation_id


async def _things_of(ctx: Context, bob: Actor, admin: Actor) -> dict[str, int | str]:
    """Make one of everything that is Bob's; targets are never reached."""
    token = await token_of(ctx, bob)
    async with ctx.store.transaction() as tx:
        moment = await now(tx)
    delegation = await delegate_decisions(
        ctx, bob, to="ada@example.com", ends_at=moment + timedelta(days=1)
    )
    async with ctx.store.transaction() as tx:
        made = await list_entries(tx, actor_id=bob.id, limit=1)
        request_id, grant_id = await _grant(tx, bob)
        session_id, _ = await insert_session(
            tx,
            grant_id=GrantId(grant_id),
            kind="gateway",
            scope_hash=ScopeHash("none"),
            process_id=ctx.process_id,
            address="",
            application="",
        )
    return {
        "principal_id": bob.id,
        "token_id": token.token.id,
        "delegation_id": delegation.id,
        "request_id": request_id,
        "grant_id": grant_id,
        "entry_id": made[0].id,
        "session_id": session_id,
        "name": "shop",
        "instance": "prod",
        "version": 1,
    }


async def _grant(tx: Tx, bob: Actor) -> tuple[int, int]:
    cursor = await tx.execute(
        """
        with instance as (
          insert into instance (name, engine, host, port, admin_user, admin_secret)
          values ('prod', 'postgres', 'db.example.com', 5432, 'admin', 'env:NOTHING'),
            ('shop', 'postgres', 'db.example.com', 5433, 'admin', 'env:NOTHING')
          returning id, name
        ), database as (
          insert into database (instance_id, name) select id, 'shop' from instance
          where name = 'prod'
          returning id
        ), policy as (
          insert into policy_version (files, digest) values (%(files)s, 'none') returning version
        ), request as (
          insert into request (
            requester_id, database_id, asked, duration, state, decision, policy_version,
            pending_until, decided_at
          )
          select %(bob)s, database.id, %(asked)s, interval '1 h', 'pending', '{}',
            policy.version, now(), null
          from database, policy
          returning id, database_id
        ), grant_made as (
          insert into access_grant (
            request_id, principal_id, database_id, asked, starts_at, deadline, state
          )
          select id, %(bob)s, database_id, %(asked)s, now(), now() + interval '1 h', 'active'
          from request
          returning id, request_id
        )
        select request_id, id from grant_made
        """,
        {
            "bob": bob.id,
            "files": '{"policy.yaml": "defaults: {unclassified: full}"}',
            "asked": (
                '{"classes": ["select"], "relations": ["*.*"], "unmask": [], "row_filters": {},'
                ' "settings": {}, "native_role": null}'
            ),
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    await tx.execute(
        "update request set state = 'approved', decided_at = now() where id = %s", (row[0],)
    )
    await tx.execute("update policy_head set version = (select max(version) from policy_version)")
    return row[0], row[1]
