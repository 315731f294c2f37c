"""Asking: what is denied and why, what is accepted, who may see it, and when it ends by itself."""

from datetime import UTC, datetime, timedelta

import pytest

from daypass.audit.entry import EntryKind
from daypass.domain.errors import Conflict, Denied, Error, Invalid, NotFound, Unavailable
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Actor, Capability
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.domain.states import GrantState, RequestState
from daypass.operations.advance_time import advance_time
from daypass.operations.apply_grant import apply_grant
from daypass.operations.change_database import change_database
from daypass.operations.consider import Ask
from daypass.operations.database_facts import find_database
from daypass.operations.decide_request import decide_request
from daypass.operations.explain_decision import explain_decision
from daypass.operations.issue_credential import issue_credential
from daypass.operations.request_access import Filed, request_access
from daypass.operations.run_query import run_query
from daypass.operations.show_grants import show_grant
from daypass.operations.show_requests import RequestFilter, list_requests, show_request
from daypass.operations.withdraw_request import withdraw_request
from daypass.store.codec import exposures_to_json
from tests.people import person
from tests.story import (
    MINUTE,
    addresses,
    agree,
    grant_of,
    granted,
    jobs_running,
    log,
    request_of,
    seen_by,
    told,
    until,
)
from tests.world import READ, World

C = StatementClass
EXPLAIN = frozenset({C.EXPLAIN})


async def refused(here: World, name: str, ask: Ask) -> Error:
    """Ask and return the error."""
    with pytest.raises(Error) as caught:
        await request_access(here.ctx, await here.actor(name), ask)
    return caught.value


def to(database: str, **more: object) -> Ask:
    """Return an ask to read orders with everything a rule may ask for."""
    asked = more.pop("asked", AskedScope(READ, ("sales.orders",)))
    values = {"reason": "a test", "ticket": "INC-42", "duration": timedelta(hours=1)} | more
    return Ask(database=database, asked=asked, **values)  # type: ignore[arg-type]


# What one may not know of


@pytest.mark.one_major
@pytest.mark.parametrize("by", ["request", "what-if"])
async def test_unknown_and_forbidden_databases_answer_alike(here: World, by: str) -> None:
    robin = await here.actor("robin")
    asks = {
        "samira": to("prod/metrics"),
        "robin": to("prod/metrics"),
        "lena": to("prod/metrics", asked=AskedScope(frozenset({C.DDL}), ("*.*",))),
    }
    # Where no rule opens it to anybody: labels decide.
    await change_database(here.ctx, robin, await _metrics(here), labels={"env": "closed"})
    for name, ask in asks.items():
        actor = await here.actor(name)
        variants = (
            ask,
            _varied(ask, relations=("no.such_thing",)),
            _varied(ask, relations=("not a glob",)),
            _varied(ask, unmask=("public.page_views.user_email",)),
            _varied(ask, row_filters={"public.page_views": "drop table x"}),
            _varied(ask, native_role="postgres"),
            to(ask.database, asked=ask.asked, profile="no-such-profile"),
            to(ask.database, asked=ask.asked, profile="oncall-read"),
            to(ask.database, asked=ask.asked, break_glass=True),
            to(ask.database, asked=ask.asked, direct_credentials=True),
        )
        for variant in variants:
            there = await _answer(here, actor, variant, by)
            missing = _varied(variant, database="prod/nothing")
            nowhere = await _answer(here, actor, missing, by)
            assert _renamed(there, "prod/metrics") == _renamed(nowhere, "prod/nothing"), variant
            assert nowhere.detail_code in ("no_rule", "rule_denies")
            assert nowhere.next_step
    if by == "request":
        # The log tells them apart: security sees who was looking for what.
        kept = await log(here, EntryKind.ACCESS_DENIED, actor="samira@example.com")
        assert {each.database_id for each in kept} == {None, await _metrics(here)}
        assert {each.content["database"] for each in kept} == {"prod/metrics", "prod/nothing"}


def _varied(ask: Ask, database: str | None = None, **scope: object) -> Ask:
    from dataclasses import replace

    return replace(ask, database=database or ask.database, asked=replace(ask.asked, **scope))  # type: ignore[arg-type]


async def _answer(here: World, actor: Actor, ask: Ask, by: str) -> Error:
    ask_by = request_access if by == "request" else explain_decision
    with pytest.raises(Error) as caught:
        await ask_by(here.ctx, actor, ask)
    return caught.value


