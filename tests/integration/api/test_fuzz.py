"""A real server, and thousands of calls made up from its OpenAPI document: none breaks it."""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok

from daypass.api.app import create_app
from daypass.audit.note import SignerKey
from daypass.embedded import Cluster, free_port
from daypass.operations.apply_policy import apply_policy
from daypass.operations.log_parts import PublishedLog
from daypass.operations.sequence_log import Sequencer
from daypass.store.log_folder import LogFolder
from tests.people import first_admin, token_of
from tests.stores import context_of, running_store

# Calls that end what the calls themselves need.
_LEFT_OUT = {"revoke_one_token"}
_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))


@dataclass(frozen=True)
class Live:
    """A server that answers, and an admin's access token."""

    url: str
    token: str


@contextlib.asynccontextmanager
async def _serving(
    cluster: Cluster, port: int, log: LogFolder
) -> AsyncIterator[tuple[uvicorn.Server, str]]:
    async with running_store(cluster) as store:
        key = SignerKey("log.example/daypass", bytes(range(32)))
        ctx = replace(
            context_of(store, public_url=f"http://127.0.0.1:{port}"),
            log=PublishedLog(log, (key.verifier,)),
        )
        admin = await first_admin(ctx)
        assert await Sequencer(ctx, log, [key]).run_round()
        # Without any policy every decision is a 503.
        await apply_policy(ctx, admin, {"policy.yaml": "defaults: {unclassified: full}"})
        issued = await token_of(ctx, admin)
        server = uvicorn.Server(
            uvicorn.Config(create_app(ctx), port=port, log_config=None, access_log=False)
        )
        yield server, issued.secret.reveal()


@pytest.fixture(scope="module")
def live(store_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Run the API on a free port, in a thread with an event loop of its own."""
    port = free_port()
    log = LogFolder(tmp_path_factory.mktemp("log") / "log")
    ready = threading.Event()
    found: list[tuple[uvicorn.Server, str]] = []

    async def serve() -> None:
        async with _serving(store_cluster, port, log) as (server, token):
            found.append((server, token))
            task = asyncio.create_task(server.serve(), name="fuzzed api")
            while not server.started and not task.done():  # noqa: ASYNC110  # no other way to tell
                await asyncio.sleep(0.01)
            ready.set()
            await task

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="fuzzed api")
    thread.start()
    assert ready.wait(60)
    server, token = found[0]
    try:
        yield Live(f"http://127.0.0.1:{port}", token)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.timeout(600)
def test_no_call_breaks_it(live: Live) -> None:
    schema = schemathesis.openapi.from_url(f"{live.url}/api/v1/openapi.json")
    headers = {"Authorization": f"Bearer {live.token}"}
    seen: dict[int, int] = {}
    found = list(schema.get_all_operations())
    operations = [each.ok() for each in found if isinstance(each, Ok)]
    assert len(operations) == len(found)
    assert len(operations) > 50
    for operation in operations:
        if operation.definition.raw["operationId"] in _LEFT_OUT:
            continue

        @settings(
            max_examples=_EXAMPLES,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def call(case: schemathesis.Case[Any]) -> None:
            response = case.call(headers=headers, timeout=30)
            status = response.status_code
            seen[status] = seen.get(status, 0) + 1
            assert status < 500, (case.as_curl_command(), response.text)
            # What it answers is what the document says, problems too.
            case.operation.validate_response(response)

        call()
    assert seen.get(200, 0) > 50, seen
    # Made-up passwords are the only ones that do not let in.
    assert seen.get(401, 0) <= _EXAMPLES
