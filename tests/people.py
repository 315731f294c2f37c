"""People for tests: made through the operations, signed in as an `Actor` or by access token."""

import secrets
from dataclasses import replace
from datetime import timedelta

from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Actor, Capability, DaypassRole, PrincipalKind
from daypass.domain.secret import Secret
from daypass.operations.add_principal import PrincipalFacts, add_principal
from daypass.operations.change_groups import add_group
from daypass.operations.context import Context
from daypass.operations.issue_token import IssuedToken, issue_token
from daypass.operations.token_form import SCRAM_ITERATIONS, SCRAM_SALT_BYTES
from daypass.store import passwords, principals

PASSWORD = Secret("staple-orbit-candle-77")

# Of PASSWORD, at the least expense argon2 knows: verifying it costs the tests no time.
CHEAP_VERIFIER = (
    "$argon2id$v=19$m=8,t=1,p=1$rWQfAHBPJYgVAdi6WkLieg$NBfQOLFME3geYpr3+vPZpFVu06DPoE4mXGRdsBjv6yU"
)


async def first_admin(ctx: Context, email: str = "ada@example.com") -> Actor:
    """Put the first admin into the store, who can sign in with PASSWORD."""
    async with ctx.store.transaction() as tx:
        principal_id = await principals.add_principal(
            tx,
            principals.NewPrincipal(
                kind=PrincipalKind.PERSON,
                name="Ada Admin",
                email=email,
                roles=frozenset({DaypassRole.ADMIN, DaypassRole.MEMBER}),
                attributes={},
                scram_salt=secrets.token_bytes(SCRAM_SALT_BYTES),
                scram_iterations=SCRAM_ITERATIONS,
            ),
        )
        await passwords.set_verifier(tx, principal_id, CHEAP_VERIFIER)
    return await actor_of(ctx, email)


async def actor_of(
    ctx: Context, email: str, capabilities: frozenset[Capability] | None = None
) -> Actor:
    """Return somebody as signed in now, with all capabilities unless some are named."""
    async with ctx.store.transaction() as tx:
        principal = await principals.find_principal(tx, email)
    assert principal is not None
    return Actor(
        principal, frozenset(Capability) if capabilities is None else capabilities, "192.0.2.1"
    )


async def person(
    ctx: Context,
    admin: Actor,
    email: str,
    *roles: DaypassRole,
    groups: frozenset[str] = frozenset(),
    manager: str | None = None,
    owner: str | None = None,
) -> Actor:
    """Add a person (a service account when it has an owner) who can sign in with PASSWORD."""
    for group in groups:
        async with ctx.store.transaction() as tx:
            cursor = await tx.execute("select from people_group where name = %s", (group,))
            known = await cursor.fetchone() is not None
        if not known:
            await add_group(ctx, admin, group)
    facts = PrincipalFacts(
        email=email,
        name=email.partition("@")[0].title(),
        roles=frozenset(roles) | {DaypassRole.MEMBER},
        groups=groups,
        manager=manager,
        owner=owner,
    )
    added = await add_principal(ctx, admin, facts)
    if owner is None:
        async with ctx.store.transaction() as tx:
            await passwords.set_verifier(tx, added.id, CHEAP_VERIFIER)
    return await actor_of(ctx, email)


async def token_of(
    ctx: Context,
    actor: Actor,
    *capabilities: Capability,
    valid_for: timedelta = timedelta(hours=1),
    principal_id: PrincipalId | None = None,
) -> IssuedToken:
    """Issue an access token, with all capabilities unless some are named."""
    return await issue_token(
        ctx,
        actor,
        name="test",
        capabilities=frozenset(capabilities) or frozenset(Capability),
        valid_for=valid_for,
        principal_id=principal_id,
    )


def using(actor: Actor, issued: IssuedToken) -> Actor:
    """Return the actor as acting by an access token."""
    return replace(
        actor,
        capabilities=frozenset(Capability(each) for each in issued.token.capabilities),
        token_id=issued.token.id,
    )