def _renamed(error: Error, database: str) -> str:
    return repr(seen_by(error)).replace(database, "DATABASE")


async def _metrics(here: World) -> DatabaseId:
    async with here.ctx.store.connection() as connection:
        found = await find_database(connection, "prod/metrics")
    assert found is not None
    return found


@pytest.mark.one_major
async def test_a_rule_that_denies_says_why_wherever_it_is_asked(here: World) -> None:
    unknown = await refused(here, "agent-triage", to("prod/no", direct_credentials=True))
    assert unknown.detail_code == "rule_denies"
    assert "agent may only explain and select" in unknown.message


@pytest.mark.one_major
async def test_without_a_policy_nothing_is_decided(here: World) -> None:
    await here.rows("delete from policy_head returning 1")
    error = await refused(here, "ada", to("prod/shop"))
    assert isinstance(error, Unavailable)
    assert error.detail_code == "no_policy"
    assert "policy apply" in error.next_step


# What is asked wrongly


@pytest.mark.one_major
async def test_wrong_asks_say_what_is_wrong_and_what_to_do(here: World) -> None:
    async def answer(name: str, **more: object) -> tuple[str, str]:
        scope = AskedScope(READ, ("sales.orders",))
        asked = more.pop("asked", scope)
        error = await refused(here, name, to("prod/shop", asked=asked, **more))
        if isinstance(error, Denied):
            assert error.decision.rule == "on-call reads production by itself"
            return error.decision.reasons[0].code, f"{error.message} {error.next_step}"
        return error.detail_code, f"{error.message} {error.next_step}"

    code, text = await answer("ada", asked=AskedScope(READ, ("sales.custmers",)))
    assert code == "invalid_scope"
    assert "sales.customers" in text
    code, text = await answer("ada", duration=timedelta(hours=9))
    assert code == "too_long"
    assert "at most 2h" in text
    code, text = await answer("ada", reason=" ")
    assert code == "reason_missing"
    for placeholder in ("…", " ... ", "- _"):
        code, text = await answer("ada", reason=placeholder)
        assert code == "not_filled_in"
        assert "your own reason" in text
    code, text = await answer("ada", ticket="…")
    assert code == "not_filled_in"
    code, text = await answer("ada", ticket="")
    assert code == "ticket_missing"
    assert r"^INC-\d+$" in text
    code, _ = await answer("ada", ticket="SHOP-1")
    assert code == "ticket_malformed"
    code, text = await answer("ada", profile="oncall-raed")
    assert code == "unknown_profile"
    assert "oncall-read" in text
    code, text = await answer(
        "ada", profile="oncall-read", asked=AskedScope(READ, ("hr.employees",))
    )
    assert code == "wider_than_profile"
    code, _ = await answer(
        "ada", profile="oncall-read", asked=AskedScope(frozenset({C.DELETE}), ("*.*",))
    )
    assert code == "wider_than_profile"
    assert await here.rows("select count(*) from request") == [(0,)]


@pytest.mark.one_major
async def test_a_grant_that_would_open_nothing_is_denied_with_the_reason(here: World) -> None:
    useless = to("prod/shop", asked=AskedScope(READ, ("sales.open_orders",)))
    error = await refused(here, "ada", useless)
    assert isinstance(error, Denied)
    assert [each.code for each in error.decision.reasons] == ["opens_nothing", "left_out"]
    assert "sales.open_orders is left out: " in error.message
    assert error.next_step == "ask for the relations it is made of"
    assert await here.rows("select count(*) from request") == [(0,)]
    (entry,) = await log(here, EntryKind.ACCESS_DENIED)
    assert entry.rule == "on-call reads production by itself"
    found = await explain_decision(here.ctx, await here.actor("ada"), useless)
    assert found.explanation.decision == error.decision
    # With anything beside it, the rest opens, and what does not is said.
    ada = await here.actor("ada")
    both = AskedScope(READ, ("sales.open_orders", "sales.orders"))
    filed = await request_access(here.ctx, ada, to("prod/shop", asked=both))
    alike = await here.grant("ada", "sales.orders")
    assert filed.grant_id is not None
    assert [each.name for each in filed.left_out] == ["sales.open_orders"]
    for grant_id, left_out in ((filed.grant_id, ["sales.open_orders"]), (alike, [])):
        plan = (await show_grant(here.ctx, ada, grant_id)).plan
        assert plan is not None
        assert [each["name"] for each in plan.scope["relations"]] == ["sales.orders"]
        assert [each["name"] for each in plan.left_out] == left_out


