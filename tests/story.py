"""What tests of whole stories look at and set going."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from daypass.audit.entry import EntryKind
from daypass.demo.sample import policy_files
from daypass.domain.errors import Error
from daypass.domain.ids import GrantId, RequestId
from daypass.engines.contract import Session
from daypass.jobs.worker import run_jobs
from daypass.operations.authorize_session import authorize_session, find_candidates
from daypass.operations.decide_request import decide_request
from daypass.operations.open_session import open_session
from daypass.operations.request_access import Filed
from daypass.operations.send_messages import Channel
from daypass.store import entries, grants, receipts, requests
from daypass.store.entries import StoredEntry
from daypass.store.grants import GrantRow
from daypass.store.receipts import ReceiptRow
from daypass.store.requests import RequestRow
from tests.world import World


async def request_of(here: World, request_id: RequestId) -> RequestRow:
    """Return a request as it is now."""
    async with here.ctx.store.connection() as connection:
        found = await requests.get_request(connection, request_id)
    assert found is not None
    return found


async def grant_of(here: World, grant_id: GrantId) -> GrantRow:
    """Return a grant as it is now."""
    async with here.ctx.store.connection() as connection:
        found = await grants.get_grant(connection, grant_id)
    assert found is not None
    return found


async def receipt_of(here: World, grant_id: GrantId) -> ReceiptRow | None:
    """Return a grant's receipt, if it has one."""
    async with here.ctx.store.connection() as connection:
        return await receipts.receipt_of(connection, grant_id)


async def log(here: World, kind: EntryKind, **only: Any) -> list[StoredEntry]:
    """Return the entries of a kind, oldest first; `only` are fields they must have."""
    async with here.ctx.store.connection() as connection:
        found = await entries.list_entries(connection, kind=kind.value, limit=1000)
    return [
        each
        for each in reversed(found)
        if all(getattr(each, name) == value for name, value in only.items())
    ]


async def told(here: World, event: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return (address, payload) of every message of an event; the address of webhooks is empty."""
    rows = await here.rows(
        """
        select coalesce(p.email, ''), o.payload from outbox o
        left join principal p on p.id = o.recipient_id where o.event = %s order by o.id
        """,
        event,
    )
    return [(str(address), payload) for address, payload in rows]  # type: ignore[misc]


async def addresses(here: World, event: str) -> set[str]:
    """Return who was told of an event by mail, by the first part of their addresses."""
    return {address.partition("@")[0] for address, _ in await told(here, event) if address}


async def agree(here: World, request_id: RequestId, *names: str) -> RequestRow:
    """Have people say yes, one after another."""
    for name in names:
        await decide_request(here.ctx, await here.actor(name), request_id, yes=True)
    return await request_of(here, request_id)


async def granted(here: World, filed: Filed, *approvers: str) -> GrantId:
    """Have a request approved and return its grant."""
    request = await agree(here, filed.request_id, *approvers)
    assert request.grant_id is not None, request.state
    return request.grant_id


async def session_of(
    here: World, name: str, grant_id: GrantId, database: str = "prod/shop"
) -> Session:
    """Open a session under somebody's grant, as a gateway would, and leave it open."""
    actor = await here.actor(name)
    (candidate,) = await find_candidates(here.ctx, actor, database, grant_id)
    permit = await authorize_session(here.ctx, actor, candidate, kind="query")
    return await open_session(here.ctx, permit, candidate.found.plan)


@contextlib.asynccontextmanager
async def jobs_running(
    here: World, channels: Mapping[str, Channel] | None = None, *, reconcile_every_s: float = 600
) -> AsyncIterator[None]:
    """Run everything that runs beside the API until the block ends."""
    running = asyncio.create_task(
        run_jobs(
            here.ctx,
            channels or {},
            concurrency=2,
            reconcile_every_s=reconcile_every_s,
            sync_every_s=600,
        )
    )
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def until(question: Any, what: str, timeout_s: float = 20.0) -> Any:
    """Ask again and again until the answer is true, and return it."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                answer = await question()
                if answer:
                    return answer
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it did not come: {what}") from None


def policy_with(*changes: tuple[str, str], file: str = "policy.yaml") -> dict[str, str]:
    """Return the sample's policy with texts replaced, each of which is there exactly once."""
    files = policy_files()
    for before, after in changes:
        assert files[file].count(before) == 1, before
        files[file] = files[file].replace(before, after)
    return files


def seen_by(error: Error) -> tuple[object, ...]:
    """Return all that whoever asked sees of an error."""
    decision = getattr(error, "decision", None)
    problems = getattr(error, "problems", ())
    return (type(error), error.message, error.next_step, error.detail_code, decision, problems)


MINUTE = timedelta(minutes=1)

_LAST_STEP = "\n      - {approvers: [group:security], count: 1, when: 'request.unmask != []'}"
TWO_DBAS = policy_with(
    (
        "[group:dba, owners], count: 1}" + _LAST_STEP,
        "[group:dba, owners], count: 2}" + _LAST_STEP,
    )
)
"""The sample's policy, with two people for the first step of what nothing else covers."""
