"""Signing in, staying signed in, and being slowed after failures."""

import asyncio
import time

import pytest

from daypass.domain.errors import Denied, Unauthenticated
from daypass.domain.principal import Actor, Capability
from daypass.domain.secret import Secret
from daypass.operations.authenticate import BearerToken, LoginCookie, authenticate
from daypass.operations.change_password import (
    change_password,
    choose_password,
    issue_password_link,
)
from daypass.operations.context import Context
from daypass.operations.log_in import StartedLogin, log_in
from daypass.operations.log_out import log_out
from daypass.operations.login_throttle import TooManyTries
from daypass.operations.one_time_value import digest_of
from daypass.operations.password_hashing import NOBODYS_VERIFIER, hash_password, needs_rehash
from daypass.operations.principal_leaves import principal_leaves
from daypass.store import passwords
from tests.people import PASSWORD, actor_of, first_admin, person

WRONG = Secret("not the password at all")


async def _log_in(
    ctx: Context,
    email: str = "bob@example.com",
    password: Secret = PASSWORD,
    address: str = "192.0.2.7",
    replaces: Secret | None = None,
) -> StartedLogin:
    return await log_in(
        ctx, email, password, address=address, application="test", replaces=replaces
    )


async def _who(ctx: Context, login: StartedLogin, *, changes: bool = True) -> Actor:
    return await authenticate(
        ctx,
        LoginCookie(login.cookie, login.csrf, changes),
        address="192.0.2.7",
        application="test",
    )


@pytest.fixture
async def admin(ctx: Context) -> Actor:
    return await first_admin(ctx)


@pytest.fixture
async def bob(ctx: Context, admin: Actor) -> Actor:
    return await person(ctx, admin, "bob@example.com")


async def test_a_login_acts_with_every_capability(ctx: Context, bob: Actor) -> None:
    login = await _log_in(ctx, email=" Bob@Example.com")
    actor = await _who(ctx, login)
    assert actor.principal == bob.principal
    assert actor.capabilities == frozenset(Capability)
    assert actor.token_id is None


async def test_only_digests_are_stored(ctx: Context, bob: Actor) -> None:
    login = await _log_in(ctx)
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute("select to_jsonb(l)::text from login l")
        text = str(await cursor.fetchall())
        cursor = await tx.execute("select string_agg(canonical, '') from entry")
        text += str(await cursor.fetchall())
    assert login.cookie.reveal() not in text
    assert login.csrf.reveal() not in text
    assert digest_of(login.cookie).hex() in text


async def test_signing_in_again_ends_the_login_it_replaces(ctx: Context, bob: Actor) -> None:
    planted = await _log_in(ctx)
    fresh = await _log_in(ctx, replaces=planted.cookie)
    assert fresh.cookie != planted.cookie
    await _who(ctx, fresh)
    with pytest.raises(Unauthenticated):
        await _who(ctx, planted)


async def test_wrong_password_and_unknown_person_are_alike(ctx: Context, bob: Actor) -> None:
    async def failing(email: str) -> Unauthenticated:
        with pytest.raises(Unauthenticated) as caught:
            await _log_in(ctx, email, WRONG)
        return caught.value

    known, unknown = await failing("bob@example.com"), await failing("nobody@example.com")
    assert (known.message, known.next_step, known.detail_code) == (
        unknown.message,
        unknown.next_step,
        unknown.detail_code,
    )
    assert known.detail_code == "login_failed"


async def test_an_unknown_person_costs_a_verification(ctx: Context, admin: Actor) -> None:
    assert not needs_rehash(NOBODYS_VERIFIER)
    verifier = await hash_password(PASSWORD)
    async with ctx.store.transaction() as tx:
        await passwords.set_verifier(tx, admin.id, verifier)
    took = []
    for email in ("ada@example.com", "nobody@example.com"):
        start = time.perf_counter()
        with pytest.raises(Unauthenticated):
            await _log_in(ctx, email, WRONG)
        took.append(time.perf_counter() - start)
    assert took[1] > took[0] * 0.4