@pytest.mark.one_major
async def test_what_blocks_a_grant_is_said_when_it_is_asked_for(here: World) -> None:
    ben = await here.actor("ben")
    ask = to("prod/metrics", asked=AskedScope(READ, ("*.*",)))
    found = await explain_decision(here.ctx, ben, ask)
    filed = await request_access(here.ctx, ben, ask)
    assert filed.grant_id is not None
    plan = (await show_grant(here.ctx, ben, filed.grant_id)).plan
    assert plan is not None
    for blocked in (found.considered.plan.blocked, filed.blocked):
        assert "public_grant:public.page_views" in [each.key for each in blocked]
    assert plan.blocked == exposures_to_json(filed.blocked)
    ((_, message),) = [each for each in await told(here, "grant.made") if each[0]]
    assert "It is blocked now" in str(message)


@pytest.mark.one_major
async def test_texts_no_store_keeps_are_the_asker_s_mistake(here: World) -> None:
    for more, code in (
        ({"reason": "a\0b"}, "invalid_text"),
        ({"reason": "\ud800"}, "invalid_text"),
        ({"ticket": "x" * 201}, "too_long_text"),
        ({"asked": AskedScope(READ, ("a.b\0",))}, "invalid_text"),
        ({"asked": AskedScope(READ, tuple(f"s{n}.*" for n in range(501)))}, "too_many"),
        ({"duration": timedelta(0)}, "invalid_duration"),
        ({"duration": timedelta(seconds=-5)}, "invalid_duration"),
        ({"starts_at": datetime(2030, 1, 1)}, "start_without_zone"),  # noqa: DTZ001
        ({"starts_at": datetime(2001, 1, 1, tzinfo=UTC)}, "start_past"),
        ({"starts_at": datetime(9000, 1, 1, tzinfo=UTC)}, "start_too_far"),
    ):
        error = await refused(here, "ada", to("prod/shop", **more))
        assert isinstance(error, Invalid)
        assert error.detail_code == code, more
    for database in ("prod/sh\0op", "x" * 300):
        assert isinstance(await refused(here, "ada", to(database)), Invalid)


async def test_unmasking_what_is_clear_anyway_asks_nobody_for_it(here: World) -> None:
    filed = await here.ask("ada", "sales.orders", unmask=("sales.orders.total",))
    # Reading by itself: nothing is unmasked.
    assert filed.grant_id is not None
    assert filed.decision.rule == "on-call reads production by itself"
    assert (await grant_of(here, filed.grant_id)).asked.unmask == ()


# What narrows


async def test_a_narrowing_filter_holds_in_the_database(here: World) -> None:
    asked = AskedScope(READ, ("sales.orders",), row_filters={"sales.orders": "region = 'EU'"})
    grant_id = await here.grant("ada", asked=asked)
    outcome = await run_query(
        here.ctx, await here.actor("ada"), "prod/shop", "select distinct region from orders"
    )
    assert outcome.grant_id == grant_id
    assert outcome.result.rows == (("EU",),)


@pytest.mark.one_major
async def test_other_filters_are_refused(here: World) -> None:
    for relation, text in (
        ("sales.customers", "email like 'a%'"),
        ("sales.orders", "lower(region) = 'eu'"),
        ("sales.orders", "id in (select 1)"),
        ("sales.orders", "pg_sleep(1) is null"),
        ("sales.orders", "region = 'EU' or true; drop table x"),
        ("sales.orders", "no_such_column = 1"),
        ("sales.orders", ""),
    ):
        asked = AskedScope(READ, (relation,), row_filters={relation: text})
        error = await refused(here, "ada", to("prod/shop", asked=asked))
        assert isinstance(error, Invalid), text
        assert error.detail_code in ("invalid_row_filter", "invalid_scope"), text
    assert await here.rows("select count(*) from request") == [(0,)]


@pytest.mark.one_major
async def test_a_filter_of_a_profile_can_be_narrowed_and_not_replaced(here: World) -> None:
    asked = AskedScope(frozenset(), ("*.*",), row_filters={"sales.orders": "true"})
    error = await refused(here, "ben", to("prod/shop", asked=asked, profile="order-fix"))
    assert error.detail_code == "wider_than_profile"


