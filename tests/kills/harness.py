"""A child process that lives a grant's whole life and kills itself, by SIGKILL, at a chosen step.

Steps are enumerated, not chosen: one before each statement sent to the target, one before and one
after each commit to the store. A first run without a death counts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from daypass.domain.ids import DatabaseId, GrantId, InstanceId
from daypass.domain.principal import Actor
from daypass.domain.scope import AskedScope
from daypass.domain.secret import Secret
from daypass.domain.statement_class import StatementClass
from daypass.domain.states import GrantState
from daypass.engines.postgres import PostgresEngine
from daypass.operations.advance_time import advance_time
from daypass.operations.apply_scope import collect_scope
from daypass.operations.close_grant import close_grant
from daypass.operations.close_sessions import close_abandoned, close_session
from daypass.operations.consider import Ask
from daypass.operations.context import Context
from daypass.operations.move_deadline import move_deadline
from daypass.operations.reconcile_instance import reconcile_instance
from daypass.operations.release_grant import release_grant
from daypass.operations.request_access import request_access
from daypass.operations.run_query import run_query
from daypass.operations.secrets import SecretStore
from daypass.operations.shorten_grant import shorten_grant
from daypass.operations.targets import Targets
from daypass.store import grants, sessions
from daypass.store.database import Store, Tx, now
from tests.people import actor_of

QUERY = "select id, email from sales.customers order by id limit 3"


class Steps:
    """Count steps, write their names down, and kill this process at one of them."""

    def __init__(self, journal: Path, die_at: int | None) -> None:
        self._journal = journal
        self._die_at = die_at
        self._count = 0

    def __call__(self, name: str) -> None:
        """Pass a step, or die at it."""
        with self._journal.open("a") as file:
            file.write(f"{name}\n")
        if self._count == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._count += 1


class SteppingStore(Store):
    """A store whose commits are steps."""

    def __init__(self, conninfo: Secret, step: Callable[[str], None]) -> None:
        super().__init__(conninfo, min_size=1, max_size=4)
        self._step = step

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Run a transaction with a step before and one after its commit."""
        async with super().transaction() as tx:
            yield tx
            self._step("store: before commit")
        self._step("store: after commit")


@dataclass(frozen=True)
class Place:
    """What a process needs to find the same Daypass again."""

    store_conninfo: str
    key: bytes
    instance_id: InstanceId
    shop: DatabaseId


@contextlib.asynccontextmanager
async def daypass_process(
    place: Place, step: Callable[[str], None] | None = None
) -> AsyncIterator[Context]:
    """Be a process of the Daypass at that place."""
    conninfo = Secret(place.store_conninfo)
    store = SteppingStore(conninfo, step) if step else Store(conninfo, min_size=1, max_size=4)
    await store.open()
    ctx = Context(
        store=store,
        engines={"postgres": PostgresEngine(on_step=step)},
        secrets=SecretStore(place.key),
        targets=Targets(),
    )
    try:
        yield ctx
    finally:
        await ctx.targets.aclose()
        await store.aclose()


async def live(place: Place, step: Callable[[str], None]) -> None:
    """Live a grant's life: asked, applied, used, shortened, released, closed, collected."""
    async with daypass_process(place, step) as ctx:
        ada = await actor_of(ctx, "ada@example.com")
        grant_id = await ask(ctx, ada)
        outcome = await run_query(ctx, ada, "prod/shop", QUERY)
        assert len(outcome.result.rows) == 3, outcome
        async with ctx.store.connection() as connection:
            moment = await now(connection)
        await shorten_grant(ctx, ada, grant_id, moment + timedelta(minutes=5))
        await move_deadline(ctx, grant_id)
        await close_session(ctx, outcome.session_id)
        await release_grant(ctx, ada, grant_id)
        await close_grant(ctx, grant_id)
        async with ctx.store.connection() as connection:
            grant = await grants.get_grant(connection, grant_id)
        assert grant is not None
        assert grant.scope_hash is not None
        await collect_scope(ctx, place.shop, grant.scope_hash)


async def ask(ctx: Context, actor: Actor) -> GrantId:
    """Ask for what on-call gets without asking anybody."""
    filed = await request_access(
        ctx,
        actor,
        Ask(
            database="prod/shop",
            asked=AskedScope(
                frozenset({StatementClass.SELECT}), ("sales.customers", "sales.orders")
            ),
            duration=timedelta(hours=1),
            reason="a test",
            ticket="INC-1",
        ),
    )
    assert filed.grant_id is not None
    return filed.grant_id


async def restart(ctx: Context, place: Place) -> None:
    """Do what a started process does by itself, until there is nothing left to do."""
    for _ in range(4):
        await advance_time(ctx)
        await close_abandoned(ctx, 0.0)
        await reconcile_instance(ctx, place.instance_id)
        async with ctx.store.connection() as connection:
            revoking = await grants.list_revoking(connection)
        for grant_id in revoking:
            await close_grant(ctx, grant_id)
        if (await reconcile_instance(ctx, place.instance_id)).clean:
            return
    raise AssertionError("the reconciler does not come to rest")


async def check_and_finish(ctx: Context, place: Place) -> str:
    """See that nothing is lost and nothing is left over, use what is live, and end it."""
    async with ctx.store.connection() as connection:
        found = await grants.list_grants(connection)
        unclosed = await sessions.list_sessions(connection, states=sessions.UNCLOSED, limit=None)
    assert not unclosed, unclosed
    ada = await actor_of(ctx, "ada@example.com")
    states = []
    for grant in found:
        states.append(grant.state)
        if grant.state == GrantState.ACTIVE:
            outcome = await run_query(ctx, ada, "prod/shop", QUERY, grant_id=grant.id)
            assert len(outcome.result.rows) == 3, outcome
            assert not outcome.result.error
            await close_session(ctx, outcome.session_id)
            await release_grant(ctx, ada, grant.id)
            await close_grant(ctx, grant.id)
        else:
            assert grant.state == GrantState.REVOKED, grant
    await restart(ctx, place)
    return ",".join(states) or "none"


def run_child(place: Place, journal: Path, die_at: int | None) -> int:
    """Live in a child process; return how it ended, as `os.waitpid` says."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            asyncio.run(live(place, Steps(journal, die_at)))
            code = 0
        except BaseException as error:  # noqa: BLE001 - the parent is told
            with journal.open("a") as file:
                file.write(f"FAILED {error!r}\n")
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return status
