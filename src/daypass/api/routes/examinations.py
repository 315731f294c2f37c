"""What stands open on an instance: `doctor` lists ways around, `scan` standing privilege."""

from __future__ import annotations

from datetime import datetime

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned
from daypass.api.routes.instances import (
    SLOW_S,
    ExposureOut,
    InstanceName,
    exposure_out,
    instance_number,
)
from daypass.api.shapes import Out
from daypass.domain.principal import Capability
from daypass.engines.contract import StandingLogin
from daypass.operations.examine_instance import Examination, examine_instance
from daypass.operations.scan_instance import scan_instance

routes = Routes("examinations")


class AcceptedByOut(Out):
    """Who accepted an exposure, and why."""

    by: str
    at: datetime
    reason: str


class FindingOut(ExposureOut):
    """An exposure, where it shows, who accepted it, and on which databases you may."""

    databases: list[str]
    may_accept: list[str]
    accepted: AcceptedByOut | None


class StandingLoginOut(Out):
    """A login that exists without any grant, and how much it could do (0 to 100)."""

    name: str
    kind: str
    score: int
    privileges: list[str]
    last_seen: datetime | None
    reasons: list[str]


class ExaminedDatabaseOut(Out):
    """How much of a database nobody has classified yet."""

    name: str
    relations: int
    columns: int
    unclassified: int
    sensitive: list[str]
    stale: list[str]
    sync_error: str


class ExaminationOut(Out):
    """What `doctor` found; the gravest first. `problem` says what could not be looked at.

    `complete` is false where something could not: nothing found says nothing then.
    """

    instance: str
    engine: str
    server_version: str
    worst: str | None
    findings: list[FindingOut]
    databases: list[ExaminedDatabaseOut]
    logins: list[StandingLoginOut]
    problem: str
    complete: bool


class ScanOut(Out):
    """Standing privilege of an instance, and a draft of the policy that would replace it."""

    instance: str
    headline: str
    score: int
    to_go: int
    logins: list[StandingLoginOut]
    others: list[StandingLoginOut]
    policy: str


@routes.get(
    "/instances/{name}/doctor",
    RouteFacts(
        concerned("owners of its databases, admin, auditor, policy editor"),
        Capability.READ,
        timeout_s=SLOW_S,
    ),
)
async def examine_one_instance(call: ThisCall, name: InstanceName) -> ExaminationOut:
    """List the ways around Daypass that an instance has."""
    return _examination(
        await examine_instance(call.ctx, call.actor, await instance_number(call, name))
    )


@routes.get(
    "/instances/{name}/scan",
    RouteFacts(
        concerned("admin, auditor, policy editor; what others may not see is not found"),
        Capability.READ,
        timeout_s=SLOW_S,
    ),
)
async def scan_one_instance(call: ThisCall, name: InstanceName) -> ScanOut:
    """Score standing privilege and draft the policy that would replace it."""
    scan = await scan_instance(call.ctx, call.actor, await instance_number(call, name))
    return ScanOut(
        instance=scan.instance,
        headline=scan.headline,
        score=scan.score,
        to_go=scan.to_go,
        logins=[_login(each) for each in scan.logins],
        others=[_login(each) for each in scan.others],
        policy=scan.policy,
    )


def _login(login: StandingLogin) -> StandingLoginOut:
    return StandingLoginOut.model_validate(login)


def _examination(found: Examination) -> ExaminationOut:
    return ExaminationOut(
        instance=found.instance,
        engine=found.engine,
        server_version=found.server_version,
        worst=found.worst.value if found.worst else None,
        findings=[
            FindingOut(
                **exposure_out(each.exposure).model_dump(),
                databases=list(each.databases),
                may_accept=list(each.may_accept),
                accepted=AcceptedByOut(
                    by=each.acceptance.accepted_by_email,
                    at=each.acceptance.accepted_at,
                    reason=each.acceptance.reason,
                )
                if each.acceptance
                else None,
            )
            for each in found.findings
        ],
        databases=[
            ExaminedDatabaseOut(
                name=each.name,
                relations=each.relations,
                columns=each.columns,
                unclassified=each.unclassified,
                sensitive=[str(name) for name in each.sensitive],
                stale=[str(name) for name in each.stale],
                sync_error=each.sync_error,
            )
            for each in found.databases
        ],
        logins=[_login(each) for each in found.logins],
        problem=found.problem,
        complete=found.complete,
    )
