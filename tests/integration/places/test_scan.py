"""Standing logins are scored, and what is drafted for them is a policy that loads and decides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from daypass.domain.catalog import RelationName
from daypass.domain.decision import Outcome
from daypass.domain.errors import Denied
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Principal, PrincipalKind
from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import StandingLogin
from daypass.operations.database_facts import DatabaseFactsBundle, load_facts
from daypass.operations.draft_policy import draft_policy
from daypass.operations.scan_instance import scan_instance
from daypass.policy.check import Known, Severity, check_policy
from daypass.policy.decide import decide
from daypass.policy.facts import RequestFacts
from daypass.policy.load import load_policy
from daypass.policy.profiles import expand_profile
from daypass.policy.rules import Policy
from daypass.policy.scope import resolve
from tests.integration.places.conftest import Place

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def login(name: str, kind: str = "human", score: int = 50) -> StandingLogin:
    return StandingLogin(name, kind, score, (), None, ())


async def _facts(place: Place) -> DatabaseFactsBundle:
    async with place.ctx.store.transaction() as tx:
        return await load_facts(tx, place.shop)


def _outcome(
    policy: Policy, facts: DatabaseFactsBundle, group: str, kind: PrincipalKind, profile: str
) -> Outcome:
    asked = expand_profile(policy, profile)
    requester = Principal(PrincipalId(1), kind, "x", "x@example.com", groups=frozenset({group}))
    resolution = resolve(policy, asked, requester, facts.for_policy(), facts.classified)
    request = RequestFacts(
        requester,
        facts.for_policy(),
        asked,
        timedelta(hours=1),
        resolution.relations,
        reason="to see",
        profile=profile,
    )
    return decide(policy, request, NOW).outcome


async def test_the_company_is_far_from_zero(place: Place) -> None:
    scan = await scan_instance(place.ctx, place.auditor, place.id)
    by_name = {each.name: each for each in scan.logins}
    assert {"maria_keller", "tom_baker", "nightly_batch"} <= by_name.keys()
    assert "daypass_admin" not in by_name
    assert by_name["maria_keller"].score > by_name["tom_baker"].score > 0
    assert scan.to_go == len([each for each in scan.logins if each.score])
    assert (
        scan.headline
        == f"zero standing privileges: {scan.to_go} of {len(scan.logins)} logins to go"
    )
    policy = load_policy({"drafted.yaml": scan.policy})
    facts = await _facts(place)
    person, program = PrincipalKind.PERSON, PrincipalKind.SERVICE_ACCOUNT
    assert _outcome(policy, facts, "tom_baker", person, "shop-tom_baker-reads") is (
        Outcome.NEEDS_APPROVAL
    )
    assert _outcome(policy, facts, "shop_app", program, "shop-shop_app-reads") is Outcome.ALLOWED
    assert _outcome(policy, facts, "others", person, "shop-tom_baker-reads") is Outcome.DENIED


async def test_only_those_who_look_after_security_scan(place: Place) -> None:
    for actor in (place.owner, place.member):
        with pytest.raises(Denied, match="auditor"):
            await scan_instance(place.ctx, actor, place.id)


async def test_what_is_drafted_covers_what_they_had_and_no_more(place: Place) -> None:
    facts = await _facts(place)
    text = draft_policy("prod", [login("tom_baker")], {"shop": facts.catalog})
    policy = load_policy({"d.yaml": text})
    profiles = {profile.name: profile for profile in policy.profiles}
    assert profiles.keys() == {"shop-tom_baker-reads", "shop-shop_readonly-reads"}
    assert profiles["shop-tom_baker-reads"].relations == ("hr.employees",)
    read = profiles["shop-shop_readonly-reads"]
    assert read.classes == {StatementClass.EXPLAIN, StatementClass.SELECT}
    asked = AskedScope(read.classes, read.relations)
    tom = Principal(PrincipalId(1), PrincipalKind.PERSON, "t", "t@example.com")
    resolution = resolve(policy, asked, tom, facts.for_policy(), facts.classified)
    readable = {r.name for r in facts.catalog.relations if "shop_readonly" in r.readers}
    assert set(resolution.relations) == readable
    assert RelationName("hr", "employees") not in readable


async def test_an_owner_s_draft_writes_and_names_whole_schemas(place: Place) -> None:
    facts = await _facts(place)
    policy = load_policy(
        {"d.yaml": draft_policy("prod", [login("maria_keller")], {"shop": facts.catalog})}
    )
    (profile,) = policy.profiles
    assert profile.name == "shop-shop_owner-writes"
    assert "hr.*" in profile.relations
    assert StatementClass.DELETE in profile.classes


async def test_hostile_names_still_make_a_policy_that_loads(place: Place) -> None:
    facts = await _facts(place)
    names = ['x" in [] || true || "', "a\n  - name: b", "-", "#", "Ünïcode 😀", "a'b: [", "x" * 63]
    catalog = replace(
        facts.catalog,
        relations=tuple(
            replace(relation, readers=tuple(names)) for relation in facts.catalog.relations
        ),
    )
    logins = [login(name, kind) for name in names for kind in ("human", "program")]
    text = draft_policy('pr"od', logins, {'s"h\nop': catalog})
    policy = load_policy({"d.yaml": text})
    assert len(policy.profiles) == len(names)
    assert yaml.safe_load(text).keys() == {"defaults", "profiles", "access"}
    errors = [f for f in check_policy(policy, Known(), NOW) if f.severity is Severity.ERROR]
    assert not errors
    assert _outcome(policy, facts, "x", PrincipalKind.PERSON, policy.profiles[0].name) is (
        Outcome.DENIED
    )


async def test_a_login_nothing_is_known_of_is_named_in_the_draft(place: Place) -> None:
    facts = await _facts(place)
    text = draft_policy("prod", [login("nobody_knows")], {"shop": facts.catalog})
    assert "# No rule was drafted for nobody_knows" in text
    assert load_policy({"d.yaml": text}).access == ()
