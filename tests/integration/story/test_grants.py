"""What becomes of a grant: more time, less time, its end, and the receipt that proves it."""

import asyncio
import contextlib
import statistics
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import errors

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Conflict, Denied, Invalid, NotFound
from daypass.domain.ids import GrantId
from daypass.domain.principal import Capability
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.domain.states import GrantState, RequestState
from daypass.operations.advance_time import advance_time
from daypass.operations.apply_scope import collect_scope
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.close_grant import close_grant
from daypass.operations.decide_request import decide_request
from daypass.operations.extend_grant import extend_grant
from daypass.operations.issue_credential import issue_credential
from daypass.operations.move_deadline import move_deadline
from daypass.operations.open_session import open_session
from daypass.operations.release_grant import release_grant
from daypass.operations.revoke_grant import revoke_grant
from daypass.operations.run_query import run_query
from daypass.operations.shorten_grant import shorten_grant
from daypass.operations.show_grants import GrantFilter, list_grants, show_grant, show_receipt
from tests.people import token_of, using
from tests.story import (
    MINUTE,
    addresses,
    grant_of,
    granted,
    jobs_running,
    log,
    receipt_of,
    request_of,
    session_of,
    told,
    until,
)
from tests.world import World, as_account

C = StatementClass


async def extended(here: World, name: str, grant_id: GrantId, minutes: int):  # type: ignore[no-untyped-def]
    """Ask for more time with everything a rule may ask for."""
    return await extend_grant(
        here.ctx,
        await here.actor(name),
        grant_id,
        minutes * MINUTE,
        reason="not done yet",
        ticket="INC-42",
    )


# More time


@pytest.mark.one_major
async def test_an_extension_is_decided_like_any_request(here: World) -> None:
    filed = await here.ask("ben", "sales.orders", duration=30 * MINUTE)
    grant_id = await granted(here, filed, "dana")
    before = await grant_of(here, grant_id)
    more = await extended(here, "ben", grant_id, 30)
    assert more.grant_id is None
    assert [str(step) for step in more.decision.steps] == ["1 of group:dba, owners"]
    assert (await grant_of(here, grant_id)).deadline == before.deadline
    # Fewer minutes than asked for, as ever.
    dmitri = await here.actor("dmitri")
    await decide_request(here.ctx, dmitri, more.request_id, yes=True, duration=10 * MINUTE)
    after = await grant_of(here, grant_id)
    assert after.deadline == before.deadline + 10 * MINUTE
    (entry,) = await log(here, EntryKind.GRANT_EXTENDED)
    assert (entry.grant_id, entry.request_id) == (grant_id, more.request_id)
    assert await addresses(here, "grant.extended") == {"ben"}
    assert len(await here.rows("select from access_grant")) == 1


