"""pgjdbc through the gateway: one program makes every check, the tests judge them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import pytest_asyncio
from psycopg.conninfo import conninfo_to_dict

from tests.client_desk import Desk, Found, checks_of
from tests.conftest import lacking

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PROGRAM = Path(__file__).parents[2] / "clients" / "java" / "Checks.java"
_DRIVER = Path("/usr/share/java/postgresql.jar")
_HAS_DRIVER = _DRIVER.exists()
# One small program that ends soon: no second compiler, no second thread that collects.
_QUICKLY = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def said(desk: Desk) -> Found:
    """Run the program once and return what each of its checks found."""
    if shutil.which("javac") is None or not _HAS_DRIVER:
        lacking("a JDK or libpostgresql-jdbc-java is not installed")
    ending = await desk.world.grant("ada", "sales.orders")
    direct = conninfo_to_dict(desk.world.company.cluster.conninfo("shop"))
    given = {
        "url": f"jdbc:postgresql://{desk.gate.running.host}:{desk.gate.running.port}/prod%2Fshop",
        "user": "ada@example.com",
        "password": desk.token,
        "certificate": str(desk.gate.certificate),
        "options.ending": f"-c daypass.grant={ending}",
        "direct": f"jdbc:postgresql://{direct['host']}:{direct['port']}/shop"
        f"?user={direct['user']}&password={direct['password']}"
        # As a session's, after the grant's views: names of types are written accordingly.
        "&options=-c%20search_path=sales,public",
    } | {f"options.{kind}": desk.options(kind) for kind in desk.grants}
    command = ("java", *_QUICKLY, "-classpath", str(_DRIVER), str(_PROGRAM))
    told = (f"{name}={value}" for name, value in given.items())
    return await checks_of(desk, ending, *command, *told)


async def test_it_connects_with_tls_and_is_told_the_grant(said: Found) -> None:
    connected = said["connects"]
    assert connected["notices"][0].startswith("grant ")
    assert connected["valid"]
    assert connected["catalog"] == "prod/shop"
    assert said["wants_tls"]["require"] == 1


async def test_it_is_told_why_it_is_not_let_in(said: Found) -> None:
    wanted = said["wants_tls"]
    assert "protected by TLS" in wanted["plain"]["message"]
    assert wanted["plain"]["state"] == "28000"
    assert wanted["stranger"]["state"] == "08006"
    assert wanted["password"]["state"] == "28P01"
    assert "unknown, expired or revoked" in wanted["password"]["message"]


async def test_metadata_is_the_database_s_own(said: Found) -> None:
    around = said["looks_around"]
    through, direct = around["through"], around["direct"]
    assert through["tables"]
    assert through["primary"]
    for what in direct:
        if what == "schemas":
            continue
        assert through[what] == direct[what], what
    ours = [each for each in through["schemas"] if each not in direct["schemas"]]
    assert ours == []


async def test_it_prepares_and_streams(said: Found) -> None:
    prepared = said["prepares"]
    assert [number for number, _ in prepared["seen"]] == list(range(1, 10))
    assert all("***" in email for _, email in prepared["seen"])
    assert prepared["named"]
    assert prepared["prepared"] >= 1
    assert "***" in said["speaks_simply"]
    assert said["streams"] == 400


async def test_a_result_names_the_view_it_comes_from(said: Found) -> None:
    described = said["describes_results"]
    assert described["table"] == "orders"
    assert described["schema"].startswith("dp_v_")
    # ResultSetMetaData.columnNullable: a view's columns are never known to be NOT NULL.
    assert described["nullable"] == 1


async def test_it_copies_by_class(said: Found) -> None:
    out, into = said["copies_out"], said["copies_in"]
    assert out["export"]["problem"] is None
    assert out["export"]["lines"] == 400
    assert "***@***" in out["export"]["first"]
    assert out["read"]["problem"]["state"] == "42501"
    assert "daypass.grant=" in out["read"]["problem"]["message"]
    assert into["load"]["problem"] is None
    assert into["load"]["count"] == [2]
    assert into["write"]["problem"]["state"] == "42501"
    assert {each["after"] for each in (*out.values(), *into.values())} == {1}


async def test_it_cancels_and_stops_in_time(said: Found) -> None:
    assert said["cancels"]["problem"]["state"] == "57014"
    assert said["cancels"]["took_ms"] < 5_000
    assert said["stops_in_time"]["problem"]["state"] == "57014"
    assert said["cancels"]["after"] == said["stops_in_time"]["after"] == 1


async def test_it_writes_with_keys_savepoints_and_batches(desk: Desk, said: Found) -> None:
    assert said["writes"]["unique"]["state"] == "23505"
    assert said["writes"]["name"] == "Java lamp"
    for batched in (said["batches_false"], said["batches_true"]):
        assert batched == {"counts": 20, "seen": 20}
    assert desk.world.company.sql("select 1 from sales.products where sku like 'j-%'") == []


async def test_a_denied_statement_in_a_batch_undoes_it(said: Found) -> None:
    batch = said["is_denied_in_a_batch"]
    assert batch["state"] == "42501"
    assert "delete" in batch["message"]
    # One Sync for all of it: what came before is undone.
    assert batch["left"] is None
    assert batch["after"] == 1


async def test_transactions_and_their_errors(said: Found) -> None:
    denied = said["is_denied_inside"]
    assert {name: each["state"] for name, each in denied.items() if name != "after"} == {
        "denied": "42501",
        "aborted": "25P02",
        "unknown": "42P01",
        "broken": "42601",
        "zero": "22012",
    }
    assert denied["after"] == 1
    assert said["saves_itself"]["denied"]["state"] == "42501"
    assert said["saves_itself"]["after"] == 2
    assert said["reads_only"]["state"] == "25006"


async def test_notices_reach_it(said: Found) -> None:
    assert said["hears_notices"] == 'relation "noted" already exists, skipping'


async def test_the_end_of_its_grant_is_an_error_it_understands(said: Found) -> None:
    ended = said["ends_with_its_grant"]
    assert ended["problem"]["state"] in ("57014", "57P05"), ended
    assert not ended["valid"]


async def test_rows_of_a_result_are_updated_in_place(said: Found) -> None:
    assert said["updates_rows_of_a_result"] is None
