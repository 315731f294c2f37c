"""What happens at the same time has one right outcome, whoever is first."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, Self

import psycopg
import pytest
from psycopg import errors

from daypass.demo.sample import policy_files
from daypass.domain.errors import Conflict, Denied, Error
from daypass.domain.ids import PrincipalId
from daypass.domain.states import GrantState, RequestState
from daypass.operations.advance_time import advance_time
from daypass.operations.apply_policy import apply_policy
from daypass.operations.decide_request import decide_request
from daypass.operations.extend_grant import extend_grant
from daypass.operations.principal_leaves import principal_leaves
from daypass.operations.release_grant import release_grant
from daypass.operations.withdraw_request import withdraw_request
from daypass.store import grants, requests
from tests.world import World

ROUNDS = 5


async def together(*work: Awaitable[Any]) -> list[Any]:
    """Run everything at once; what is raised comes back as a value."""
    return await asyncio.gather(*work, return_exceptions=True)


async def state_of(here: World, request_id: int) -> tuple[str, int]:
    """Return a request's state and how many grants it has."""
    rows = await here.rows(
        """
        select r.state, (select count(*) from access_grant g where g.request_id = r.id)::int
        from request r where r.id = %s
        """,
        request_id,
    )
    return rows[0]  # type: ignore[return-value]


class Held:
    """A row of the store locked by somebody else, so that others pile up behind it."""

    def __init__(self, here: World, query: str, *values: object) -> None:
        self._conninfo = here.store_conninfo
        self._query, self._values = query, values

    async def __aenter__(self) -> Self:
        self._connection = await psycopg.AsyncConnection.connect(self._conninfo)
        await self._connection.execute(self._query.encode(), self._values)
        return self

    async def waiting(self, count: int) -> None:
        """Wait until so many backends wait for a lock."""
        # Outside of the transaction, which would see the activity of its first look only.
        connect = psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        async with asyncio.timeout(20), await connect as watching:
            while True:
                cursor = await watching.execute(
                    "select count(*) from pg_stat_activity where datname = current_database()"
                    " and wait_event_type = 'Lock'"
                )
                row = await cursor.fetchone()
                if row is not None and row[0] >= count:
                    return
                await asyncio.sleep(0.01)

    async def __aexit__(self, *_: object) -> None:
        await self._connection.rollback()
        await self._connection.close()


async def test_two_approvals_at_once_make_one_grant(here: World) -> None:
    for _ in range(ROUNDS):
        filed = await here.ask("ben", "sales.orders")
        first, second = await here.actor("dana"), await here.actor("dmitri")
        lock = "select from request where id = %s for update"
        async with Held(here, lock, filed.request_id) as held:
            both = asyncio.create_task(
                together(
                    decide_request(here.ctx, first, filed.request_id, yes=True),
                    decide_request(here.ctx, second, filed.request_id, yes=True),
                )
            )
            await held.waiting(2)
        results = await both
        failed = [r for r in results if isinstance(r, BaseException)]
        assert len(failed) == 1
        assert isinstance(failed[0], Conflict)
        assert failed[0].detail_code == "request_approved"
        assert await state_of(here, filed.request_id) == ("approved", 1)


async def test_the_same_approver_twice_at_once_counts_once(here: World) -> None:
    filed = await here.ask("ben", "sales.customers", unmask=("sales.customers.email",))
    dana = await here.actor("dana")
    lock = "select from request where id = %s for update"
    async with Held(here, lock, filed.request_id) as held:
        both = asyncio.create_task(
            together(
                decide_request(here.ctx, dana, filed.request_id, yes=True),
                decide_request(here.ctx, dana, filed.request_id, yes=True),
            )
        )
        await held.waiting(2)
    results = await both
    (failed,) = [r for r in results if isinstance(r, BaseException)]
    assert isinstance(failed, Denied)
    assert failed.detail_code in ("already_approved", "not_an_approver")
    assert await state_of(here, filed.request_id) == ("pending", 0)


