"""Instances are tried before they are recorded, and recorded whole or not at all."""

import contextlib
from dataclasses import replace

import pytest

from daypass.domain.errors import Conflict, Denied, Error, Invalid, NotFound, Unavailable
from daypass.domain.principal import DaypassRole
from daypass.domain.secret import Secret
from daypass.operations.add_database import add_database
from daypass.operations.add_instance import ChosenDatabase, InstanceForm, add_instance
from daypass.operations.change_database import change_database
from daypass.operations.change_instance import InstanceChange, change_instance
from daypass.operations.context import Context
from daypass.operations.database_facts import find_database, load_facts
from daypass.operations.open_target import open_target
from daypass.operations.remove_database import remove_database
from daypass.operations.remove_instance import remove_instance
from tests.integration.places.conftest import Company, Place
from tests.people import first_admin, person


async def test_every_database_is_found_with_its_catalog_and_facts(place: Place) -> None:
    assert place.instance.databases.keys() == {"shop", "metrics"}
    assert place.instance.skipped.keys() == {"postgres"}
    assert "grant create on database" in place.instance.skipped["postgres"].mend
    async with place.ctx.store.transaction() as tx:
        assert await find_database(tx, "prod/shop") == place.shop
        assert await find_database(tx, "prod/shoppe") is None
        facts = await load_facts(tx, place.shop)
    assert facts.path == "prod/shop"
    assert facts.owners == ("shop-team",)
    assert facts.labels == {"env": "prod"} == facts.instance_labels
    assert facts.active
    assert facts.catalog.engine == "postgres"
    names = {str(relation.name) for relation in facts.catalog.relations}
    assert {"sales.customers", "billing.payments", "sales.Legacy Customers"} <= names
    assert facts.for_policy().full_name == "prod/shop"
    added = await place.entries("instance.added")
    assert [entry["instance"] for entry in added] == ["prod"]
    assert place.company.passwords["daypass_admin"] not in str(added)


async def test_equal_facts_are_decoded_once(place: Place) -> None:
    async with place.ctx.store.transaction() as tx:
        first = await load_facts(tx, place.shop)
        second = await load_facts(tx, place.shop)
    assert first.catalog is second.catalog


class _UndoError(Exception):
    """Rolls a transaction back."""


async def test_facts_of_a_transaction_that_rolled_back_are_not_kept(place: Place) -> None:
    with contextlib.suppress(_UndoError):
        async with place.ctx.store.transaction() as tx:
            await tx.execute(
                "insert into relation_tag values (%s, 'sales', 'orders', 'ghost')", (place.shop,)
            )
            await tx.execute(
                "update database set facts_revision = facts_revision + 1 where id = %s",
                (place.shop,),
            )
            assert (await load_facts(tx, place.shop)).tags.relations
            raise _UndoError
    # The revision is raised to the same number again, by another change.
    await change_database(place.ctx, place.admin, place.shop, labels={"env": "staging"})
    async with place.ctx.store.transaction() as tx:
        assert not (await load_facts(tx, place.shop)).tags.relations