# Settings


async def test_a_tenant_asked_for_reaches_the_database_s_own_row_security(here: World) -> None:
    asked = AskedScope(READ, ("billing.invoices",), settings={"app.tenant": "acme"})
    filed = await here.ask("ben", asked=asked, ticket="")
    await granted(here, filed, "dana")
    ben = await here.actor("ben")
    text = "select distinct tenant from invoices"
    outcome = await run_query(here.ctx, ben, "prod/shop", text)
    assert outcome.result.rows == (("acme",),)
    # The session cannot choose another one.
    for switch in ("set app.tenant = 'globex'", "select set_config('app.tenant','globex',false)"):
        with pytest.raises(Denied):
            await run_query(here.ctx, ben, "prod/shop", switch)


@pytest.mark.one_major
async def test_a_rule_says_which_settings_may_be_asked_for(here: World) -> None:
    for setting in (
        "role",
        "ROLE",
        "session_authorization",
        "row_security",
        "search_path",
        "session_replication_role",
        "app.other",
        "lc_messages",
        "daypass.x",
    ):
        asked = AskedScope(READ, ("billing.invoices",), settings={setting: "x"})
        error = await refused(here, "ben", to("prod/shop", asked=asked))
        assert isinstance(error, Denied)
        assert [each.code for each in error.decision.reasons] == ["setting_denied"], setting


async def test_settings_that_would_undo_a_scope_reach_no_session(here: World) -> None:
    # Where a rule has approvers and says nothing of settings, any may be asked for.
    wanted = {
        "role": "shop_owner",
        "session_authorization": "shop_owner",
        "search_path": "sales",
        "Search_Path": "sales",
        "row_security": "off",
        "session_replication_role": "replica",
    }
    asked = AskedScope(EXPLAIN | READ, ("sales.orders",), settings=wanted)
    filed = await here.ask("fay", asked=asked, profile="fraud-review")
    left = {each.name for each in filed.left_out if each.code == "setting_denied"}
    assert left >= {"setting role", "setting session_authorization", "setting search_path"}
    await granted(here, filed, "samira")
    fay = await here.actor("fay")
    text = (
        "select current_user = session_user, current_setting('search_path'), count(*) from orders"
    )
    outcome = await run_query(here.ctx, fay, "prod/shop", text)
    assert outcome.result.sqlstate == "", outcome.result.error
    assert outcome.result.rows[0][0] == "t"
    assert "dp_v_" in str(outcome.result.rows[0][1])


# Native roles, direct credentials


async def test_a_native_role_only_where_a_rule_names_it(here: World) -> None:
    asked = AskedScope(READ, native_role="shop_app")
    error = await refused(here, "ada", to("prod/shop", asked=asked))
    assert isinstance(error, Denied)
    assert {reason.code for reason in error.decision.reasons} == {"native_role_denied"}
    typo = AskedScope(READ, native_role="shop_readonyl")
    unknown = await refused(here, "ada", to("prod/shop", asked=typo))
    assert isinstance(unknown, Invalid)
    assert "shop_readonly" in unknown.message
    filed = await here.ask("ada", asked=AskedScope(READ, native_role="shop_readonly"))
    grant_id = await granted(here, filed, "dana", "samira")
    outcome = await run_query(
        here.ctx,
        await here.actor("ada"),
        "prod/shop",
        "select count(*) from sales.products",
        grant_id=grant_id,
    )
    assert outcome.result.sqlstate == "", outcome.result.error
    # Approvers were told what a role means.
    waits = [payload["text"] for _, payload in await told(here, "request.waits")]
    assert any("it ends by cutting the session" in text for text in waits), waits
    await here.end("ada", grant_id)


async def test_direct_credentials_only_where_allowed_and_never_for_gateway_timed_classes(
    here: World,
) -> None:
    denied = await refused(here, "ben", to("prod/shop", direct_credentials=True))
    assert isinstance(denied, Denied)
    assert denied.decision.reasons[0].code == "no_rule"
    for classes in ({C.TRUNCATE}, {C.DDL, C.SELECT}, {C.CALL, C.SELECT}, {C.COPY_IN}):
        asked = AskedScope(frozenset(classes), ("sales.orders",))
        error = await refused(
            here, "dana", to("prod/shop", asked=asked, direct_credentials=True, ticket="CHG-1")
        )
        assert isinstance(error, Denied)
        codes = {reason.code for reason in error.decision.reasons}
        assert codes & {"direct_denied", "no_rule"}, classes
    # `explain` alone is kept by Daypass: a client of one's own could simply read.
    only_explain = AskedScope(EXPLAIN, ("sales.orders",))
    error = await refused(
        here, "dana", to("prod/shop", asked=only_explain, direct_credentials=True)
    )
    assert isinstance(error, Invalid)
    assert error.detail_code == "not_direct"


