"""Whose a login seems to be, going by its name."""

import pytest

from daypass.engines.postgres.login_kinds import login_kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("maria_keller", "human"),
        ("tom_baker", "human"),
        ("tom.baker", "human"),
        ("j.doe@example.com", "human"),
        ("jsmith", "program"),
        ("anna", "human"),
        ("kees-jan.visser", "human"),
        ("nightly_batch", "program"),
        ("shop_app", "program"),
        ("svc-orders", "program"),
        ("grafana", "program"),
        ("reporting_ro", "program"),
        ("app@example.com", "program"),
        ("x7", "program"),
        ("postgres", "system"),
        ("rdsadmin", "system"),
        ("cloudsqladmin", "system"),
    ],
)
def test_tells_people_from_programs(name: str, kind: str) -> None:
    assert login_kind(name) == kind


def test_a_superuser_of_nobody_s_is_an_admin_and_a_person_s_is_a_person_s() -> None:
    assert login_kind("dba_tool", superuser=True) == "admin"
    assert login_kind("maria_keller", superuser=True) == "human"