async def test_yes_and_no_at_once_end_one_way(here: World) -> None:
    seen = set()
    for _ in range(ROUNDS):
        filed = await here.ask("ben", "sales.orders")
        results = await together(
            decide_request(here.ctx, await here.actor("dana"), filed.request_id, yes=True),
            decide_request(
                here.ctx, await here.actor("dmitri"), filed.request_id, yes=False, comment="no"
            ),
        )
        assert sum(isinstance(r, Conflict) for r in results) == 1
        state, made = await state_of(here, filed.request_id)
        assert (state, made) in {("approved", 1), ("denied", 0)}
        seen.add(state)
    assert seen


async def test_an_approval_that_waited_past_the_expiry_comes_too_late(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    dana = await here.actor("dana")
    lock = "select from request where id = %s for update"
    async with Held(here, lock, filed.request_id) as held:
        approval = asyncio.create_task(
            together(decide_request(here.ctx, dana, filed.request_id, yes=True))
        )
        await held.waiting(1)
        # While it waits for the row, the time to decide runs out.
        await held._connection.execute(
            "update request set pending_until = clock_timestamp() - interval '1 s' where id = %s",
            (filed.request_id,),
        )
        await held._connection.commit()
    (result,) = await approval
    assert isinstance(result, Conflict)
    assert result.detail_code == "request_expired"
    assert await state_of(here, filed.request_id) == ("expired", 0)


async def test_approval_and_expiry_at_once(here: World) -> None:
    for _ in range(ROUNDS):
        filed = await here.ask("ben", "sales.orders")
        await here.rows(
            "update request set pending_until = clock_timestamp() + interval '30 ms'"
            " where id = %s returning id",
            filed.request_id,
        )
        await asyncio.sleep(0.02)
        results = await together(
            decide_request(here.ctx, await here.actor("dana"), filed.request_id, yes=True),
            *(advance_time(here.ctx) for _ in range(3)),
        )
        await asyncio.sleep(0.03)
        await advance_time(here.ctx)
        state, made = await state_of(here, filed.request_id)
        assert (state, made) in {("approved", 1), ("expired", 0)}
        assert isinstance(results[0], Conflict) == (state == "expired")


async def test_a_policy_change_waits_for_an_approval_and_decides_what_is_left(
    here: World,
) -> None:
    robin = await here.actor("robin")
    strict = policy_files()
    text = strict["policy.yaml"]
    strict["policy.yaml"] = text.replace(
        "access:\n",
        "access:\n  - name: nobody reads orders today\n"
        "    when: 'request.relations.exists(r, r == \"sales.orders\")'\n    deny: closed\n",
        1,
    )
    assert strict["policy.yaml"] != text
    for _ in range(ROUNDS):
        await apply_policy(here.ctx, robin, policy_files())
        filed = await here.ask("ben", "sales.orders")
        async with Held(here, "select from policy_head for update") as held:
            both = asyncio.create_task(
                together(
                    decide_request(here.ctx, await here.actor("dana"), filed.request_id, yes=True),
                    apply_policy(here.ctx, robin, strict),
                )
            )
            await held.waiting(2)
        approval, applied = await both
        assert not isinstance(applied, BaseException), applied
        state, made = await state_of(here, filed.request_id)
        # Whoever came first: an approval under the old policy stands, none under the new one does.
        if isinstance(approval, Error):
            assert (state, made) == ("denied", 0)
        else:
            assert (state, made) == ("approved", 1)


async def test_a_policy_change_misses_no_request_that_is_being_filed(here: World) -> None:
    robin = await here.actor("robin")
    changed = policy_files()
    changed["policy.yaml"] += "\n# as before\n"
    lock = "select from database where id = %s for update"
    async with Held(here, lock, here.shop) as held:
        # It has read the policy and waits to be written down; the change must wait for it.
        asking = asyncio.create_task(here.ask("ben", "sales.orders"))
        await held.waiting(1)
        applying = asyncio.create_task(apply_policy(here.ctx, robin, changed))
        await held.waiting(2)
    filed, applied = await asking, await applying
    rows = await here.rows(
        "select policy_version = %s from request where id = %s", applied.version, filed.request_id
    )
    assert rows == [(True,)]


async def test_an_approver_who_leaves_meanwhile_counts_only_if_they_were_first(
    here: World,
) -> None:
    robin, dana = await here.actor("robin"), await here.actor("dana")
    filed = await here.ask("ben", "sales.customers", unmask=("sales.customers.email",))
    lock = "select from principal where id = %s for update"
    async with Held(here, lock, dana.id) as held:
        both = asyncio.create_task(
            together(
                decide_request(here.ctx, dana, filed.request_id, yes=True),
                principal_leaves(here.ctx, robin, dana.id, reason="left"),
            )
        )
        await held.waiting(2)
    await both
    samira = await here.actor("samira")
    # The first step's approval no longer counts: its giver is gone.
    with pytest.raises(Denied) as caught:
        await decide_request(here.ctx, samira, filed.request_id, yes=True)
    assert caught.value.detail_code == "not_an_approver"
    dmitri = await here.actor("dmitri")
    await decide_request(here.ctx, dmitri, filed.request_id, yes=True)
    await decide_request(here.ctx, samira, filed.request_id, yes=True)
    assert await state_of(here, filed.request_id) == ("approved", 1)


async def test_withdrawing_and_approving_at_once(here: World) -> None:
    ben = await here.actor("ben")
    for _ in range(ROUNDS):
        filed = await here.ask("ben", "sales.orders")
        results = await together(
            decide_request(here.ctx, await here.actor("dana"), filed.request_id, yes=True),
            withdraw_request(here.ctx, ben, filed.request_id),
        )
        assert sum(isinstance(r, Conflict) for r in results) == 1
        assert await state_of(here, filed.request_id) in {("approved", 1), ("withdrawn", 0)}


async def test_an_extension_and_the_end_at_once(here: World) -> None:
    for _ in range(ROUNDS):
        grant_id = await here.grant("ada", "sales.orders")
        ada = await here.actor("ada")
        lock = "select from access_grant where id = %s for update"
        async with Held(here, lock, grant_id) as held:
            both = asyncio.create_task(
                together(
                    extend_grant(
                        here.ctx,
                        ada,
                        grant_id,
                        timedelta(minutes=5),
                        reason="more",
                        ticket="INC-42",
                    ),
                    release_grant(here.ctx, ada, grant_id),
                )
            )
            await held.waiting(2)
        extended, released = await both
        assert not isinstance(released, BaseException), released
        async with here.ctx.store.connection() as connection:
            grant = await grants.get_grant(connection, grant_id)
        assert grant is not None
        assert grant.state == GrantState.REVOKING
        if isinstance(extended, Error):
            assert extended.detail_code == "grant_ended"


async def test_the_store_itself_refuses_what_no_operation_does(here: World) -> None:
    filed = await here.ask("ben", "sales.customers", unmask=("sales.customers.email",))
    ben, dana = await here.actor("ben"), await here.actor("dana")

    async def approval(by: PrincipalId) -> None:
        async with here.ctx.store.transaction() as tx:
            await requests.insert_approval(
                tx,
                filed.request_id,
                1,
                0,
                approver_id=by,
                on_behalf_of=None,
                verdict="yes",
                comment="",
            )

    with pytest.raises(errors.IntegrityConstraintViolation) as own:
        await approval(ben.id)
    assert own.value.diag.constraint_name == "approval_not_by_requester"
    await approval(dana.id)
    with pytest.raises(errors.UniqueViolation) as twice:
        await approval(dana.id)
    assert twice.value.diag.constraint_name == "approval_by_distinct_people"
    async with here.ctx.store.transaction() as tx:
        await requests.end_request(
            tx, filed.request_id, RequestState.DENIED, decided_by=dana.id, reason="no"
        )
    with pytest.raises(errors.ForeignKeyViolation) as illegal:
        async with here.ctx.store.transaction() as tx:
            await requests.end_request(
                tx, filed.request_id, RequestState.APPROVED, decided_by=dana.id, reason="yes"
            )
    assert illegal.value.diag.constraint_name == "request_transition_legal"
    for change in ("update entry set content = '{}'", "delete from entry", "truncate entry"):
        with pytest.raises(errors.IntegrityConstraintViolation):
            await here.rows(change)