@pytest.mark.one_major
async def test_a_rule_s_longest_is_of_the_grant_as_a_whole(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders", duration=90 * MINUTE)
    with pytest.raises(Denied) as too_long:
        await extended(here, "ada", grant_id, 31)
    assert [each.code for each in too_long.value.decision.reasons] == ["too_long"]
    assert "at most 30m more (2h from the grant's start), not 31m" in too_long.value.message
    # What has passed counts as well: extending again and again goes no further.
    await here.rows(
        "update access_grant set starts_at = starts_at - interval '80m',"
        " deadline = deadline - interval '80m' returning id"
    )
    await extended(here, "ada", grant_id, 30)
    grant = await grant_of(here, grant_id)
    assert grant.deadline - grant.starts_at == 120 * MINUTE
    with pytest.raises(Denied) as over:
        await extended(here, "ada", grant_id, 1)
    assert [each.code for each in over.value.decision.reasons] == ["no_more_time"]
    assert over.value.next_step == "ask for a new grant: daypass request prod/shop"
    # A rule's other wishes hold too.
    with pytest.raises(Denied) as bare:
        await extend_grant(here.ctx, await here.actor("ada"), grant_id, MINUTE)
    assert {each.code for each in bare.value.decision.reasons} >= {"reason_missing"}


@pytest.mark.one_major
async def test_what_has_not_begun_counts_from_its_start(here: World) -> None:
    starts_at = datetime.now(UTC) + timedelta(hours=5)
    filed = await here.ask("ada", "sales.orders", starts_at=starts_at, duration=60 * MINUTE)
    assert filed.grant_id is not None
    await extended(here, "ada", filed.grant_id, 60)
    assert (await grant_of(here, filed.grant_id)).deadline == starts_at + 120 * MINUTE


@pytest.mark.one_major
async def test_nobody_extends_what_is_over_or_another_s(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    for name in ("ben", "dana", "robin", "anton"):
        with pytest.raises(NotFound) as theirs:
            await extended(here, name, grant_id, 5)
        assert theirs.value.detail_code == "no_grant"
    await here.end("ada", grant_id)
    with pytest.raises(Conflict) as over:
        await extended(here, "ada", grant_id, 5)
    assert over.value.detail_code == "grant_ended"
    assert "daypass request prod/shop" in over.value.next_step


@pytest.mark.one_major
async def test_an_extension_that_waits_ends_with_its_grant(here: World) -> None:
    filed = await here.ask("ben", "sales.orders", duration=30 * MINUTE)
    grant_id = await granted(here, filed, "dana")
    more = await extended(here, "ben", grant_id, 30)
    await here.end("ben", grant_id)
    with pytest.raises(Conflict) as anew:
        await decide_request(here.ctx, await here.actor("dana"), more.request_id, yes=True)
    assert anew.value.detail_code == "request_redecided"
    request = await request_of(here, more.request_id)
    assert request.state == RequestState.DENIED
    assert request.decided_reason == "the grant it extends has ended"
    assert (await grant_of(here, grant_id)).state == GrantState.REVOKED


@pytest.mark.one_major
async def test_two_extensions_at_once_add_up(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders", duration=30 * MINUTE)
    before = (await grant_of(here, grant_id)).deadline
    results = await asyncio.gather(
        *(extended(here, "ada", grant_id, 5) for _ in range(6)), return_exceptions=True
    )
    assert [each for each in results if isinstance(each, BaseException)] == []
    assert (await grant_of(here, grant_id)).deadline == before + 30 * MINUTE


async def test_a_deadline_moves_inside_the_database(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders", duration=30 * MINUTE)
    session = await session_of(here, "ada", grant_id)
    try:
        for change in (10 * MINUTE, -20 * MINUTE):
            if change > 0 * MINUTE:
                await extended(here, "ada", grant_id, 10)
            else:
                grant = await grant_of(here, grant_id)
                ada = await here.actor("ada")
                await shorten_grant(here.ctx, ada, grant_id, grant.deadline + change)
            await move_deadline(here.ctx, grant_id)
            assert _deadline(here, session.account) == pytest.approx(
                (await grant_of(here, grant_id)).deadline.timestamp(), abs=0.5
            )
    finally:
        await session.aclose()


def _deadline(here: World, account: str) -> float:
    ((found,),) = here.company.sql(
        "select extract(epoch from rolvaliduntil)::float8 from pg_roles"
        f" where rolname = '{account}'"
    )
    assert isinstance(found, float)
    return found


async def test_a_session_opened_while_the_deadline_moved_has_the_new_one(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders", duration=30 * MINUTE)
    ada = await here.actor("ada")
    (candidate,) = await find_candidates(here.ctx, ada, "prod/shop", grant_id)
    permit = await authorize_session(here.ctx, ada, candidate, kind="query")
    # The permit is older than what follows; its account is not there yet to be told.
    new = permit.deadline - 20 * MINUTE
    await shorten_grant(here.ctx, ada, grant_id, new)
    await move_deadline(here.ctx, grant_id)
    session = await open_session(here.ctx, permit, candidate.found.plan)
    await session.aclose()
    assert _deadline(here, permit.account) == pytest.approx(new.timestamp(), abs=0.5)


# Less time


@pytest.mark.one_major
async def test_a_deadline_only_comes_closer(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders", duration=60 * MINUTE)
    ada = await here.actor("ada")
    deadline = (await grant_of(here, grant_id)).deadline
    for wrong, code in (
        (deadline, "deadline_not_sooner"),
        (deadline + MINUTE, "deadline_not_sooner"),
        (datetime.now(UTC) - MINUTE, "deadline_past"),
        (datetime(2030, 1, 1), "deadline_without_zone"),  # noqa: DTZ001
    ):
        with pytest.raises(Invalid) as caught:
            await shorten_grant(here.ctx, ada, grant_id, wrong)
        assert caught.value.detail_code == code
    for stranger in ("ben", "anton", "cleo"):
        with pytest.raises(NotFound):
            await shorten_grant(here.ctx, await here.actor(stranger), grant_id, deadline - MINUTE)
    await shorten_grant(here.ctx, ada, grant_id, deadline - MINUTE)
    assert await addresses(here, "grant.shortened") == set()
    # Done by somebody else, its holder hears of it, and why.
    dana = await here.actor("dana")
    await shorten_grant(here.ctx, dana, grant_id, deadline - 30 * MINUTE, "a release")
    ((_, _), (_, _), (address, payload)) = await told(here, "grant.shortened")
    assert address == "ada@example.com"
    assert "a release" in payload["text"]
    await here.end("ada", grant_id)
    with pytest.raises(Conflict) as over:
        await shorten_grant(here.ctx, dana, grant_id, deadline - 40 * MINUTE)
    assert over.value.detail_code == "grant_ended"


# Ends


@pytest.mark.one_major
async def test_who_may_release_and_who_revoke(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    for name in ("ben", "dana", "robin", "anton"):
        with pytest.raises(NotFound):
            await release_grant(here.ctx, await here.actor(name), grant_id)
    for name in ("ada", "ben", "anton", "samira", "dmitri"):
        with pytest.raises(NotFound) as hidden:
            await revoke_grant(here.ctx, await here.actor(name), grant_id, "because")
        assert hidden.value.detail_code == "no_grant"
    dana = await here.actor("dana")
    with pytest.raises(Invalid) as silent:
        await revoke_grant(here.ctx, dana, grant_id, " ")
    assert silent.value.detail_code == "reason_missing"
    # A token that may not use its holder's roles is no admin's.
    robin = await here.actor("robin")
    issued = await token_of(here.ctx, robin, Capability.READ, Capability.REQUEST)
    with pytest.raises(Denied) as token:
        await revoke_grant(here.ctx, using(robin, issued), grant_id, "because")
    assert token.value.detail_code == "token_capability"
    await revoke_grant(here.ctx, dana, grant_id, "not during the release")
    grant = await grant_of(here, grant_id)
    assert (grant.end_cause, grant.ended_by) == ("revoked", "dana@example.com")
    assert await addresses(here, "grant.ended") == {"ada", "dana", "lena"}
    with pytest.raises(Conflict) as again:
        await revoke_grant(here.ctx, robin, grant_id, "me too")
    assert again.value.detail_code == "grant_ended"


@pytest.mark.one_major
async def test_the_owner_of_a_service_account_ends_its_grants(here: World) -> None:
    filed = await here.ask(
        "agent-triage", profile="triage", asked=AskedScope(frozenset()), duration=5 * MINUTE
    )
    grant_id = await granted(here, filed, "ben")
    # What the agent is told goes to whoever reads mail for it.
    assert await addresses(here, "grant.made") == {"ada"}
    with pytest.raises(NotFound):
        await release_grant(here.ctx, await here.actor("ben"), grant_id)
    await release_grant(here.ctx, await here.actor("ada"), grant_id)
    assert (await grant_of(here, grant_id)).end_cause == "released"


@pytest.mark.one_major
async def test_who_may_see_a_grant(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    for name in ("ada", "dana", "lena", "robin", "anton"):
        shown = await show_grant(here.ctx, await here.actor(name), grant_id)
        assert 0 < shown.remaining_s <= 3600
    await here.end("ada", grant_id)
    for name in ("ben", "cleo", "samira", "agent-triage", "dmitri"):
        actor = await here.actor(name)
        with pytest.raises(NotFound):
            await show_grant(here.ctx, actor, grant_id)
        with pytest.raises(NotFound):
            await show_receipt(here.ctx, actor, grant_id)
        listed, _ = await list_grants(here.ctx, actor, GrantFilter(), before=None, limit=9)
        assert listed == ()


@pytest.mark.one_major
async def test_the_store_keeps_what_was_granted(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    for change in (
        "asked = '{}'",
        "principal_id = principal_id + 1",
        "request_id = request_id + 1",
        "database_id = database_id + 1",
        "break_glass = true",
        "direct_credentials = true",
        "created_at = now() - interval '1 d'",
    ):
        with pytest.raises(errors.IntegrityConstraintViolation):
            await here.rows(f"update access_grant set {change} where id = %s", grant_id)
    with pytest.raises(errors.CheckViolation) as early:
        await here.rows(
            "update access_grant set deadline = starts_at - interval '1 s' where id = %s", grant_id
        )
    assert early.value.diag.constraint_name == "access_grant_deadline_after_start"
    with pytest.raises(errors.ForeignKeyViolation) as jump:
        await here.rows(
            "update access_grant set state = 'revoked', end_cause = 'released', ended_at = now()"
            " where id = %s",
            grant_id,
        )
    assert jump.value.diag.constraint_name == "access_grant_transition_legal"
    with pytest.raises(errors.IntegrityConstraintViolation):
        await here.rows("delete from access_grant where id = %s", grant_id)


async def test_a_deadline_that_came_with_nobody_there_is_kept_by_the_next(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders", duration=timedelta(seconds=1))
    session = await session_of(here, "ada", grant_id)
    deadline = (await grant_of(here, grant_id)).deadline
    await until(_past(deadline), "the deadline")
    # The database keeps it by itself; the store does not know yet.
    ended = await session.execute("select count(*) from orders")
    assert (ended.sqlstate, ended.error) == ("57D01", "grant ended")
    assert (await grant_of(here, grant_id)).state == GrantState.ACTIVE
    with pytest.raises(Denied) as late:
        await run_query(here.ctx, await here.actor("ada"), "prod/shop", "select 1")
    assert late.value.detail_code == "no_grant"
    assert (await advance_time(here.ctx)).ended == (grant_id,)
    assert (await advance_time(here.ctx)).ended == ()
    assert await close_grant(here.ctx, grant_id) is not None
    assert await close_grant(here.ctx, grant_id) is None
    receipt = await receipt_of(here, grant_id)
    assert receipt is not None
    assert receipt.due_at == deadline
    assert receipt.accounts == [session.account]
    assert receipt.terminated == 1
    assert receipt.closed_at >= deadline
    assert receipt.removed_at >= receipt.closed_at
    assert receipt.attempts == 1
    assert any("no role of the name" in probe for probe in receipt.probes)
    assert any("no backend" in probe for probe in receipt.probes)
    assert (await grant_of(here, grant_id)).state == GrantState.REVOKED
    (entry,) = await log(here, EntryKind.RECEIPT_ISSUED)
    assert entry.content["lag_ms"] >= 0
    assert entry.content["accounts"] == [session.account]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(as_account(here.company, session.account, "x"))
    await _collect(here, grant_id)
    assert here.company.ours() == []
    await session.aclose()


def _past(moment: datetime):  # type: ignore[no-untyped-def]
    async def past() -> bool:
        return datetime.now(UTC) > moment

    return past


async def _collect(here: World, grant_id: GrantId) -> None:
    grant = await grant_of(here, grant_id)
    assert grant.scope_hash is not None
    assert await collect_scope(here.ctx, grant.database_id, grant.scope_hash)


@pytest.mark.one_major
async def test_a_receipt_does_not_claim_what_was_not_looked_for(here: World) -> None:
    unused = await here.grant("ada", "sales.orders")
    await here.end("ada", unused)
    receipt = await receipt_of(here, unused)
    assert receipt is not None
    assert (receipt.accounts, receipt.terminated) == ([], 0)
    used = await here.grant("ada", "sales.orders")
    ada = await here.actor("ada")
    await run_query(here.ctx, ada, "prod/shop", "select 1", grant_id=used)
    async with jobs_running(here):
        await until(_closed(here, used), "the session's end")
    await here.end("ada", used)
    receipt = await receipt_of(here, used)
    assert receipt is not None
    # It had an account, which ended before the grant did.
    assert receipt.accounts == []
    assert receipt.probes == ["no account of it was left when it ended"]


def _closed(here: World, grant_id: GrantId):  # type: ignore[no-untyped-def]
    async def closed() -> bool:
        return await here.rows(
            "select count(*) from session where grant_id = %s and state <> 'closed'", grant_id
        ) == [(0,)]

    return closed


async def test_twenty_sessions_are_cut_within_a_second_of_their_deadline(here: World) -> None:
    holders = {}
    for _ in range(10):
        holders[await here.grant("ada", "sales.orders")] = "ada"
        filed = await here.ask("ben", "sales.orders")
        holders[await granted(here, filed, "dana")] = "ben"
    grant_ids = list(holders)
    sessions = [await session_of(here, name, grant_id) for grant_id, name in holders.items()]
    # One moment for all of them, as the store's clock has it.
    actors = {name: await here.actor(name) for name in ("ada", "ben")}
    async with contextlib.AsyncExitStack() as stack, jobs_running(here):
        for session in sessions:
            stack.push_async_callback(session.aclose)
        ((deadline,),) = await here.rows("select clock_timestamp() + interval '3 s'")
        assert isinstance(deadline, datetime)
        await asyncio.gather(
            *(
                shorten_grant(here.ctx, actors[name], grant_id, deadline)
                for grant_id, name in holders.items()
            )
        )
        # Whoever holds a statement open at the time is cut as well.
        cut = await asyncio.gather(*(_cut_at(each) for each in sessions))
        lags = [(moment - deadline).total_seconds() for moment in cut]
        for grant_id in grant_ids:
            await until(_receipt(here, grant_id), f"the receipt of {grant_id}")
    closed = []
    for grant_id in grant_ids:
        receipt = await receipt_of(here, grant_id)
        assert receipt is not None
        closed.append((receipt.closed_at - deadline).total_seconds())
        assert receipt.terminated <= 1
    say = f"cut {statistics.median(lags):.3f} to {max(lags):.3f} s late, closed {max(closed):.3f}"
    assert min(lags) > -0.05, say
    assert max(lags) < 1.0, say
    assert max(closed) < 2.0, say
    await _collect_all(here, grant_ids)
    assert here.company.ours() == []


async def _cut_at(session) -> datetime:  # type: ignore[no-untyped-def]
    result = await session.execute("select pg_sleep(20)")
    assert result.lost, result
    return datetime.now(UTC)


def _receipt(here: World, grant_id: GrantId):  # type: ignore[no-untyped-def]
    async def written() -> bool:
        return await receipt_of(here, grant_id) is not None

    return written


async def _collect_all(here: World, grant_ids: list[GrantId]) -> None:
    for scope in {(await grant_of(here, each)).scope_hash for each in grant_ids}:
        assert scope is not None
        await collect_scope(here.ctx, here.shop, scope)


# Direct credentials


async def test_a_direct_credential_is_shown_once_and_ends_with_its_grant(here: World) -> None:
    # Where others may connect to the instance's other databases, no login of one's own is given.
    here.company.sql("revoke connect on database metrics from public", "metrics")
    try:
        filed = await here.ask("dmitri", "sales.orders", direct_credentials=True)
        grant_id = await granted(here, filed, "samira")
        dmitri = await here.actor("dmitri")
        results = await asyncio.gather(
            *(issue_credential(here.ctx, dmitri, grant_id) for _ in range(4)),
            return_exceptions=True,
        )
        (credential,) = [each for each in results if not isinstance(each, BaseException)]
        others = [each for each in results if isinstance(each, BaseException)]
        assert len(others) == 3
        assert all(
            isinstance(each, Conflict) and each.detail_code == "already_issued" for each in others
        ), others
        with pytest.raises(Conflict) as again:
            await issue_credential(here.ctx, dmitri, grant_id)
        assert again.value.detail_code == "already_issued"
        password = credential.password.reveal()
        assert password not in repr(credential)
        for table in ("entry", "outbox", "session", "access_grant"):
            assert await here.rows(
                f"select count(*) from {table} t where t::text like %s", f"%{password}%"
            ) == [(0,)]
        with psycopg.connect(
            as_account(here.company, credential.user, password), autocommit=True
        ) as client:
            assert client.execute("select count(*) > 0 from orders").fetchone() == (True,)
            await release_grant(here.ctx, dmitri, grant_id)
            await close_grant(here.ctx, grant_id)
            with pytest.raises(psycopg.Error) as cut:
                client.execute("select 1")
            assert cut.value.sqlstate in ("57P01", None)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(as_account(here.company, credential.user, password))
        receipt = await receipt_of(here, grant_id)
        assert receipt is not None
        assert receipt.accounts == [credential.user]
    finally:
        here.company.sql("grant connect on database metrics to public", "metrics")
