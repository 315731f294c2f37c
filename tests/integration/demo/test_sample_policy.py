"""The sample policy against the sample company's own catalog: it loads, and answers as it says."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from daypass.demo import company
from daypass.demo.company.company import ADMIN, STANDING_LOGINS, load_company
from daypass.domain.catalog import Catalog, Tags
from daypass.domain.catalog import ColumnName as Column
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Principal, PrincipalKind
from daypass.embedded import Cluster
from daypass.engines.postgres.catalog import read_catalog
from daypass.operations.tag_file import read_tag_file
from daypass.policy.cases import load_cases
from daypass.policy.check import Known, check_policy
from daypass.policy.facts import DatabaseFacts
from daypass.policy.load import load_policy
from daypass.policy.run_cases import KnownDatabase, run_cases
from tests import servers as pg

SAMPLES = Path(company.__file__).parent.parent
FILES = {path.name: path.read_text() for path in sorted((SAMPLES / "policy").glob("*.yaml"))}
PEOPLE: dict[str, Any] = yaml.safe_load((SAMPLES / "people.yaml").read_text())
SOME_DAY = datetime(2026, 1, 5, 10, tzinfo=UTC)


def principals() -> dict[str, Principal]:
    return {
        each["email"]: Principal(
            PrincipalId(number),
            PrincipalKind(each["kind"]),
            each["name"],
            each["email"],
            groups=frozenset(each["groups"]),
            attributes=each.get("attributes", {}),
            manager=each.get("manager"),
        )
        for number, each in enumerate(PEOPLE["people"], 1)
    }


def database_facts() -> dict[str, DatabaseFacts]:
    return {
        path: DatabaseFacts(
            path.partition("/")[2], "prod", "postgres", d["labels"], frozenset(d["owners"])
        )
        for path, d in PEOPLE["databases"].items()
    }


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Give these tests a server of their own: the company's names are fixed."""
    binaries = pg.binaries_of(15)
    if binaries is None:
        pytest.skip("PostgreSQL 15 is not installed")
    with pg.running_server(binaries) as running:
        load_company(
            running.conninfo("postgres"),
            customers=100,
            admin_password="sample",
            logins=dict.fromkeys(STANDING_LOGINS, "sample"),
        )
        yield running


async def known_databases(cluster: Cluster) -> dict[str, KnownDatabase]:
    """Read both databases as Daypass does, with the tags of tags.yaml."""
    file = read_tag_file("tags.yaml", (SAMPLES / "tags.yaml").read_text())
    file.problems.raise_if_any("tags.yaml")
    facts = database_facts()
    known = {}
    for of_database in file.databases:
        name = of_database.path.partition("/")[2]
        conninfo = cluster.conninfo(name, ADMIN, "sample")
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            catalog = await read_catalog(connection)
        tags = Tags(
            {r.name: r.tags for r in of_database.relations},
            {Column(r.name, c.name): c.tags for r in of_database.relations for c in r.columns},
            frozenset(
                Column(r.name, column.name)
                for r in of_database.relations
                for column in columns_of(catalog, r.name)
            ),
        )
        known[of_database.path] = KnownDatabase(facts[of_database.path], catalog, tags)
    return known


def columns_of(catalog: Catalog, name: Any) -> tuple[Any, ...]:
    relation = catalog.relation(name)
    assert relation is not None, name
    return relation.columns


async def test_every_case_holds(cluster: Cluster) -> None:
    cases = load_cases(FILES)
    results = run_cases(load_policy(FILES), cases, principals(), await known_databases(cluster))
    failures = {r.case.name: r.failures for r in results if not r.holds}
    assert failures == {}


def test_every_rule_decides_a_case() -> None:
    expected = {case.expect.rule for case in load_cases(FILES)}
    assert expected >= {rule.name for rule in load_policy(FILES).access}


def test_every_profile_is_used_by_a_case() -> None:
    used = {case.profile for case in load_cases(FILES)}
    assert used >= {profile.name for profile in load_policy(FILES).profiles}


async def test_the_policy_checks_clean(cluster: Cluster) -> None:
    people = principals()
    groups: dict[str, frozenset[str]] = {}
    for person in people.values():
        for group in person.groups:
            groups[group] = groups.get(group, frozenset()) | {person.email}
    known = await known_databases(cluster)
    findings = check_policy(
        load_policy(FILES),
        Known(
            groups=groups,
            people=frozenset(people),
            databases=tuple(database_facts().values()),
            column_tags=frozenset(
                tag for d in known.values() for tags in d.tags.columns.values() for tag in tags
            ),
            relation_tags=frozenset(
                tag for d in known.values() for tags in d.tags.relations.values() for tag in tags
            ),
        ),
        SOME_DAY,
    )
    # One security officer is what the sample has, and the check is right to say so.
    assert {f.code for f in findings} <= {"self_approval"}, [str(f) for f in findings]


def test_people_refer_to_each_other() -> None:
    people = principals()
    for each in PEOPLE["people"]:
        for other in (each.get("manager"), each.get("owner")):
            assert other is None or other in people
    groups = {group for person in people.values() for group in person.groups}
    for database in PEOPLE["databases"].values():
        assert set(database["owners"]) <= groups