async def _nothing_made(ctx: Context) -> None:
    async with ctx.store.connection() as connection:
        for table in ("instance", "database", "catalog"):
            cursor = await connection.execute(f"select count(*) from {table}".encode())
            assert await cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"password": Secret("wrong")}, Unavailable, "password"),
        ({"port": 1}, Unavailable, "prod at 127.0.0.1:1: the target cannot be reached: nothing"),
        ({"host": "nowhere.invalid"}, Unavailable, "host name is not known"),
        ({"tls_mode": "verify-full"}, Unavailable, "it speaks no TLS there"),
        ({"engine": "postgresql"}, Invalid, "postgresql"),
        ({"name": "Prod DB"}, Invalid, "name"),
        ({"host": " "}, Invalid, "host"),
        ({"labels": {"cost-centre": "1"}}, Invalid, "cost-centre"),
        ({"databases": (ChosenDatabase("shopp"),)}, Invalid, "did you mean shop"),
        ({"password": None}, Invalid, "secret"),
        ({"password": None, "secret_reference": "env:NO_SUCH_VARIABLE"}, Invalid, "NO_SUCH"),
        ({"password": None, "secret_reference": "sealed:AAAA"}, Invalid, "sealed"),
        ({"owners": ("nobody-knows",)}, Invalid, "nobody-knows"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_made(
    ctx: Context, company: Company, change: dict[str, object], error: type[Error], said: str
) -> None:
    admin = await first_admin(ctx)
    await person(ctx, admin, "olga@example.com", groups=frozenset({"shop-team"}))
    form = replace(company.form(), **change)  # type: ignore[arg-type]
    with pytest.raises(error) as caught:
        await add_instance(ctx, admin, form)
    assert said in caught.value.message
    assert company.passwords["daypass_admin"] not in caught.value.message
    await _nothing_made(ctx)


async def test_an_admin_that_cannot_manage_is_denied_with_the_sql_that_mends_it(
    ctx: Context, company: Company
) -> None:
    admin = await first_admin(ctx)
    form = replace(
        company.form(),
        owners=(),
        admin_user="tom_baker",
        password=Secret(company.passwords["tom_baker"]),
        databases=(ChosenDatabase("shop"),),
    )
    with pytest.raises(Invalid) as caught:
        await add_instance(ctx, admin, form)
    assert caught.value.detail_code == "admin_rights"
    assert "createrole" in caught.value.next_step.lower()
    await _nothing_made(ctx)


async def test_a_superuser_is_taken_with_a_warning(ctx: Context, company: Company) -> None:
    admin = await first_admin(ctx)
    password = company.cluster.password_file.read_text().strip()
    form = replace(
        company.form(),
        owners=(),
        admin_user=company.cluster.superuser,
        password=Secret(password),
        databases=(ChosenDatabase("metrics"),),
    )
    added = await add_instance(ctx, admin, form)
    assert any("superuser" in warning.text for warning in added.warnings)


async def test_only_an_admin_adds_changes_and_removes(place: Place) -> None:
    ctx = place.ctx
    for actor in (place.editor, place.owner, place.auditor, place.member):
        with pytest.raises(Denied, match="admin"):
            await add_instance(ctx, actor, place.company.form("other"))
        with pytest.raises(Denied, match="admin"):
            await change_instance(ctx, actor, place.id, InstanceChange(labels={}))
        with pytest.raises(Denied, match="admin"):
            await change_database(ctx, actor, place.shop, labels={"env": "dev"})
        with pytest.raises(Denied, match="admin"):
            await remove_instance(ctx, actor, place.id, reason="gone")
        with pytest.raises(Denied, match="admin"):
            await remove_database(ctx, actor, place.shop, reason="gone")


async def test_a_name_is_taken_once(place: Place) -> None:
    with pytest.raises(Conflict, match="prod"):
        await add_instance(place.ctx, place.admin, place.company.form())


async def test_a_new_credential_is_tried_before_it_is_kept(place: Place) -> None:
    ctx = place.ctx
    before = await open_target(ctx, place.id)
    with pytest.raises(Unavailable):
        await change_instance(ctx, place.admin, place.id, InstanceChange(password=Secret("no")))
    assert await open_target(ctx, place.id) is before
    await change_instance(
        ctx,
        place.admin,
        place.id,
        InstanceChange(password=Secret(place.company.passwords["daypass_admin"])),
    )
    after = await open_target(ctx, place.id)
    assert after is not before
    assert "shop" in await after.databases()
    changed = await place.entries("instance.changed")
    assert [entry["credential_changed"] for entry in changed] == [True]


async def test_two_who_change_at_once_do_not_overwrite_each_other(place: Place) -> None:
    ctx = place.ctx
    (revision,) = (await place.rows("select revision from instance"))[0]
    assert isinstance(revision, int)
    await change_instance(
        ctx, place.admin, place.id, InstanceChange(labels={"a": "1"}), expected_revision=revision
    )
    with pytest.raises(Conflict, match="changed"):
        await change_instance(
            ctx,
            place.admin,
            place.id,
            InstanceChange(labels={"a": "2"}),
            expected_revision=revision,
        )


async def test_labels_and_owners_are_facts_and_recompile(place: Place) -> None:
    ctx = place.ctx
    await person(ctx, place.admin, "dan@example.com", groups=frozenset({"dba"}))
    jobs = await place.jobs("recompile_grants")
    async with ctx.store.transaction() as tx:
        before = await load_facts(tx, place.shop)
    revision = await change_database(
        ctx, place.admin, place.shop, labels={"env": "staging"}, owners=["dba"]
    )
    async with ctx.store.transaction() as tx:
        after = await load_facts(tx, place.shop)
    assert after.facts_revision == revision > before.facts_revision
    assert after.for_policy().labels == {"env": "staging"}
    assert after.for_policy().owners == {"dba"}
    assert await place.jobs("recompile_grants") == jobs + 1
    with pytest.raises(Invalid, match="no group named nobodies"):
        await change_database(ctx, place.admin, place.shop, owners=["nobodies"])
    await change_instance(ctx, place.admin, place.id, InstanceChange(labels={"tier": "gold"}))
    assert await place.jobs("recompile_grants") > jobs + 2
    async with ctx.store.transaction() as tx:
        assert (await load_facts(tx, place.shop)).instance_labels == {"tier": "gold"}


async def test_a_database_is_removed_and_added_again(place: Place) -> None:
    ctx = place.ctx
    await remove_database(ctx, place.admin, place.shop, reason="moved away")
    async with ctx.store.transaction() as tx:
        assert await find_database(tx, "prod/shop") is None
        assert not (await load_facts(tx, place.shop)).active
    with pytest.raises(NotFound):
        await remove_database(ctx, place.admin, place.shop, reason="again")
    again = await add_database(ctx, place.admin, place.id, "shop", labels={"env": "prod"})
    assert again != place.shop
    with pytest.raises(Conflict):
        await add_database(ctx, place.admin, place.id, "shop", labels={})
    with pytest.raises(Invalid, match="did you mean shop"):
        await add_database(ctx, place.admin, place.id, "shops", labels={})


async def test_an_instance_is_removed_with_a_reason(place: Place) -> None:
    ctx = place.ctx
    with pytest.raises(Invalid, match="why"):
        await remove_instance(ctx, place.admin, place.id, reason=" ")
    await remove_instance(ctx, place.admin, place.id, reason="moved to another cloud")
    (entry,) = await place.entries("instance.removed")
    assert entry["reason"] == "moved to another cloud"
    with pytest.raises(NotFound):
        await remove_instance(ctx, place.admin, place.id, reason="again")
    # The name is free again; the old row and its entries stay.
    again = await add_instance(ctx, place.admin, place.company.form())
    assert again.id != place.id


async def test_a_database_owner_role_alone_owns_nothing(place: Place) -> None:
    stranger = await person(place.ctx, place.admin, "s@example.com", DaypassRole.DATABASE_OWNER)
    with pytest.raises(Denied):
        await change_database(place.ctx, stranger, place.shop, labels={})


def test_a_form_never_shows_its_password(company: Company) -> None:
    form: InstanceForm = company.form()
    assert company.passwords["daypass_admin"] not in repr(form)