async def test_a_change_needs_the_logins_own_csrf_value(ctx: Context, bob: Actor) -> None:
    login, other = await _log_in(ctx), await _log_in(ctx)
    for csrf in (None, other.csrf, login.cookie, Secret("")):
        presented = LoginCookie(login.cookie, csrf, changes=True)
        with pytest.raises(Denied) as caught:
            await authenticate(ctx, presented, address="", application="")
        assert caught.value.detail_code == "csrf"
    reading = LoginCookie(login.cookie, None, changes=False)
    await authenticate(ctx, reading, address="", application="")


@pytest.mark.parametrize(
    "spoil",
    [
        "update login set expires_at = now() - interval '1 second'",
        "update login set last_used_at = now() - interval '61 minutes'",
        "update login set ended_at = now()",
        "update principal set active = false where email = 'bob@example.com'",
    ],
)
async def test_what_ends_a_login(ctx: Context, bob: Actor, spoil: str) -> None:
    login = await _log_in(ctx)
    await _who(ctx, login)
    async with ctx.store.transaction() as tx:
        await tx.execute(spoil.encode())
    with pytest.raises(Unauthenticated) as caught:
        await _who(ctx, login)
    assert caught.value.detail_code == "login_ended"


async def test_use_keeps_a_login_from_idling(ctx: Context, bob: Actor) -> None:
    login = await _log_in(ctx)
    async with ctx.store.transaction() as tx:
        await tx.execute("update login set last_used_at = now() - interval '59 minutes'")
    await _who(ctx, login)
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute("select now() - last_used_at < interval '1 minute' from login")
        assert await cursor.fetchone() == (True,)


async def test_logging_out(ctx: Context, bob: Actor, admin: Actor) -> None:
    login = await _log_in(ctx)
    await log_out(ctx, admin, login.cookie)
    await _who(ctx, login)  # nobody ends another's login with a cookie
    await log_out(ctx, bob, login.cookie)
    await log_out(ctx, bob, login.cookie)
    with pytest.raises(Unauthenticated):
        await _who(ctx, login)


async def test_somebody_who_left_cannot_sign_in(ctx: Context, bob: Actor, admin: Actor) -> None:
    login = await _log_in(ctx)
    await principal_leaves(ctx, admin, bob.id, reason="moved on")
    with pytest.raises(Unauthenticated):
        await _who(ctx, login)
    with pytest.raises(Unauthenticated) as caught:
        await _log_in(ctx)
    assert caught.value.detail_code == "login_failed"


async def test_a_service_account_does_not_sign_in(ctx: Context, admin: Actor) -> None:
    await person(ctx, admin, "agent@example.com", owner="ada@example.com")
    with pytest.raises(Unauthenticated):
        await _log_in(ctx, "agent@example.com")


async def test_many_tries_at_once_are_slowed(ctx: Context, bob: Actor) -> None:
    answers = await asyncio.gather(
        *(_log_in(ctx, password=WRONG) for _ in range(20)), return_exceptions=True
    )
    looked_at = [each for each in answers if isinstance(each, Unauthenticated)]
    slowed = [each for each in answers if isinstance(each, TooManyTries)]
    assert len(looked_at) + len(slowed) == 20
    # Some may come a second later than the first, when one more is due.
    assert 4 <= len(looked_at) <= 7
    assert all(each.retry_after_s >= 1 for each in slowed)
    with pytest.raises(TooManyTries):
        await _log_in(ctx)  # the right password, from the slowed address


async def test_one_cannot_lock_out_another(ctx: Context, bob: Actor) -> None:
    async with ctx.store.transaction() as tx:
        # As if a thousand addresses had tried, one of them Bob's own office.
        await _log_in(ctx, address="198.51.100.9")
        for subject in ("person\x1fbob@example.com", "address\x1f198.51.100.9"):
            await tx.execute(
                """
                insert into login_failure values (sha256(convert_to(%s, 'UTF8')), 1000, now())
                on conflict (subject) do update set failures = 1000, last_failure_at = now()
                """,
                (subject,),
            )
    await _log_in(ctx, address="198.51.100.9")
    with pytest.raises(TooManyTries):
        await _log_in(ctx, address="203.0.113.50")
    with pytest.raises(TooManyTries):
        await _log_in(ctx, "ada@example.com", address="198.51.100.9")


