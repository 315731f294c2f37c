"""Nothing outlives its deadline, even with every Daypass process killed before it."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from daypass.domain.ids import GrantId
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.embedded import Cluster
from daypass.engines.contract import SessionSpec
from daypass.jobs.worker import run_jobs
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.consider import Ask
from daypass.operations.decide_request import decide_request
from daypass.operations.open_target import open_target
from daypass.operations.request_access import request_access
from daypass.operations.shorten_grant import shorten_grant
from daypass.store import receipts
from daypass.store.database import now
from tests import servers as pg
from tests.kills.harness import Place, daypass_process
from tests.people import actor_of
from tests.world import CompanyServer, as_account, world

C = StatementClass
LASTS_S = 3.0


@dataclass(frozen=True)
class Held:
    """A session a client holds by itself, from before Daypass was killed."""

    connection: psycopg.Connection[tuple[object, ...]]
    account: str
    password: str
    deadline_in_s: float


async def _serve_until_killed(place: Place, report: Path) -> None:
    """Open a grant with every class a view carries, hand out its credential, and go on serving."""
    async with daypass_process(place) as ctx:
        jobs = asyncio.create_task(
            run_jobs(ctx, {}, concurrency=2, reconcile_every_s=5, sync_every_s=600)
        )
        ben = await actor_of(ctx, "ben@example.com")
        filed = await request_access(
            ctx,
            ben,
            Ask(
                database="prod/shop",
                asked=AskedScope(
                    frozenset({C.SELECT, C.INSERT, C.UPDATE, C.DELETE}), ("sales.orders",)
                ),
                duration=timedelta(hours=1),
                reason="a test",
            ),
        )
        for name in ("lena", "dana"):
            approver = await actor_of(ctx, f"{name}@example.com")
            await decide_request(ctx, approver, filed.request_id, yes=True)
        (candidate,) = await find_candidates(ctx, ben, "prod/shop")
        permit = await authorize_session(ctx, ben, candidate, kind="direct")
        target = await open_target(ctx, permit.instance_id)
        # What a rule for direct credentials would hand out: the strongest hold a client can have.
        credential = await target.issue_credential(
            candidate.found.plan, SessionSpec(permit.account, permit.deadline, connection_limit=4)
        )
        async with ctx.store.transaction() as tx:
            await tx.execute(
                "update session set state = 'open' where id = %s", (permit.session_id,)
            )
            moment = await now(tx)
        deadline = moment + timedelta(seconds=LASTS_S)
        await shorten_grant(ctx, ben, permit.grant_id, deadline)
        await target.set_deadline([permit.account], deadline)
        settings = " ".join(
            f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in credential.settings
        )
        report.write_text(  # noqa: ASYNC240 - nothing else runs here
            f"{permit.grant_id}\n{credential.user}\n{credential.password.reveal()}\n{settings}"
        )
        await jobs


def _start(place: Place, report: Path) -> int:
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_serve_until_killed(place, report))
        except BaseException as error:  # noqa: BLE001 - the parent is told
            report.with_suffix(".error").write_text(repr(error))
        finally:
            os._exit(70)
    return child


@pytest.fixture
def place(store_cluster: Cluster, company: CompanyServer) -> Iterator[Place]:
    """Return a Daypass that knows the company and has no process."""

    async def prepare() -> Place:
        async with world(store_cluster, company, keep_store=True) as here:
            return Place(here.store_conninfo, here.key, here.instance_id, here.shop)

    # A login of one's own is refused while another database shows PUBLIC anything.
    company.sql("revoke select on public.page_views from public", "metrics")
    place = asyncio.run(prepare())
    yield place
    company.sql("grant select on public.page_views to public", "metrics")
    pg.drop_database(store_cluster, place.store_conninfo)


def _wait_for(report: Path, child: int) -> list[str]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if report.exists() and report.read_text().count("\n") == 3:
            return report.read_text().split("\n")
        failed = report.with_suffix(".error")
        assert not failed.exists(), failed.read_text()
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the child never came up")


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    """Return a stack of what is to be closed after the test."""
    with contextlib.ExitStack() as found:
        yield found


@pytest.fixture
def serving() -> Iterator[Callable[[Place, Path], int]]:
    """Return a function that starts a process; whatever the test does, it does not outlive it."""
    children: list[int] = []

    def start(place: Place, report: Path) -> int:
        children.append(_start(place, report))
        return children[-1]

    yield start
    for child in children:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@pytest.mark.kill
def test_with_daypass_killed_the_database_itself_ends_it(
    place: Place,
    company: CompanyServer,
    tmp_path: Path,
    serving: Callable[[Place, Path], int],
    stack: contextlib.ExitStack,
) -> None:
    report = tmp_path / "report"
    child = serving(place, report)
    grant_id, user, password, settings = _wait_for(report, child)
    conninfo = make_conninfo(as_account(company, user, password), options=settings)
    session = psycopg.connect(conninfo, autocommit=True)
    stack.callback(session.close)
    statements = (
        "select count(*) from orders",
        "insert into orders (customer_id, region) values (1, 'EU')",
        "update orders set status = status where id = -1",
        "delete from orders where id = -1",
    )
    for statement in statements:
        session.execute(statement.encode())
    # A holding transaction, a cursor and a prepared statement are no way around either.
    holding = psycopg.connect(conninfo)
    stack.callback(holding.close)
    holding.execute("set transaction isolation level repeatable read")
    holding.execute("select count(*) from orders")

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    time.sleep(LASTS_S + 0.2)

    for statement in statements:
        with pytest.raises(psycopg.Error) as caught:
            session.execute(statement.encode())
        assert caught.value.sqlstate == "57D01", statement
        assert "grant ended" in str(caught.value)
    with pytest.raises(psycopg.Error) as held:
        holding.execute("select count(*) from orders")
    assert held.value.sqlstate == "57D01"
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(conninfo)

    async def restarted() -> receipts.ReceiptRow | None:
        async with daypass_process(place) as ctx:
            jobs = asyncio.create_task(
                run_jobs(ctx, {}, concurrency=2, reconcile_every_s=5, sync_every_s=600)
            )
            try:
                async with asyncio.timeout(20):
                    while True:
                        async with ctx.store.connection() as connection:
                            found = await receipts.receipt_of(connection, GrantId(int(grant_id)))
                        if found is not None:
                            return found
                        await asyncio.sleep(0.05)
            finally:
                jobs.cancel()
                await asyncio.gather(jobs, return_exceptions=True)

    receipt = asyncio.run(restarted())
    assert receipt is not None
    assert receipt.accounts == [user]
    assert receipt.terminated >= 2
    with pytest.raises(psycopg.OperationalError):
        session.execute("select 1")
    assert not company.sql(f"select from pg_roles where rolname = '{user}'")
