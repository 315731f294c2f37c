"""Fill a Daypass with the sample company's people, instance, tags and policy."""

from __future__ import annotations

from datetime import timedelta
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from daypass.demo.people import is_person, people_file
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.domain.secret import Secret
from daypass.operations.add_instance import ChosenDatabase, InstanceForm, add_instance
from daypass.operations.add_principal import PrincipalFacts, add_principal
from daypass.operations.apply_policy import apply_policy
from daypass.operations.apply_tags import apply_tag_file
from daypass.operations.change_groups import add_group
from daypass.operations.change_password import choose_password, issue_password_link
from daypass.operations.context import Context
from daypass.operations.issue_token import issue_token
from daypass.operations.make_first_admin import FirstAdminOffer, make_first_admin
from daypass.store import groups, instances, policies, tokens
from daypass.store.principals import find_principal

INSTANCE = "prod"
AGENT = "agent-triage@example.com"
_HERE = "daypass demo"
_AGENT_TOKEN_LASTS = timedelta(days=30)


def policy_files() -> dict[str, str]:
    """Return the sample policy's files by name; its test cases are not part of it."""
    folder = resources.files("daypass.demo") / "policy"
    return {
        item.name: item.read_text(encoding="utf-8")
        for item in folder.iterdir()
        if item.name.endswith(".yaml") and item.name != "cases.yaml"
    }


async def fill(
    ctx: Context,
    offer: FirstAdminOffer | None,
    *,
    port: int,
    admin_user: str,
    admin_password: Secret,
    password: Secret,
) -> Secret | None:
    """Make whatever of the sample is not there yet.

    Everybody gets the same `password`. Returns the agent's access token when it was made now: it
    can be shown this once.
    """
    admin = await _admin(ctx, offer, password)
    await _people_and_groups(ctx, admin, password)
    async with ctx.store.connection() as connection:
        known = await instances.find_instance(connection, INSTANCE)
        policy = await policies.head(connection)
    if known is None:
        await _instance(ctx, admin, port, admin_user, admin_password)
        text = (resources.files("daypass.demo") / "tags.yaml").read_text(encoding="utf-8")
        await apply_tag_file(ctx, admin, "tags.yaml", text)
    if policy is None:
        await apply_policy(ctx, admin, policy_files(), note="the sample company's policy")
    return await _agent_token(ctx, admin)


async def _admin(ctx: Context, offer: FirstAdminOffer | None, password: Secret) -> Actor:
    (facts,) = (p for p in people_file()["people"] if "admin" in p["daypass_roles"])
    if offer is not None:
        query = parse_qs(urlsplit(offer.url.reveal()).query)
        await make_first_admin(
            ctx,
            Secret(query["token"][0]),
            email=facts["email"],
            name=facts["name"],
            password=password,
            address="",
            application=_HERE,
        )
    async with ctx.store.connection() as connection:
        principal = await find_principal(connection, facts["email"])
    if principal is None:
        raise RuntimeError("the state belongs to another Daypass than the demo")
    return Actor(principal, frozenset(Capability), application=_HERE)


async def _people_and_groups(ctx: Context, admin: Actor, password: Secret) -> None:
    sample = people_file()
    wanted = sample["people"]
    async with ctx.store.connection() as connection:
        known_groups = {group.name for group in await groups.list_groups(connection)}
    named = {name for person in wanted for name in person["groups"]}
    named |= {name for database in sample["databases"].values() for name in database["owners"]}
    for name in sorted(named - known_groups):
        await add_group(ctx, admin, name)
    for facts in _managers_first(wanted):
        async with ctx.store.connection() as connection:
            if await find_principal(connection, facts["email"]) is not None:
                continue
        added = await add_principal(
            ctx,
            admin,
            PrincipalFacts(
                email=facts["email"],
                name=facts["name"],
                roles=frozenset(DaypassRole(role) for role in facts["daypass_roles"]),
                groups=frozenset(facts["groups"]),
                attributes=facts.get("attributes", {}),
                manager=facts.get("manager"),
                owner=facts.get("owner"),
            ),
        )
        if is_person(facts):
            await _set_password(ctx, admin, added.id, password)


def _managers_first(people: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ordered: list[dict[str, Any]] = []
    waiting = list(people)
    while waiting:
        done = {person["email"] for person in ordered}
        ready = [
            person
            for person in waiting
            if {person.get("manager"), person.get("owner")} <= done | {None}
        ]
        if not ready:
            raise ValueError("people.yaml: managers and owners go round in a circle")
        ordered += ready
        waiting = [person for person in waiting if person not in ready]
    return ordered


async def _set_password(
    ctx: Context, admin: Actor, principal_id: PrincipalId, password: Secret
) -> None:
    link = await issue_password_link(ctx, admin, principal_id)
    query = parse_qs(urlsplit(link.url.reveal()).query)
    await choose_password(ctx, Secret(query["token"][0]), password, address="", application=_HERE)


async def _instance(
    ctx: Context, admin: Actor, port: int, admin_user: str, admin_password: Secret
) -> None:
    await add_instance(
        ctx,
        admin,
        InstanceForm(
            name=INSTANCE,
            engine="postgres",
            host="127.0.0.1",
            port=port,
            admin_user=admin_user,
            password=admin_password,
            tls_mode="prefer",
            databases=tuple(
                ChosenDatabase(
                    path.partition("/")[2], facts["labels"], tuple(sorted(facts["owners"]))
                )
                for path, facts in people_file()["databases"].items()
            ),
        ),
    )


async def _agent_token(ctx: Context, admin: Actor) -> Secret | None:
    async with ctx.store.connection() as connection:
        agent = await find_principal(connection, AGENT)
        if agent is None or await tokens.list_tokens(connection, principal_id=agent.id, live=True):
            return None
    issued = await issue_token(
        ctx,
        admin,
        name="triage",
        capabilities=frozenset({Capability.READ, Capability.REQUEST, Capability.CONNECT}),
        valid_for=_AGENT_TOKEN_LASTS,
        principal_id=agent.id,
    )
    return issued.secret
