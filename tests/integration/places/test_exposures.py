"""The doctor shows ways around, and owners accept them by name and with a reason."""

from dataclasses import replace

import pytest

from daypass.domain.errors import Denied, Invalid, NotFound
from daypass.domain.exposure import Severity
from daypass.domain.principal import DaypassRole
from daypass.operations.accept_exposure import accept_exposure, end_acceptance
from daypass.operations.apply_tags import apply_tag_file
from daypass.operations.database_facts import load_facts
from daypass.operations.examine_instance import Examination, examine_instance
from tests.integration.places.conftest import SAMPLES, Place
from tests.people import person

SUBSCRIBERS = "public_grant:sales.newsletter_subscribers"


async def _examined(place: Place) -> Examination:
    text = (SAMPLES / "tags.yaml").read_text()
    await apply_tag_file(place.ctx, place.admin, "tags.yaml", text)
    return await examine_instance(place.ctx, place.auditor, place.id)


async def test_the_sample_s_awkward_places_are_found(place: Place) -> None:
    found = await _examined(place)
    assert not found.problem
    keys = {finding.exposure.key for finding in found.findings}
    codes = {finding.exposure.code for finding in found.findings}
    assert SUBSCRIBERS in keys
    assert "standing_login:maria_keller" in keys
    assert {"public_grant", "definer_function", "standing_login"} <= codes
    assert found.worst is Severity.HIGH
    assert {login.name for login in found.logins} >= {"maria_keller", "tom_baker"}
    shop = next(each for each in found.databases if each.name == "shop")
    assert 0 < shop.unclassified < shop.columns
    assert shop.stale == ()
    assert "sales.mailing_labels" in {str(name) for name in shop.sensitive}
    mends = [f.exposure for f in found.findings if f.exposure.key == SUBSCRIBERS]
    assert "revoke" in mends[0].mend.lower()
    severities = [finding.exposure.severity for finding in found.findings]
    assert severities == sorted(severities, key=["high", "medium", "low"].index)


async def test_what_an_owner_accepts_is_shown_with_who_and_why(place: Place) -> None:
    ctx = place.ctx
    jobs = await place.jobs("recompile_grants")
    await accept_exposure(ctx, place.owner, place.shop, SUBSCRIBERS, "no USAGE on the schema")
    await accept_exposure(ctx, place.owner, place.shop, SUBSCRIBERS, "twice changes nothing")
    assert await place.jobs("recompile_grants") == jobs + 1
    async with ctx.store.transaction() as tx:
        assert (await load_facts(tx, place.shop)).accepted == {SUBSCRIBERS}
    found = await _examined(place)
    finding = next(f for f in found.findings if f.exposure.key == SUBSCRIBERS)
    assert finding.acceptance is not None
    assert finding.acceptance.accepted_by_email == "olga@example.com"
    assert finding.acceptance.reason == "no USAGE on the schema"
    assert finding.databases == ("shop",)
    assert found.findings.index(finding) > 0

    await end_acceptance(ctx, place.admin, place.shop, SUBSCRIBERS, "it is mended")
    async with ctx.store.transaction() as tx:
        assert not (await load_facts(tx, place.shop)).accepted
    with pytest.raises(NotFound):
        await end_acceptance(ctx, place.admin, place.shop, SUBSCRIBERS)
    assert len(await place.entries("exposure.accepted")) == 1
    assert len(await place.entries("exposure.acceptance_ended")) == 1


async def test_with_everything_accepted_nothing_is_worst(place: Place) -> None:
    found = await _examined(place)
    for finding in found.findings:
        names = finding.databases or ("shop",)
        for name in names:
            await accept_exposure(
                place.ctx,
                place.admin,
                place.instance.databases[name],
                finding.exposure.key,
                "all of it is known",
            )
    again = await examine_instance(place.ctx, place.auditor, place.id)
    assert again.worst is None
    assert len(again.findings) == len(found.findings)


async def test_nothing_is_accepted_in_advance_or_without_a_reason(place: Place) -> None:
    with pytest.raises(Invalid, match="did you mean"):
        await accept_exposure(place.ctx, place.owner, place.shop, SUBSCRIBERS[:-1], "typo")
    with pytest.raises(Invalid, match="why"):
        await accept_exposure(place.ctx, place.owner, place.shop, SUBSCRIBERS, "  ")


async def test_who_accepts(place: Place) -> None:
    ctx, shop = place.ctx, place.shop
    for actor in (place.member, place.editor, place.auditor):
        with pytest.raises(Denied) as caught:
            await accept_exposure(ctx, actor, shop, SUBSCRIBERS, "please")
        assert caught.value.detail_code == "not_owner"
    robot = await person(
        ctx, place.admin, "robot@example.com", DaypassRole.ADMIN, owner="olga@example.com"
    )
    with pytest.raises(Denied, match="only a person"):
        await accept_exposure(ctx, robot, shop, SUBSCRIBERS, "please")
    # What concerns the whole instance is not for the owner of one database.
    with pytest.raises(Denied, match="only admin"):
        await accept_exposure(ctx, place.owner, shop, "standing_login:maria_keller", "mine")
    await accept_exposure(ctx, place.admin, shop, "standing_login:maria_keller", "leaves in May")


async def test_an_owner_sees_their_databases_and_others_nothing(place: Place) -> None:
    found = await examine_instance(place.ctx, place.owner, place.id)
    assert {each.name for each in found.databases} == set(place.instance.databases)
    assert found.logins == ()
    assert found.complete
    assert any(finding.databases for finding in found.findings)
    # What concerns the whole instance has no databases, and is not for owners.
    assert all(finding.may_accept == finding.databases for finding in found.findings)
    seen = await examine_instance(place.ctx, place.auditor, place.id)
    assert not any(finding.may_accept for finding in seen.findings)
    with pytest.raises(Denied, match="examine"):
        await examine_instance(place.ctx, place.member, place.id)


async def test_an_instance_that_is_away_is_still_examined_from_its_catalogs(place: Place) -> None:
    await place.rows("update instance set port = 1, revision = revision + 1 returning id")
    found = await _examined(place)
    assert "cannot be reached" in found.problem
    assert not found.complete
    assert SUBSCRIBERS in {finding.exposure.key for finding in found.findings}
    assert replace(found, findings=()).worst is None
