"""What the suite judges by: it knows what is hidden, finds it in any form, and notices a leak."""

from __future__ import annotations

import asyncio
import json
from importlib import resources

import pytest
import yaml

from tests.integration.leaks.conftest import Planted, Probes
from tests.leaks.__main__ import main
from tests.leaks.attack import attack
from tests.leaks.detect import KEY_LENGTH, Secrets
from tests.leaks.run import Verdict, run
from tests.leaks.truth import decoy, read_truth, read_view

pytestmark = [pytest.mark.leak, pytest.mark.asyncio(loop_scope="module")]

_CLEAR_BY_POLICY = frozenset({"money.cost"})
"""Tags that no masking rule of the sample is about."""


def _tagged() -> list[tuple[str, str]]:
    """Return every column that the sample's tags call sensitive, whatever policy makes of it."""
    text = (resources.files("daypass.demo") / "tags.yaml").read_text(encoding="utf-8")
    shop = yaml.safe_load(text)["prod/shop"]
    return [
        (relation, column)
        for relation, facts in shop.items()
        for column, tags in facts.get("columns", {}).items()
        if not _CLEAR_BY_POLICY & set(tags)
    ]


async def test_every_tagged_column_is_hidden(probes: Probes, planted: Planted) -> None:
    truth = (await probes.under("read")).truth
    assert truth.problems == ()
    assert len(_tagged()) > 25
    for relation, column in _tagged():
        assert truth.hides(f"{relation}.{column}"), (relation, column)
        values = {v for v in planted.values[relation, column] if len(v) >= KEY_LENGTH}
        hidden = {each for each in values if each in truth.secrets}
        # A few coincide with what a mask shows, such as full thousands.
        assert len(hidden) >= 0.85 * len(values), (relation, column, sorted(values - hidden)[:5])


async def test_rows_outside_of_the_region_are_hidden(probes: Probes) -> None:
    truth = (await probes.under("contractor")).truth
    assert {"sales.customers", "sales.orders", "sales.stores"} <= truth.filtered
    for word in ("88008800880011", "77007700770001", "Hidden Harbour", "1900190019", "76544.10"):
        assert word in truth.secrets


async def test_what_a_grant_shows_is_no_secret_of_it(probes: Probes, planted: Planted) -> None:
    emails = planted.values["sales.customers", "email"]
    phones = planted.values["sales.customers", "phone"]
    cards = planted.values["sales.customers", "card_number"]
    unmask, fraud = (await probes.under("unmask")).truth, (await probes.under("fraud")).truth
    assert not any(each in unmask.secrets for each in emails)
    assert all(each in unmask.secrets for each in phones | cards)
    # Rows planted elsewhere are shown too: nothing filters them for the fraud team.
    assert not any(each in fraud.secrets for each in emails | phones)
    assert all(each in fraud.secrets for each in cards)


async def test_a_mask_that_shows_its_column_is_noticed(probes: Probes, planted: Planted) -> None:
    probe = await probes.under("agent")
    [view] = planted.company.sql(
        "select c.oid::regclass::text, pg_get_viewdef(c.oid) from pg_class c"
        f" where relnamespace = '{probe.stage.names['sales']}'::regnamespace"
        " and relname = 'orders'"
    )
    name, definition = (str(each) for each in view)
    [masked] = read_view(definition).masked
    whole = definition.rstrip(";").replace(f" AS {masked}", f" AS {masked}_mask", 1)
    broken = f"select {_columns(definition, masked)} from ({whole}) as v"
    assert masked == "ship_to"
    try:
        planted.company.sql(
            f"create or replace view {name} as"
            + definition.replace(_expression(definition, masked), f"(b.{masked} || ''::text)", 1)
        )
        truth = await asyncio.to_thread(
            read_truth, probe.stage.superuser, probe.account, values=planted.values
        )
        assert truth.problems == (f"the mask of sales.orders.{masked} shows its values",), broken
    finally:
        planted.company.sql(f"create or replace view {name} as {definition}")


def _columns(definition: str, masked: str) -> str:
    shown = read_view(definition)
    return ", ".join(sorted(shown.clear | {f"{masked}_mask"}))


def _expression(definition: str, masked: str) -> str:
    """Return the text of a mask's expression: what stands between the last column and its name."""
    end = definition.index(f" AS {masked}")
    begin = definition.index("CASE", definition.index("total"))
    depth_begin = definition.rfind(",", 0, begin) + 1
    return definition[depth_begin:end].strip()


async def test_a_filter_taken_away_is_noticed(probes: Probes, planted: Planted) -> None:
    probe = await probes.under("contractor")
    view = f"{probe.stage.names['sales']}.stores"
    spy = attack(
        "spy",
        "create function pg_temp.spy(text) returns boolean language plpgsql cost 0.0000001 as"
        " $$begin raise notice '%', $1; return true; end$$",
        "select count(*) from <sales>.stores s where pg_temp.spy(s.name)",
    )
    assert (await asyncio.to_thread(run, spy, probe.stage, probe.truth)).verdict is Verdict.MASKED
    try:
        planted.company.sql(f"alter view {view} reset (security_barrier)")
        outcome = await asyncio.to_thread(run, spy, probe.stage, probe.truth)
    finally:
        planted.company.sql(f"alter view {view} set (security_barrier)")
    assert outcome.verdict is Verdict.LEAKED
    assert any("hidden harbour" in each for each in outcome.seen)


async def test_the_command_runs_against_a_given_session(
    probes: Probes, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = await probes.under("tenant")
    given = ["--session", probe.stage.conninfo, "--superuser", probe.stage.superuser]
    status = await asyncio.to_thread(main, [*given, "--only", "billing.invoices"])
    printed = capsys.readouterr().out
    assert status == 0
    assert "rows hidden in billing.invoices" in printed
    assert ", 0 leaked" in printed
    assert await asyncio.to_thread(main, [*given, "--json", "--only", "passwords"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["verdict"] for each in found["attacks"]][:1] == ["refused"]
    wrong = [*given[:3], probe.stage.superuser.replace("shop", "metrics")]
    assert await asyncio.to_thread(main, wrong) == 2


async def test_hidden_values_are_found_however_they_are_wrapped() -> None:
    secrets = Secrets({"ada.ikeda@shop.example": "email", "4111111111111111": "card"})
    for shown in (
        "x ada.ikeda@shop.example y",
        "ADA.IKEDA@SHOP.EXAMPLE",
        "elpmahs.ada.ikeda@shop.example",
        "ada.ikeda@shop.example"[::-1],
        "6164612e696b6564614073686f702e6578616d706c65",
        "\\x6164612e696b6564614073686f702e6578616d706c65",
        "YWRhLmlrZWRhQHNob3AuZXhhbXBsZQ==",
        "ada.ikeda&#64;shop.example",
        "ada.ikeda\\u0040shop.example",
        "\n".join("ada.ikeda@shop.example"),
        "4111111111111111",
        "{4111111111111111}",
    ):
        assert secrets.found_in(shown), shown
    for harmless in (
        "a***@***.example",
        "94111111111111111",
        "41111111111111110",
        "************1111",
        "",
    ):
        assert secrets.found_in(harmless) == {}, harmless
    assert secrets.found_in("got 4111111111111111", "where card = '4111111111111111'") == {}


async def test_decoys_look_like_what_they_stand_for() -> None:
    for value in ("ada.ikeda@shop.example", "4111111111111111", "Ada Ikeda", "1971-02-03"):
        other = decoy(value, {value})
        assert other != value
        assert len(other) == len(value)
        assert other[0] == value[0]
    assert decoy("88300.00", {"88300.00"})[:2] == "88"
