"""Tags are suggested from names, types and values, and applied only with a person's yes."""

import pytest

from daypass.domain.catalog import ColumnName, RelationName
from daypass.domain.errors import Conflict, Denied, Invalid, NotFound
from daypass.domain.principal import DaypassRole
from daypass.operations.apply_tags import apply_tag_file
from daypass.operations.database_facts import load_facts
from daypass.operations.decide_suggestion import decide_suggestion
from daypass.operations.suggest_tags import suggest_tags
from daypass.store.suggestions import Proposal, list_suggestions, propose, withdraw_proposals
from tests.integration.places.conftest import SAMPLES, Place
from tests.people import person

CUSTOMERS = RelationName("sales", "customers")
EMAIL = Proposal(ColumnName(CUSTOMERS, "email"), "pii.email", 0.9, "98 of 100 values have an @")
PHONE = Proposal(ColumnName(CUSTOMERS, "phone"), "pii.phone", 0.7, "its name")
GONE = Proposal(ColumnName(CUSTOMERS, "fax"), "pii.phone", 0.7, "its name")


async def _propose(place: Place, *proposals: Proposal) -> dict[str, int]:
    async with place.ctx.store.transaction() as tx:
        await propose(tx, place.shop, proposals)
        listed = await list_suggestions(tx, place.shop)
    return {each.column_name: each.id for each in listed}


async def test_a_yes_applies_the_tag_and_a_no_keeps_it_away(place: Place) -> None:
    ctx = place.ctx
    numbers = await _propose(place, EMAIL, PHONE)
    jobs = await place.jobs("recompile_grants")
    (accepted,) = await decide_suggestion(
        ctx, place.owner, place.shop, [numbers["email"]], accept=True
    )
    assert (accepted.state, accepted.decided_by) == ("accepted", "olga@example.com")
    await decide_suggestion(ctx, place.editor, place.shop, [numbers["phone"]], accept=False)
    async with ctx.store.transaction() as tx:
        facts = await load_facts(tx, place.shop)
    assert facts.tags.columns == {EMAIL.column: {"pii.email"}}
    assert facts.tags.classified == {EMAIL.column}
    assert await place.jobs("recompile_grants") == jobs + 1
    verdicts = [entry["verdict"] for entry in await place.entries("suggestion.decided")]
    assert verdicts == ["accepted", "dismissed"]
    with pytest.raises(Conflict, match=r"dismissed by eve@example.com"):
        await decide_suggestion(ctx, place.owner, place.shop, [numbers["phone"]], accept=True)
    async with ctx.store.transaction() as tx:
        assert await propose(tx, place.shop, [EMAIL, PHONE]) == 0
        states = {each.state for each in await list_suggestions(tx, place.shop)}
    assert states == {"accepted", "dismissed"}


async def test_only_people_with_the_right_decide(place: Place) -> None:
    numbers = await _propose(place, EMAIL)
    robot = await person(
        place.ctx,
        place.admin,
        "robot@example.com",
        DaypassRole.POLICY_EDITOR,
        groups=frozenset({"shop-team"}),
        owner="olga@example.com",
    )
    with pytest.raises(Denied) as caught:
        await decide_suggestion(place.ctx, robot, place.shop, [numbers["email"]], accept=True)
    assert caught.value.detail_code == "person_only"
    for actor in (place.member, place.auditor):
        with pytest.raises(Denied) as caught:
            await decide_suggestion(place.ctx, actor, place.shop, [numbers["email"]], accept=True)
        assert caught.value.detail_code == "not_owner"
    async with place.ctx.store.transaction() as tx:
        assert not (await load_facts(tx, place.shop)).tags.columns


async def test_all_or_none_are_decided(place: Place) -> None:
    numbers = await _propose(place, EMAIL, GONE)
    with pytest.raises(Invalid, match="fax is gone"):
        await decide_suggestion(
            place.ctx, place.owner, place.shop, list(numbers.values()), accept=True
        )
    other = place.instance.databases["metrics"]
    with pytest.raises(NotFound):
        await decide_suggestion(place.ctx, place.admin, other, [numbers["email"]], accept=True)
    async with place.ctx.store.transaction() as tx:
        assert {each.state for each in await list_suggestions(tx, place.shop)} == {"proposed"}
        assert not (await load_facts(tx, place.shop)).tags.columns
        assert await withdraw_proposals(tx, place.shop, [EMAIL]) == 1


async def test_names_and_values_of_the_company_suggest_what_it_is(place: Place) -> None:
    ctx = place.ctx
    outcome = await suggest_tags(ctx, place.owner, place.shop)
    assert not outcome.problem
    assert outcome.sampled > 10
    found = {f"{each.relation_name}.{each.column_name}": each for each in outcome.waiting}
    assert found["customers.email"].tag == "pii.email"
    assert found["customers.card_number"].tag == "pii.card"
    assert found["customers.national_id"].tag == "pii.national_id"
    # Its columns are called c1 to c5: only values give the forgotten export away.
    export = {each.tag for each in outcome.waiting if each.relation_name == "export_2024_final"}
    assert "pii.email" in export
    async with ctx.store.transaction() as tx:
        assert not (await load_facts(tx, place.shop)).tags.columns
    assert outcome.new == len(outcome.waiting)
    rows = place.company.sql("select email, card_number, national_id from sales.customers")
    values = {str(value) for row in rows for value in row}
    stored = str(await place.rows("select why from tag_suggestion"))
    stored += str(await place.entries("tags.suggested"))
    assert not [value for value in values if value in stored]

    again = await suggest_tags(ctx, place.editor, place.shop)
    assert again.new == 0
    assert len(again.waiting) == len(outcome.waiting)


async def test_what_is_classified_is_not_looked_at_again(place: Place) -> None:
    text = (SAMPLES / "tags.yaml").read_text()
    await suggest_tags(place.ctx, place.owner, place.shop)
    await apply_tag_file(place.ctx, place.admin, "tags.yaml", text)
    outcome = await suggest_tags(place.ctx, place.owner, place.shop)
    assert {each.relation_name for each in outcome.waiting} == {"export_2024_final"}
    assert outcome.looked_at < 5


async def test_only_some_relations_may_be_looked_at(place: Place) -> None:
    outcome = await suggest_tags(place.ctx, place.owner, place.shop, relations=[CUSTOMERS])
    assert {each.relation_name for each in outcome.waiting} == {"customers"}
    with pytest.raises(Invalid, match=r"did you mean sales\.customers"):
        await suggest_tags(
            place.ctx, place.owner, place.shop, relations=[RelationName("sales", "custmers")]
        )
    with pytest.raises(Denied):
        await suggest_tags(place.ctx, place.member, place.shop)


async def test_an_instance_that_is_away_leaves_the_names(place: Place) -> None:
    await place.rows("update instance set port = 1, revision = revision + 1 returning id")
    outcome = await suggest_tags(place.ctx, place.owner, place.shop)
    assert outcome.sampled == 0
    assert outcome.problem
    assert "email" in {each.column_name for each in outcome.waiting}
