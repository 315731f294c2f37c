"""node-postgres through the gateway: one program makes every check, the tests judge them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import pytest_asyncio

from tests.client_desk import Desk, Found, checks_of
from tests.conftest import lacking

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PROGRAM = Path(__file__).parents[2] / "clients" / "node"
_HAS_DRIVER = (_PROGRAM / "node_modules").is_dir()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def said(desk: Desk) -> Found:
    """Run the program once and return what each of its checks found."""
    if shutil.which("node") is None or not _HAS_DRIVER:
        lacking("node-postgres is not installed")
    ending = await desk.world.grant("ada", "sales.orders")
    given = {
        "host": desk.gate.running.host,
        "port": desk.gate.running.port,
        "user": "ada@example.com",
        "token": desk.token,
        "database": "prod/shop",
        "certificate": str(desk.gate.certificate),
        "options": {kind: desk.options(kind) for kind in desk.grants}
        | {"ending": f"-c daypass.grant={ending}"},
    }
    command = ("node", str(_PROGRAM / "checks.mjs"))
    return await checks_of(desk, ending, *command, but={"DESK": json.dumps(given)})


def _bare(rows: object) -> object:
    """Leave the schema out: whether a name is written with it depends on the search path."""
    return json.loads(json.dumps(rows).replace("sales.", ""))


def _direct(desk: Desk, query: str) -> object:
    return _bare(desk.world.company.sql(query))


async def test_it_connects_with_tls_and_is_told_the_grant(desk: Desk, said: Found) -> None:
    [(version,)] = desk.world.company.sql("show server_version")
    assert said["connects"]["version"] == version
    assert said["connects"]["encrypted"]
    assert said["connects"]["notices"][0].startswith("grant ")
    assert said["binds_the_channel"] == 1
    assert said["begins_with_tls"] == 1


async def test_it_is_told_why_it_is_not_let_in(said: Found) -> None:
    assert "protected by TLS" in said["wants_tls"]["plain"]["message"]
    assert said["wants_tls"]["plain"]["code"] == "28000"
    assert "certificate" in said["wants_tls"]["stranger"]["message"]
    assert said["wants_tls"]["password"]["code"] == "28P01"


async def test_it_sees_the_catalog_as_it_is(desk: Desk, said: Found) -> None:
    around = said["looks_around"]
    # The information schema lists what a role may use, and that are the grant's views.
    assert [each[0].startswith("dp_v_") for each in around["tables"]] == [True]
    assert around["tables"][0][1] == "VIEW"
    assert _bare(around["columns"]) == _direct(
        desk,
        "select attname::text, format_type(atttypid, atttypmod), attnotnull from pg_attribute"
        " where attrelid = 'sales.customers'::regclass and attnum > 0 and not attisdropped"
        " order by attnum",
    )
    assert _bare(around["keys"]) == _direct(
        desk,
        "select conname::text, pg_get_constraintdef(oid) from pg_constraint"
        " where connamespace = 'sales'::regnamespace order by 1",
    )
    assert ["order_total"] in around["functions"]


async def test_it_prepares_reads_by_cursor_and_streams(said: Found) -> None:
    assert [number for number, _ in said["prepares"]] == [1, 2, 3, 4, 5, 6, 7]
    assert all("***" in email for _, email in said["prepares"])
    assert said["reads_by_cursor"] == [10, "11", 1]
    assert said["streams"] == 400
    assert said["pools"] == list(range(12))


async def test_types_come_back_as_they_went(said: Found) -> None:
    kept = said["keeps_types"]
    assert kept["big"] == "9007199254740993"
    assert kept["doc"] == {"a": [1]}
    assert kept["list"] == ["x", 'ä"']
    assert kept["raw"]["data"] == [0, 255]
    assert kept["moment"] == "1970-01-01T00:00:00.000Z"
    assert kept["nothing"] is None
    assert kept["yes"] is True


async def test_it_copies_by_class(said: Found) -> None:
    out = said["copies_out"]
    assert out["export"]["problem"] is None
    assert out["export"]["lines"] == 400
    assert "***@***" in out["export"]["first"]
    assert out["read"]["problem"]["code"] == "42501"
    assert "not export" in out["read"]["problem"]["message"]
    assert "daypass.grant=" in out["read"]["problem"]["hint"]
    assert said["copies_in"]["load"] == {"problem": None, "count": 2, "after": 1}
    assert said["copies_in"]["write"]["problem"]["code"] == "42501"
    assert {each["after"] for each in (*out.values(), *said["copies_in"].values())} == {1}


async def test_it_cancels_and_stops_in_time(said: Found) -> None:
    assert said["cancels"]["problem"]["code"] == "57014"
    assert said["cancels"]["took"] < 5_000
    assert said["stops_in_time"]["problem"]["code"] == "57014"
    assert said["cancels"]["after"] == said["stops_in_time"]["after"] == 1


async def test_transactions_and_their_errors(desk: Desk, said: Found) -> None:
    written = said["writes"]
    assert (written["sku"], written["changed"], written["price"]) == ("n-1", 1, "10.50")
    assert written["unique"]["code"] == "23505"
    denied = said["is_denied_inside"]
    assert {name: each["code"] for name, each in denied.items() if name != "after"} == {
        "denied": "42501",
        "aborted": "25P02",
        "unknown": "42P01",
        "broken": "42601",
        "zero": "22012",
    }
    assert denied["after"] == 1
    assert said["listens_to_nobody"]["code"] == "42501"
    assert desk.world.company.sql("select 1 from sales.products where sku like 'n-%'") == []


async def test_a_denied_statement_in_a_pipeline_and_in_a_text(desk: Desk, said: Found) -> None:
    first, denied, third = said["pipelines"]["said"]
    # It sends a Sync behind each query: what is denied stops no other.
    assert (first, denied["code"], third) == (1, "42501", 3)
    assert said["pipelines"]["after"] == 1
    assert said["denies_a_whole_text"]["denied"]["code"] == "42501"
    assert "statement 2 of 3" in said["denies_a_whole_text"]["denied"]["message"]
    assert said["denies_a_whole_text"]["after"] == [1, 2]
    assert desk.world.company.sql("select count(*) from sales.orders where id = 1") == [(1,)]


async def test_notices_reach_it(said: Found) -> None:
    assert said["hears_notices"] == ['relation "noted" already exists, skipping']


async def test_the_end_of_its_grant_is_an_error_it_understands(said: Found) -> None:
    ended = said["ends_with_its_grant"]
    assert ended["problem"]["code"] in ("57014", "57P05"), ended
    assert "57P05" in json.dumps(ended)
    assert "grant" in json.dumps(ended)
