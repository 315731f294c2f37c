"""Classification by file and by name, by those who may."""

import pytest

from daypass.domain.catalog import ColumnName, RelationName
from daypass.domain.errors import Denied, Invalid
from daypass.domain.principal import Capability
from daypass.operations.apply_tags import TagChange, apply_tag_file, apply_tags
from daypass.operations.database_facts import load_facts
from tests.integration.places.conftest import SAMPLES, Place
from tests.people import actor_of

CUSTOMERS = RelationName("sales", "customers")
EMAIL = ColumnName(CUSTOMERS, "email")


async def _tags(place: Place) -> dict[str, list[str]]:
    async with place.ctx.store.transaction() as tx:
        facts = await load_facts(tx, place.shop)
    return {str(name): sorted(tags) for name, tags in facts.tags.columns.items()}


async def test_the_sample_file_applies_and_then_changes_nothing(place: Place) -> None:
    text = (SAMPLES / "tags.yaml").read_text()
    preview = await apply_tag_file(place.ctx, place.admin, "tags.yaml", text, preview=True)
    assert all(outcome.differences and not outcome.applied for outcome in preview)
    assert not await _tags(place)
    outcomes = await apply_tag_file(place.ctx, place.admin, "tags.yaml", text)
    assert {outcome.path for outcome in outcomes} == {"prod/shop", "prod/metrics"}
    found = await _tags(place)
    assert found["sales.customers.email"] == ["pii.email"]
    assert found["sales.Legacy Customers.E-Mail"] == ["pii.email"]
    async with place.ctx.store.transaction() as tx:
        facts = await load_facts(tx, place.shop)
    assert ColumnName(CUSTOMERS, "region") in facts.tags.classified
    export = RelationName("public", "export_2024_final")
    assert not [c for c in facts.tags.classified if c.relation == export]
    lower = ColumnName(CUSTOMERS, "email_lower")
    assert facts.classified.column_tags[lower] == {"pii.email"}
    again = await apply_tag_file(place.ctx, place.admin, "tags.yaml", text)
    assert all(not outcome.differences for outcome in again)
    assert len(await place.entries("tags.changed")) == 2


async def test_every_mistake_in_a_file_is_named_with_its_place(place: Place) -> None:
    text = """\
prod/shop:
  sales.custmers:
    tags: [regional]
  customers: {}
  sales.orders:
    columns:
      ship_too: [pii.address]
      total: [Money]
    tag: [x]
prod/shoop: {}
"""
    with pytest.raises(Invalid) as caught:
        await apply_tag_file(place.ctx, place.admin, "t.yaml", text)
    problems = dict(caught.value.problems)
    assert problems == {
        "t.yaml:2:3": "there is no relation sales.custmers; did you mean sales.customers?",
        "t.yaml:4:3": "there is no relation customers; did you mean sales.customers?",
        "t.yaml:7:7": "sales.orders has no column ship_too; did you mean ship_to?",
        "t.yaml:8:15": "'Money' is no tag: lower-case letters, digits, . _ - and at most 63",
        "t.yaml:9:5": "'tag' is not one of tags, columns",
        "t.yaml:10:1": "there is no database prod/shoop; did you mean prod/shop?",
    }
    assert not await _tags(place)


async def test_a_file_takes_away_what_it_does_not_list(place: Place) -> None:
    ctx = place.ctx
    phone = TagChange(CUSTOMERS, "phone", frozenset({"pii.phone"}))
    await apply_tags(ctx, place.owner, place.shop, [phone])
    text = "prod/shop:\n  sales.customers: {columns: {email: pii.email}}\n"
    (outcome,) = await apply_tag_file(ctx, place.owner, "t.yaml", text)
    assert await _tags(place) == {"sales.customers.email": ["pii.email"]}
    removed = [d for d in outcome.differences if d.removed]
    assert [(d.name, d.removed) for d in removed] == [("sales.customers.phone", ("pii.phone",))]
    entry = (await place.entries("tags.changed"))[-1]
    assert "pii.phone" in str(entry["changes"])


async def test_tagging_a_relation_classifies_its_columns_of_today(place: Place) -> None:
    ctx = place.ctx
    jobs = await place.jobs("recompile_grants")
    outcome = await apply_tags(ctx, place.editor, place.shop, [TagChange(CUSTOMERS)])
    assert {d.classified for d in outcome.differences} == {True}
    assert await place.jobs("recompile_grants") == jobs + 1
    again = await apply_tags(ctx, place.editor, place.shop, [TagChange(CUSTOMERS)])
    assert not again.differences
    assert again.facts_revision == outcome.facts_revision
    assert await place.jobs("recompile_grants") == jobs + 1
    forgotten = await apply_tags(
        ctx, place.editor, place.shop, [TagChange(CUSTOMERS, "email", forget=True)]
    )
    assert [(d.name, d.classified) for d in forgotten.differences] == [(str(EMAIL), False)]


async def test_a_typo_is_answered_with_the_nearest_name(place: Place) -> None:
    changes = [
        TagChange(CUSTOMERS, "emial", frozenset({"pii.email"})),
        TagChange(RelationName("sales", "customer"), None, frozenset({"PII"})),
    ]
    with pytest.raises(Invalid) as caught:
        await apply_tags(place.ctx, place.admin, place.shop, changes)
    assert "did you mean email?" in caught.value.message
    assert len(caught.value.problems) == 3


async def test_only_those_who_may_classify(place: Place) -> None:
    change = [TagChange(CUSTOMERS, "email", frozenset({"pii.email"}))]
    for actor in (place.member, place.auditor):
        with pytest.raises(Denied) as caught:
            await apply_tags(place.ctx, actor, place.shop, change)
        assert caught.value.detail_code == "not_owner"
        assert "group:shop-team" in caught.value.next_step
    reading = await actor_of(place.ctx, "olga@example.com", frozenset({Capability.READ}))
    with pytest.raises(Denied) as caught:
        await apply_tags(place.ctx, reading, place.shop, change)
    assert caught.value.detail_code == "token_capability"
    assert not await _tags(place)
