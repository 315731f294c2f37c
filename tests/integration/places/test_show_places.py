"""What people see of instances and databases depends on who they are."""

import pytest

from daypass.domain.errors import NotFound
from daypass.operations.apply_policy import apply_policy
from daypass.operations.show_places import (
    list_databases,
    list_instances,
    show_acceptances,
    show_catalog,
    show_database,
    show_instance,
    show_suggestions,
)
from tests.integration.places.conftest import Place
from tests.people import person

POLICY = """
defaults: {unclassified: full}
access:
  - name: developers read the shop
    when: '"developers" in requester.groups && database.name == "shop"'
    max_duration: 2h
    approve: [{approvers: [owners], count: 1}]
"""


async def test_a_database_no_rule_opens_looks_like_none(place: Place) -> None:
    ctx = place.ctx
    await apply_policy(ctx, place.editor, {"p.yaml": POLICY})
    developer = await person(ctx, place.admin, "dev@example.com", groups=frozenset({"developers"}))
    assert [d.path for d in await list_databases(ctx, developer)] == ["prod/shop"]
    assert (await show_database(ctx, developer, "prod/shop")).id == place.shop
    assert (await show_catalog(ctx, developer, "prod/shop")).catalog.relations
    for path in ("prod/metrics", "prod/nothing", "nowhere/shop", "shop"):
        with pytest.raises(NotFound) as caught:
            await show_database(ctx, developer, path)
        assert caught.value.message == f"there is no database {path} that you may see"
    assert await list_databases(ctx, place.member) == ()
    assert await list_instances(ctx, place.member) == ()
    with pytest.raises(NotFound):
        await show_instance(ctx, place.member, "prod")
    with pytest.raises(NotFound):
        await show_suggestions(ctx, developer, place.shop)
    with pytest.raises(NotFound):
        await show_acceptances(ctx, developer, place.shop)


async def test_addresses_are_for_those_who_run_daypass_and_secrets_for_nobody(
    place: Place,
) -> None:
    ctx = place.ctx
    for actor in (place.admin, place.editor, place.auditor):
        shown = await show_instance(ctx, actor, "prod")
        assert shown.address is not None
        assert shown.address.port == place.company.port
        assert shown.address.secret_kind == "sealed"
        assert "sealed:" not in repr(shown)
    shown = await show_instance(ctx, place.owner, "prod")
    assert shown.address is None
    assert {d.path for d in await list_databases(ctx, place.owner)} >= {"prod/shop"}
    assert await show_suggestions(ctx, place.owner, place.shop) == ()
    assert await show_acceptances(ctx, place.auditor, place.shop) == ()
