"""Access tokens: verifiers only, never more than their issuer, gone when revoked."""

import asyncio
import base64
import hashlib
import hmac
import secrets
from datetime import timedelta

import pytest

from daypass.domain.errors import Denied, Error, Invalid, NotFound, Unauthenticated
from daypass.domain.ids import PrincipalId, TokenId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.domain.secret import Secret
from daypass.operations.authenticate import BearerToken, authenticate
from daypass.operations.context import Context
from daypass.operations.issue_token import IssuedToken, issue_token
from daypass.operations.principal_leaves import principal_leaves
from daypass.operations.revoke_token import revoke_token
from daypass.operations.token_form import token_id_of
from daypass.store import principals, tokens
from tests.people import first_admin, person, token_of, using


@pytest.fixture
async def admin(ctx: Context) -> Actor:
    return await first_admin(ctx)


@pytest.fixture
async def bob(ctx: Context, admin: Actor) -> Actor:
    return await person(ctx, admin, "bob@example.com")


async def _who(ctx: Context, token: Secret) -> Actor:
    return await authenticate(ctx, BearerToken(token), address="", application="")


async def _works(ctx: Context, issued: IssuedToken) -> bool:
    try:
        await _who(ctx, issued.secret)
    except Unauthenticated:
        return False
    return True


async def test_a_token_acts_with_its_capabilities(ctx: Context, bob: Actor) -> None:
    issued = await token_of(ctx, bob, Capability.READ, Capability.CONNECT)
    actor = await _who(ctx, issued.secret)
    assert actor.principal == bob.principal
    assert actor.capabilities == {Capability.READ, Capability.CONNECT}
    assert actor.token_id == issued.token.id == token_id_of(issued.secret)


async def test_a_token_without_manage_uses_no_role(ctx: Context, admin: Actor) -> None:
    actor = await _who(ctx, (await token_of(ctx, admin, Capability.READ)).secret)
    assert DaypassRole.ADMIN in actor.principal.roles
    assert not actor.has_role(DaypassRole.ADMIN)


async def test_only_verifiers_are_stored(ctx: Context, bob: Actor) -> None:
    issued = await token_of(ctx, bob)
    clear = issued.secret.reveal()
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute(
            "select to_jsonb(t)::text, (select string_agg(canonical, '') from entry)"
            " from access_token t"
        )
        text = str(await cursor.fetchall())
    assert clear not in text
    assert clear.rpartition("_")[2] not in text
    assert hashlib.sha256(clear.encode()).hexdigest() in text


async def test_a_scram_proof_verifies_against_what_is_stored(ctx: Context, bob: Actor) -> None:
    # The client's side by RFC 5802 section 3, written out; the server's is what the store has.
    issued, other = await token_of(ctx, bob), await token_of(ctx, bob)
    async with ctx.store.transaction() as tx:
        salt, iterations = await principals.scram_parameters(tx, bob.id)
        verifiers = await tokens.list_verifiers(tx, bob.id)
    assert iterations == 4096
    client_nonce, server_nonce = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    salt_text = base64.b64encode(salt).decode()
    auth_message = (
        f"n=,r={client_nonce},r={client_nonce}{server_nonce},s={salt_text},i={iterations},"
        f"c=biws,r={client_nonce}{server_nonce}"
    ).encode()
    salted = hashlib.pbkdf2_hmac("sha256", issued.secret.reveal().encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), auth_message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))

    def proven(stored_key: bytes) -> bool:
        expected = hmac.digest(stored_key, auth_message, "sha256")
        key = bytes(a ^ b for a, b in zip(proof, expected, strict=True))
        return hashlib.sha256(key).digest() == stored_key

    matching = [each for each in verifiers if proven(each.scram_stored_key)]
    assert [each.id for each in matching] == [issued.token.id]
    assert len(verifiers) == 2
    assert other.token.id != issued.token.id
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    assert matching[0].scram_server_key == server_key