async def test_success_forgets_failures(ctx: Context, bob: Actor) -> None:
    for _ in range(3):
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                await _log_in(ctx, password=WRONG)
        await _log_in(ctx)


async def test_failures_are_recorded_without_what_was_typed(ctx: Context, bob: Actor) -> None:
    typed = "my-secret-in-the-wrong-field"
    for email in (typed, "bob@example.com"):
        with pytest.raises(Unauthenticated):
            await _log_in(ctx, email, WRONG)
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute(
            "select content ->> 'principal', canonical from entry where kind = 'login.failed'"
            " order by id"
        )
        rows = await cursor.fetchall()
    assert [row[0] for row in rows] == [None, str(bob.id)]
    assert typed not in str(rows)


async def test_a_weak_verifier_is_made_stronger_at_the_next_login(ctx: Context, bob: Actor) -> None:
    await _log_in(ctx)
    async with ctx.store.transaction() as tx:
        cursor = await tx.execute(
            "select verifier from password where principal_id = %s", (bob.id,)
        )
        row = await cursor.fetchone()
    assert row is not None
    assert not needs_rehash(row[0])
    await _log_in(ctx)


async def test_changing_a_password_ends_other_logins(ctx: Context, bob: Actor) -> None:
    here, elsewhere = await _log_in(ctx), await _log_in(ctx)
    new = Secret("umbrella-granite-52-violin")
    with pytest.raises(Unauthenticated) as caught:
        await change_password(ctx, bob, old=WRONG, new=new, cookie=here.cookie)
    assert caught.value.detail_code == "wrong_password"
    await change_password(ctx, bob, old=PASSWORD, new=new, cookie=here.cookie)
    await _who(ctx, here)
    with pytest.raises(Unauthenticated):
        await _who(ctx, elsewhere)
    with pytest.raises(Unauthenticated):
        await _log_in(ctx)
    await _log_in(ctx, password=new)


async def test_a_password_link_works_once(ctx: Context, bob: Actor, admin: Actor) -> None:
    login = await _log_in(ctx)
    first = await issue_password_link(ctx, admin, bob.id)
    second = await issue_password_link(ctx, admin, bob.id)
    values = [Secret(each.url.reveal().partition("token=")[2]) for each in (first, second)]
    new = Secret("umbrella-granite-52-violin")

    async def choose(value: Secret) -> str:
        return await choose_password(ctx, value, new, address="", application="")

    with pytest.raises(Exception, match="unknown, used or expired"):
        await choose(values[0])
    done = await asyncio.gather(choose(values[1]), choose(values[1]), return_exceptions=True)
    assert [each for each in done if isinstance(each, str)] == ["bob@example.com"]
    with pytest.raises(Unauthenticated):
        await _who(ctx, login)
    await _log_in(ctx, password=new)


async def test_only_admins_issue_password_links(ctx: Context, bob: Actor, admin: Actor) -> None:
    with pytest.raises(Denied) as caught:
        await issue_password_link(ctx, bob, admin.id)
    assert caught.value.detail_code == "daypass_role"


async def test_nonsense_is_no_access_token(ctx: Context, bob: Actor) -> None:
    for text in ("", "dpt_", "dpt_1_x", "\0", "dpt_99999999999999999999_" + "a" * 43, "é" * 50):
        with pytest.raises(Unauthenticated) as caught:
            await authenticate(ctx, BearerToken(Secret(text)), address="", application="")
        assert caught.value.detail_code == "token_unknown"


async def test_an_actor_says_from_where(ctx: Context, bob: Actor) -> None:
    actor = await _who(ctx, await _log_in(ctx))
    assert (actor.address, actor.application) == ("192.0.2.7", "test")
    assert (await actor_of(ctx, "bob@example.com")).principal == actor.principal