async def test_a_grant_not_approved_for_direct_use_gives_no_credential(here: World) -> None:
    grant_id = await here.grant("ada", "sales.orders")
    with pytest.raises(Denied) as caught:
        await issue_credential(here.ctx, await here.actor("ada"), grant_id)
    assert caught.value.detail_code == "direct_denied"
    with pytest.raises(NotFound) as other:
        await issue_credential(here.ctx, await here.actor("ben"), grant_id)
    assert other.value.detail_code == "no_grant"


# Time


async def test_a_start_in_the_future(here: World) -> None:
    starts_at = datetime.now(UTC) + timedelta(seconds=1.5)
    filed = await here.ask("ada", "sales.orders", starts_at=starts_at, duration=MINUTE)
    assert filed.grant_id is not None
    grant = await grant_of(here, filed.grant_id)
    assert grant.state == GrantState.SCHEDULED
    # Its time runs from the start, not from the approval.
    assert grant.starts_at == starts_at
    assert grant.deadline == starts_at + MINUTE
    ada = await here.actor("ada")
    for grant_id in (None, filed.grant_id):
        with pytest.raises((Denied, NotFound)) as early:
            await run_query(here.ctx, ada, "prod/shop", "select 1", grant_id=grant_id)
        assert early.value.detail_code == "no_grant"
    # A task that comes too early makes nothing usable either.
    await apply_grant(here.ctx, filed.grant_id)
    with pytest.raises(Denied):
        await run_query(here.ctx, ada, "prod/shop", "select 1")
    assert (await advance_time(here.ctx)).started == ()
    async with jobs_running(here):
        await until(
            lambda: log(here, EntryKind.GRANT_STARTED, grant_id=filed.grant_id), "the start"
        )
    (started,) = await log(here, EntryKind.GRANT_STARTED)
    assert 0 <= (started.at - starts_at).total_seconds() < 1
    assert (await grant_of(here, filed.grant_id)).state == GrantState.ACTIVE
    outcome = await run_query(here.ctx, ada, "prod/shop", "select count(*) from orders")
    assert outcome.grant_id == filed.grant_id
    assert await addresses(here, "grant.started") == {"ada"}


@pytest.mark.one_major
async def test_a_start_that_passed_while_it_was_decided_is_now(here: World) -> None:
    starts_at = datetime.now(UTC) + timedelta(seconds=0.3)
    filed = await here.ask("ben", "sales.orders", starts_at=starts_at, duration=MINUTE)
    await until(_passed(starts_at), "the start")
    request = await agree(here, filed.request_id, "dana")
    assert request.grant_id is not None
    grant = await grant_of(here, request.grant_id)
    assert grant.state == GrantState.ACTIVE
    assert grant.starts_at > starts_at
    assert grant.deadline - grant.starts_at == MINUTE


def _passed(moment: datetime):  # type: ignore[no-untyped-def]
    async def passed() -> bool:
        return datetime.now(UTC) > moment

    return passed


