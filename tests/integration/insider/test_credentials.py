"""What the holder of a direct credential tries by themselves."""

import pytest

from daypass.domain.errors import Conflict
from daypass.operations.database_facts import find_database
from daypass.operations.issue_credential import issue_credential
from daypass.operations.sync_catalog import sync_catalog
from tests.world import World


async def test_a_credential_for_one_database_opens_nothing_in_another(here: World) -> None:
    company = here.company
    company.sql("revoke select on public.page_views from public", "metrics")
    company.sql("create table public.noticeboard (card text)")
    company.sql("grant select on public.noticeboard to public")
    async with here.ctx.store.connection() as connection:
        metrics = await find_database(connection, "prod/metrics")
    assert metrics is not None
    await sync_catalog(here.ctx, None, metrics)
    ben = await here.actor("ben")
    try:
        grant_id = await here.grant(
            "ben", "public.daily_sales", database="prod/metrics", direct_credentials=True
        )
        with pytest.raises(Conflict) as refused:
            await issue_credential(here.ctx, ben, grant_id)
        assert refused.value.detail_code == "open_elsewhere"
        assert "shop" in refused.value.message
        assert "public.noticeboard" in refused.value.message
        company.sql("revoke select on public.noticeboard from public")
        credential = await issue_credential(here.ctx, ben, grant_id)
        assert credential.database == "metrics"
    finally:
        company.sql("drop table public.noticeboard")
        company.sql("grant select on public.page_views to public", "metrics")
