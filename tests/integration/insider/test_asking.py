"""What somebody with an account asks for to get at more than the grant gives."""

import pytest

from daypass.domain.errors import Conflict, Invalid
from daypass.domain.ids import GrantId
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.domain.states import RequestState
from daypass.operations.decide_request import decide_request
from daypass.operations.run_query import run_query
from daypass.store import requests
from tests.world import READ, World


async def _granted(here: World, settings: dict[str, str]) -> GrantId:
    """Have the fraud analyst's request approved, with these settings in it."""
    asked = AskedScope(
        frozenset({StatementClass.EXPLAIN, StatementClass.SELECT}),
        ("sales.customers", "sales.orders", "billing.payments"),
        settings=settings,
    )
    filed = await here.ask("fay", asked=asked, profile="fraud-review")
    await decide_request(here.ctx, await here.actor("samira"), filed.request_id, yes=True)
    async with here.ctx.store.connection() as connection:
        request = await requests.get_request(connection, filed.request_id)
    assert request is not None
    assert request.state == RequestState.APPROVED
    assert request.grant_id is not None
    return request.grant_id


async def test_no_asked_setting_makes_the_server_read_texts_differently(here: World) -> None:
    grant_id = await _granted(here, {"standard_conforming_strings": "off"})
    fay = await here.actor("fay")
    # To Daypass one statement; with the setting the server would see three.
    smuggling = r"select '\' || '; listen secret; select 666 --'"
    outcome = await run_query(here.ctx, fay, "prod/shop", smuggling, grant_id=grant_id)
    assert outcome.result.rows == (("\\; listen secret; select 666 --",),)


async def test_no_default_of_a_database_makes_the_server_read_texts_differently(
    here: World,
) -> None:
    here.company.sql("alter database shop set standard_conforming_strings = off")
    try:
        grant_id = await here.grant("ada", "sales.orders")
        ada = await here.actor("ada")
        smuggling = r"select '\' || '; listen secret; select 666 --'"
        outcome = await run_query(here.ctx, ada, "prod/shop", smuggling, grant_id=grant_id)
        assert outcome.result.rows == (("\\; listen secret; select 666 --",),)
    finally:
        here.company.sql("alter database shop reset standard_conforming_strings")


async def test_no_asked_filter_fails_for_rows_that_policy_hides(here: World) -> None:
    asked = AskedScope(
        READ, ("sales.products",), row_filters={"sales.products": "name like 'Gard\\'"}
    )
    with pytest.raises(Invalid, match="backslash"):
        await here.ask("ada", asked=asked)


async def test_nobody_floods_the_approvers(here: World) -> None:
    await here.rows(
        """
        insert into request (requester_id, database_id, asked, duration, decision, policy_version,
          pending_until)
        select p.id, %s, '{}', '1 h', '{}', 1, now() + interval '1 h'
        from principal p, generate_series(1, 29) where p.email = 'ben@example.com'
        returning id
        """,
        here.shop,
    )
    await here.ask("ben", "sales.orders")
    with pytest.raises(Conflict) as caught:
        await here.ask("ben", "sales.orders")
    assert caught.value.detail_code == "too_many_requests"