async def test_ids_and_secrets_do_not_mix(ctx: Context, bob: Actor, admin: Actor) -> None:
    mine, theirs = await token_of(ctx, bob), await token_of(ctx, admin)
    forged = f"dpt_{theirs.token.id}_{mine.secret.reveal()[-43:]}"
    with pytest.raises(Unauthenticated):
        await _who(ctx, Secret(forged))


@pytest.mark.parametrize(
    "spoil",
    [
        "update access_token set revoked_at = now()",
        """
        alter table access_token disable trigger access_token_immutable;
        update access_token set created_at = now() - interval '2 h', expires_at = now();
        alter table access_token enable trigger access_token_immutable
        """,
        "update principal set active = false where email = 'bob@example.com'",
    ],
)
async def test_what_ends_a_token(ctx: Context, bob: Actor, spoil: str) -> None:
    issued = await token_of(ctx, bob)
    assert await _works(ctx, issued)
    async with ctx.store.transaction() as tx:
        await tx.execute(spoil.encode())
    assert not await _works(ctx, issued)
    async with ctx.store.transaction() as tx:
        assert await tokens.list_verifiers(tx, bob.id) == ()


async def test_use_is_noted_once_a_minute(ctx: Context, bob: Actor) -> None:
    issued = await token_of(ctx, bob)
    seen = []
    for _ in range(2):
        await _who(ctx, issued.secret)
        async with ctx.store.transaction() as tx:
            seen.append((await tokens.get_token(tx, issued.token.id)).last_used_at)
    assert seen[0] is not None
    assert seen[0] == seen[1]


async def test_a_token_gives_no_more_than_it_has(ctx: Context, bob: Actor) -> None:
    weak = using(bob, await token_of(ctx, bob, Capability.READ))
    strong = using(
        bob,
        await token_of(
            ctx, bob, Capability.READ, Capability.MANAGE, valid_for=timedelta(minutes=30)
        ),
    )
    cases: list[tuple[Actor, Capability, timedelta, str]] = [
        (weak, Capability.READ, timedelta(minutes=5), "token_capability"),
        (strong, Capability.CONNECT, timedelta(minutes=5), "token_beyond_issuer"),
        (strong, Capability.READ, timedelta(minutes=31), "token_beyond_issuer"),
    ]
    for actor, capability, valid_for, code in cases:
        with pytest.raises(Denied) as caught:
            await token_of(ctx, actor, capability, valid_for=valid_for)
        assert caught.value.detail_code == code
    await token_of(ctx, strong, Capability.READ, valid_for=timedelta(minutes=5))


async def test_revoking_takes_descendants_along(ctx: Context, bob: Actor) -> None:
    parent = await token_of(ctx, bob)
    child = await token_of(ctx, using(bob, parent), valid_for=timedelta(minutes=30))
    grandchild = await token_of(ctx, using(bob, child), valid_for=timedelta(minutes=10))
    bystander = await token_of(ctx, bob)
    await revoke_token(ctx, bob, parent.token.id)
    await revoke_token(ctx, bob, parent.token.id)  # gone already is no error
    working = [await _works(ctx, each) for each in (parent, child, grandchild, bystander)]
    assert working == [False, False, False, True]
    with pytest.raises(Unauthenticated):
        await token_of(ctx, using(bob, parent), valid_for=timedelta(minutes=5))
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute("select count(*) from entry where kind = 'token.revoked'")
        assert await cursor.fetchone() == (3,)


async def test_a_token_revoked_while_issuing_leaves_no_heir(ctx: Context, bob: Actor) -> None:
    for _ in range(5):
        parent = await token_of(ctx, bob)
        acting = using(bob, parent)
        issued, _ = await asyncio.gather(
            token_of(ctx, acting, valid_for=timedelta(minutes=5)),
            revoke_token(ctx, bob, parent.token.id),
            return_exceptions=True,
        )
        if isinstance(issued, IssuedToken):
            assert not await _works(ctx, issued)
        else:
            assert isinstance(issued, Unauthenticated)