@pytest.mark.one_major
async def test_what_nobody_decides_expires(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    request = await request_of(here, filed.request_id)
    assert request.pending_until - request.created_at == timedelta(hours=24)
    assert (await advance_time(here.ctx)).expired == ()
    await _overdue(here, filed)
    assert (await advance_time(here.ctx)).expired == (filed.request_id,)
    assert (await request_of(here, filed.request_id)).state == RequestState.EXPIRED
    assert await addresses(here, "request.expired") == {"ben"}
    with pytest.raises(Conflict) as late:
        await decide_request(here.ctx, await here.actor("dana"), filed.request_id, yes=True)
    assert late.value.detail_code == "request_expired"
    # Another rule, another time.
    agents = await here.ask(
        "agent-triage", profile="triage", asked=AskedScope(frozenset()), duration=5 * MINUTE
    )
    request = await request_of(here, agents.request_id)
    assert request.pending_until - request.created_at == timedelta(hours=1)


async def _overdue(here: World, filed: Filed) -> None:
    await here.rows(
        "update request set pending_until = clock_timestamp() - interval '1 s' where id = %s"
        " returning id",
        filed.request_id,
    )


# Whose it is


@pytest.mark.one_major
async def test_who_may_withdraw(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    for name in ("ada", "dana", "robin", "anton", "lena"):
        with pytest.raises(NotFound) as caught:
            await withdraw_request(here.ctx, await here.actor(name), filed.request_id)
        assert caught.value.detail_code == "no_request"
    read_only = await here.actor("ben")
    with pytest.raises(Denied) as token:
        await withdraw_request(here.ctx, _only(read_only, Capability.READ), filed.request_id)
    assert token.value.detail_code == "token_capability"
    await withdraw_request(here.ctx, read_only, filed.request_id, "not needed")
    request = await request_of(here, filed.request_id)
    assert (request.state, request.decided_by) == (RequestState.WITHDRAWN, "ben@example.com")
    assert [address for address, _ in await told(here, "request.withdrawn")] == [""]
    with pytest.raises(Conflict) as again:
        await withdraw_request(here.ctx, read_only, filed.request_id)
    assert again.value.detail_code == "request_withdrawn"


@pytest.mark.one_major
async def test_the_owner_of_a_service_account_withdraws_for_it(here: World) -> None:
    filed = await here.ask(
        "agent-triage", profile="triage", asked=AskedScope(frozenset()), duration=5 * MINUTE
    )
    with pytest.raises(NotFound):
        await withdraw_request(here.ctx, await here.actor("ben"), filed.request_id)
    await withdraw_request(here.ctx, await here.actor("ada"), filed.request_id)
    assert (await request_of(here, filed.request_id)).decided_by == "ada@example.com"


def _only(actor: Actor, *capabilities: Capability) -> Actor:
    from dataclasses import replace

    return replace(actor, capabilities=frozenset(capabilities))


@pytest.mark.one_major
async def test_who_may_see_a_request(here: World) -> None:
    filed = await here.ask("ben", "sales.orders")
    robin = await here.actor("robin")
    await person(here.ctx, robin, "mallory@example.com")
    # Whose it is, who decides it, who owns the database, who oversees everything.
    for name in ("ben", "dana", "dmitri", "lena", "robin", "anton"):
        shown = await show_request(here.ctx, await here.actor(name), filed.request_id)
        assert shown.request.id == filed.request_id
        listed, _ = await list_requests(
            here.ctx, await here.actor(name), RequestFilter(), before=None, limit=10
        )
        assert [each.id for each in listed] == [filed.request_id]
    for name in ("ada", "cleo", "fay", "mallory", "agent-triage", "samira"):
        actor = await here.actor(name)
        with pytest.raises(NotFound) as hidden:
            await show_request(here.ctx, actor, filed.request_id)
        with pytest.raises(NotFound) as missing:
            await show_request(here.ctx, actor, type(filed.request_id)(987_654))
        number = str(filed.request_id)
        assert repr(seen_by(hidden.value)).replace(f" {number} ", " N ") == repr(
            seen_by(missing.value)
        ).replace(" 987654 ", " N ")
        with pytest.raises(NotFound) as decided:
            await decide_request(here.ctx, actor, filed.request_id, yes=True)
        assert seen_by(decided.value) == seen_by(hidden.value)
        listed, _ = await list_requests(here.ctx, actor, RequestFilter(), before=None, limit=10)
        assert listed == ()


@pytest.mark.one_major
async def test_a_token_asks_only_for_what_it_may(here: World) -> None:
    ada = await here.actor("ada")
    for capabilities in ((Capability.READ,), (Capability.CONNECT, Capability.APPROVE), ()):
        with pytest.raises(Denied) as caught:
            await request_access(here.ctx, _only(ada, *capabilities), to("prod/shop"))
        assert caught.value.detail_code == "token_capability"
    assert await here.rows("select count(*) from request") == [(0,)]


@pytest.mark.one_major
async def test_columns_to_unmask_are_pinned_when_they_are_asked_for(here: World) -> None:
    filed = await here.ask("ben", "sales.customers", unmask=("sales.customers.e*",))
    asked = (await request_of(here, filed.request_id)).asked
    # A column that is added later is in no pattern that approvers said yes to.
    assert asked.unmask == ("sales.customers.email", "sales.customers.email_lower")
