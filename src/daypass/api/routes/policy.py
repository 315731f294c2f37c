"""Policy: what is in force, what would change, and putting files in force."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, holders
from daypass.api.pages import Page, PageQuery, before_number, page_of
from daypass.api.routes.decisions import DecisionOut, decision_out
from daypass.api.shapes import Body, Out
from daypass.audit.entry import EntryKind
from daypass.domain.ids import PolicyVersion
from daypass.domain.principal import Capability, DaypassRole
from daypass.operations.apply_policy import PolicyApplied, apply_policy, roll_back_policy
from daypass.operations.examine_policy import (
    READERS,
    check_policy_files,
    diff_policy_files,
    list_policy_versions,
    run_policy_cases,
    show_policy,
)
from daypass.policy.check import Finding
from daypass.store.policies import PolicyRow

routes = Routes("policy")

_READ = RouteFacts(holders(*READERS), Capability.READ)
_TRY = RouteFacts(holders(*READERS), Capability.READ, timeout_s=60)
_WRITERS = holders(DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR)
_MAX_FILES = 100
_EXAMPLE = {
    "policy.yaml": "defaults: {unclassified: full}\n"
    "access:\n"
    "  - {name: nobody, when: 'true', deny: 'nothing is open yet'}\n"
}


class FilesBody(Body):
    """The files of a policy, whole: names and texts."""

    files: dict[str, str] = Field(min_length=1, max_length=_MAX_FILES, examples=[_EXAMPLE])


class ApplyBody(FilesBody):
    """Files to put in force; with `expected`, only in place of that version."""

    note: str = Field(default="", max_length=500, examples=["first policy"])
    expected: int | None = Field(default=None, ge=1, lt=2**31, examples=[None])


class RollBackBody(Body):
    """Which version to put in force again."""

    version: int = Field(ge=1, lt=2**31, examples=[1])
    note: str = Field(default="", max_length=500, examples=["the change broke on-call"])


class PolicyOut(Out):
    """One policy that was applied, without its texts."""

    version: int
    digest: str
    note: str
    rollback_of: int | None
    applied_by: str | None
    applied_at: datetime


class PolicyFilesOut(PolicyOut):
    """One policy that was applied, whole."""

    files: dict[str, str]


class FindingOut(Out):
    """One thing `check` found; an error keeps the files from being applied."""

    severity: str
    code: str
    place: str
    text: str


class CheckedOut(Out):
    """What `check` found; `ok` without errors."""

    ok: bool
    findings: list[FindingOut]


class ChangeOut(Out):
    """One change between two policies."""

    kind: str
    section: str
    name: str
    text: str


class DifferenceOut(Out):
    """What would change against the version in force."""

    version: int
    changes: list[ChangeOut]


class CaseOut(Out):
    """How one case went."""

    name: str
    place: str
    holds: bool
    failures: list[str]
    decision: DecisionOut | None


class TestedOut(Out):
    """How the cases went; `ok` when all hold."""

    ok: bool
    cases: list[CaseOut]


class AppliedOut(Out):
    """A policy in force; `reconsidered` are pending requests that now stand otherwise.

    `warnings` are what its check has to say besides.
    """

    version: int
    changed: bool
    reconsidered: list[int]
    warnings: list[FindingOut]


@routes.get("/policy", _READ)
async def show_policy_in_force(call: ThisCall) -> PolicyFilesOut:
    """Show the policy in force, with its version as `ETag`."""
    row = await show_policy(call.ctx, call.actor)
    call.tag(row.version)
    return _with_files(row)


@routes.get("/policy/versions", _READ)
async def list_all_policy_versions(
    call: ThisCall, query: Annotated[PageQuery, Query()]
) -> Page[PolicyOut]:
    """List every policy that was ever applied, newest first."""
    before = before_number(query)
    if before is not None and before >= 2**31:
        before = None
    rows = await list_policy_versions(call.ctx, call.actor, before=before, limit=query.limit + 1)
    return page_of(rows, query, PolicyOut.model_validate, lambda row: row.version)


@routes.get("/policy/versions/{version}", _READ)
async def show_policy_version(
    call: ThisCall, version: Annotated[int, Path(ge=1, lt=2**31, examples=[1])]
) -> PolicyFilesOut:
    """Show one policy that was applied."""
    return _with_files(await show_policy(call.ctx, call.actor, PolicyVersion(version)))


@routes.post("/policy/check", _TRY)
async def check_policy(call: ThisCall, body: FilesBody) -> CheckedOut:
    """Check files without applying them; what cannot be read is a problem with file and line."""
    found = await check_policy_files(call.ctx, call.actor, body.files)
    return CheckedOut(
        ok=all(each.severity != "error" for each in found),
        findings=[_finding(each) for each in found],
    )


def _finding(found: Finding) -> FindingOut:
    return FindingOut(
        severity=found.severity.value, code=found.code, place=str(found.place), text=found.text
    )


@routes.post("/policy/diff", _TRY)
async def diff_policy(call: ThisCall, body: FilesBody) -> DifferenceOut:
    """Say what files would change against the policy in force."""
    version, changes = await diff_policy_files(call.ctx, call.actor, body.files)
    return DifferenceOut(
        version=version,
        changes=[
            ChangeOut(kind=each.kind.value, section=each.section, name=each.name, text=str(each))
            for each in changes
        ],
    )


@routes.post("/policy/test", _TRY)
async def try_policy(call: ThisCall, body: FilesBody) -> TestedOut:
    """Run the cases in the files against the policy in them."""
    results = await run_policy_cases(call.ctx, call.actor, body.files)
    return TestedOut(
        ok=all(each.holds for each in results),
        cases=[
            CaseOut(
                name=each.case.name,
                place=str(each.case.place),
                holds=each.holds,
                failures=list(each.failures),
                decision=decision_out(each.decision) if each.decision else None,
            )
            for each in results
        ],
    )


@routes.put(
    "/policy",
    RouteFacts(
        _WRITERS,
        Capability.MANAGE,
        entries=(EntryKind.POLICY_APPLIED, EntryKind.REQUEST_REDECIDED),
        timeout_s=60,
    ),
)
async def put_policy_in_force(call: ThisCall, body: ApplyBody) -> AppliedOut:
    """Put files in force, all or nothing; the same files again change nothing."""
    expected = body.expected if body.expected is not None else call.expected_revision
    applied = await apply_policy(
        call.ctx,
        call.actor,
        body.files,
        note=body.note,
        expected=None if expected is None else PolicyVersion(expected),
    )
    return _applied(call, applied)


@routes.post(
    "/policy/roll-back",
    RouteFacts(
        _WRITERS,
        Capability.MANAGE,
        entries=(EntryKind.POLICY_ROLLED_BACK, EntryKind.REQUEST_REDECIDED),
        timeout_s=60,
    ),
)
async def put_policy_back(call: ThisCall, body: RollBackBody) -> AppliedOut:
    """Put an earlier version in force again, as a version of its own."""
    applied = await roll_back_policy(
        call.ctx, call.actor, PolicyVersion(body.version), note=body.note
    )
    return _applied(call, applied)


def _applied(call: ThisCall, applied: PolicyApplied) -> AppliedOut:
    call.tag(applied.version)
    return AppliedOut(
        version=applied.version,
        changed=applied.changed,
        reconsidered=list(applied.reconsidered),
        warnings=[_finding(each) for each in applied.warnings],
    )


def _with_files(row: PolicyRow) -> PolicyFilesOut:
    return PolicyFilesOut.model_validate(row)