async def test_nobody_revokes_or_learns_of_anothers(ctx: Context, bob: Actor, admin: Actor) -> None:
    eve = await person(ctx, admin, "eve@example.com")
    issued = await token_of(ctx, bob)

    async def revoked_by_eve(token_id: int) -> tuple[str, str]:
        with pytest.raises(NotFound) as caught:
            await revoke_token(ctx, eve, TokenId(token_id))
        return caught.value.message.replace(str(token_id), "N"), caught.value.detail_code

    assert await revoked_by_eve(issued.token.id) == await revoked_by_eve(999_999)
    assert await _works(ctx, issued)
    weak = using(bob, await token_of(ctx, bob, Capability.READ))
    with pytest.raises(Denied):
        await revoke_token(ctx, weak, issued.token.id)
    assert weak.token_id is not None
    await revoke_token(ctx, weak, TokenId(weak.token_id))  # itself it may
    await revoke_token(ctx, admin, issued.token.id)
    assert not await _works(ctx, issued)


async def test_nobody_issues_in_another_persons_name(
    ctx: Context, bob: Actor, admin: Actor
) -> None:
    async def code(actor: Actor, target: int) -> str:
        with pytest.raises(Error) as caught:
            await token_of(ctx, actor, principal_id=PrincipalId(target))
        return caught.value.detail_code

    assert await code(admin, bob.id) == "own_tokens_only"
    assert await code(bob, admin.id) == "principal_not_found"
    assert await code(bob, 999_999) == "principal_not_found"


async def test_tokens_of_service_accounts(ctx: Context, bob: Actor, admin: Actor) -> None:
    eve = await person(ctx, admin, "eve@example.com")
    agent = await person(ctx, admin, "agent@example.com", owner="bob@example.com")
    for actor in (bob, admin):
        issued = await token_of(ctx, actor, principal_id=agent.id, valid_for=timedelta(days=365))
        assert (await _who(ctx, issued.secret)).id == agent.id
    with pytest.raises(NotFound):
        await token_of(ctx, eve, principal_id=agent.id)
    with pytest.raises(Denied) as caught:
        await token_of(ctx, agent)
    assert caught.value.detail_code == "person_needed"


async def test_an_owner_gets_no_roles_by_a_service_account(
    ctx: Context, bob: Actor, admin: Actor
) -> None:
    robot = await person(
        ctx, admin, "robot@example.com", DaypassRole.ADMIN, owner="bob@example.com"
    )
    with pytest.raises(Denied) as caught:
        await token_of(ctx, bob, principal_id=robot.id)
    assert caught.value.detail_code == "token_beyond_issuer"
    await token_of(ctx, bob, Capability.READ, principal_id=robot.id)


@pytest.mark.parametrize(
    ("name", "capabilities", "valid_for"),
    [
        ("", {Capability.READ}, timedelta(hours=1)),
        ("x" * 101, {Capability.READ}, timedelta(hours=1)),
        ("cli", set(), timedelta(hours=1)),
        ("cli", {Capability.READ}, timedelta(seconds=5)),
        ("cli", {Capability.READ}, timedelta(days=90, seconds=1)),
    ],
)
async def test_wrong_input(
    ctx: Context, bob: Actor, name: str, capabilities: set[Capability], valid_for: timedelta
) -> None:
    with pytest.raises(Invalid) as caught:
        await issue_token(
            ctx, bob, name=name, capabilities=frozenset(capabilities), valid_for=valid_for
        )
    assert caught.value.problems


async def test_leaving_ends_tokens_and_those_of_accounts_nobody_answers_for(
    ctx: Context, bob: Actor, admin: Actor
) -> None:
    agent = await person(ctx, admin, "agent@example.com", owner="bob@example.com")
    mine = await token_of(ctx, bob)
    its = await token_of(ctx, bob, principal_id=agent.id)
    assert await principal_leaves(ctx, admin, bob.id, reason="left") == (bob.id, agent.id)
    assert not await _works(ctx, mine)
    assert not await _works(ctx, its)
