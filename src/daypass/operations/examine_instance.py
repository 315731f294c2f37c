"""Examine an instance for ways around Daypass: what `daypass doctor` shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daypass.domain.catalog import ColumnName, RelationName
from daypass.domain.decision import Decision, Outcome, Reason
from daypass.domain.errors import Denied, Error, NotFound
from daypass.domain.exposure import Exposure, Severity
from daypass.domain.ids import InstanceId
from daypass.domain.principal import Actor, Capability, DaypassRole, PrincipalKind
from daypass.engines.contract import StandingLogin
from daypass.operations.accept_exposure import INSTANCE_WIDE
from daypass.operations.context import Context, require_capability
from daypass.operations.database_facts import DatabaseFactsBundle, load_facts
from daypass.operations.database_owner import owns
from daypass.operations.open_target import engine_of, open_target
from daypass.operations.sync_catalog import stale_columns
from daypass.store import databases, exposures, instances
from daypass.store.databases import Database
from daypass.store.exposures import Acceptance

_ORDER = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 2}
_HIGH_SCORE = 70
_MEDIUM_SCORE = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """An exposure with the databases that show it (none: the whole instance), and who accepted.

    `may_accept` are the databases on which whoever asks may accept it.
    """

    exposure: Exposure
    databases: tuple[str, ...]
    acceptance: Acceptance | None
    may_accept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExaminedDatabase:
    """What Daypass knows of one database: how much of it nobody has classified yet."""

    name: str
    relations: int
    columns: int
    unclassified: int
    sensitive: tuple[RelationName, ...]
    stale: tuple[ColumnName, ...]
    sync_error: str


@dataclass(frozen=True, slots=True)
class Examination:
    """The outcome; `findings` are the gravest first, `problem` says what could not be looked at."""

    instance: str
    engine: str
    server_version: str
    databases: tuple[ExaminedDatabase, ...]
    findings: tuple[Finding, ...]
    logins: tuple[StandingLogin, ...]
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Say whether everything could be looked at: else nothing found is no good sign."""
        return not self.problem and not any(each.sync_error for each in self.databases)

    @property
    def worst(self) -> Severity | None:
        """Return the gravest severity that nobody accepted, or None: the exit code goes by it."""
        return next((f.exposure.severity for f in self.findings if f.acceptance is None), None)


async def examine_instance(ctx: Context, actor: Actor, instance_id: InstanceId) -> Examination:
    """Examine every database of an instance that the actor may look at.

    Rests on the catalogs last read, and asks the instance about its admin and logins. Raises
    `Denied` unless the actor is an admin, policy editor or auditor, or owns one of its databases.
    """
    require_capability(actor, Capability.READ)
    async with ctx.store.snapshot() as tx:
        instance = await instances.get_instance(tx, instance_id)
        if instance is None or instance.state != "active":
            raise NotFound(f"there is no instance {instance_id}")
        managed = await databases.list_databases(tx, instance_id=instance_id)
        sees_all = actor.has_role(DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR, DaypassRole.AUDITOR)
        visible = [d for d in managed if sees_all or owns(actor, d)]
        if not visible and not sees_all:
            raise _denied(instance.name)
        unread = [d for d in visible if d.catalog_version is None]
        facts = [await load_facts(tx, d.id) for d in visible if d.catalog_version is not None]
        accepted = {d.name: await exposures.list_acceptances(tx, d.id) for d in visible}
        errors = {d.name: d.sync_error for d in visible}
    engine = engine_of(ctx, instance.engine)
    found: list[tuple[str, Exposure]] = []
    examined = []
    for each in facts:
        sensitive = sensitive_relations(each)
        found += ((each.name, e) for e in engine.exposures(each.catalog, sensitive))
        examined.append(_examined(each, sensitive, errors[each.name]))
    logins: tuple[StandingLogin, ...] = ()
    mine = _mine(actor, visible)
    problem = "; ".join(f"the catalog of {d.path} was never read: {d.sync_error}" for d in unread)
    try:
        target = await open_target(ctx, instance_id)
        for each in facts:
            found += ((each.name, e) for e in await target.check_admin(each.name))
        if sees_all:
            logins = await target.standing_logins()
    except Error as error:
        problem = "; ".join(part for part in (problem, error.message) if part)
    known = {exposure.key for _, exposure in found}
    found += (("", e) for e in map(_login_exposure, logins) if e and e.key not in known)
    return Examination(
        instance=instance.name,
        engine=instance.engine,
        server_version=facts[0].catalog.server_version if facts else "",
        databases=tuple(examined),
        findings=_findings(found, accepted, mine, is_admin=actor.has_role(DaypassRole.ADMIN)),
        logins=logins,
        problem=problem,
    )


def sensitive_relations(facts: DatabaseFactsBundle) -> frozenset[RelationName]:
    """Return the relations that are tagged, or that show a column of one that is."""
    of_column = {name.relation for name, tags in facts.classified.column_tags.items() if tags}
    of_relation = {name for name, tags in facts.classified.relation_tags.items() if tags}
    return frozenset(of_column | of_relation) & facts.classified.relations.keys()


def _examined(
    facts: DatabaseFactsBundle, sensitive: frozenset[RelationName], sync_error: str
) -> ExaminedDatabase:
    columns = [column for each in facts.classified.columns.values() for column in each]
    return ExaminedDatabase(
        name=facts.name,
        relations=len(facts.catalog.relations),
        columns=len(columns),
        unclassified=sum(not column.classified for column in columns),
        sensitive=tuple(sorted(sensitive)),
        stale=stale_columns(facts.catalog, facts.tags),
        sync_error=sync_error,
    )


def _mine(actor: Actor, visible: Iterable[Database]) -> tuple[str, ...]:
    """Return the databases on which the actor may accept what is theirs alone."""
    if actor.principal.kind is not PrincipalKind.PERSON or not actor.may(Capability.MANAGE):
        return ()
    is_admin = actor.has_role(DaypassRole.ADMIN)
    return tuple(d.name for d in visible if is_admin or owns(actor, d))


def _findings(
    found: Iterable[tuple[str, Exposure]],
    accepted: Mapping[str, tuple[Acceptance, ...]],
    mine: tuple[str, ...],
    *,
    is_admin: bool,
) -> tuple[Finding, ...]:
    shown: dict[str, tuple[Exposure, list[str]]] = {}
    for database, exposure in found:
        wide = exposure.code in INSTANCE_WIDE
        # What one database shows is its own, and accepted there alone.
        key = exposure.key if wide else f"{database} {exposure.key}"
        known, names = shown.setdefault(key, (exposure, []))
        if _ORDER[exposure.severity] < _ORDER[known.severity]:
            # One login reaches more in one database than in another.
            shown[key] = (exposure, names)
        if database and database not in names and not wide:
            names.append(database)
    findings = []
    for exposure, names in shown.values():
        places = names or list(accepted)
        acceptance = next(
            (a for place in places for a in accepted.get(place, ()) if a.key == exposure.key), None
        )
        theirs = names if names else (mine if is_admin else ())
        may_accept = tuple(name for name in theirs if name in mine)
        findings.append(Finding(exposure, tuple(names), acceptance, may_accept))
    return tuple(
        sorted(
            findings,
            key=lambda f: (
                f.acceptance is not None,
                _ORDER[f.exposure.severity],
                f.databases,
                f.exposure.key,
            ),
        )
    )


def _login_exposure(login: StandingLogin) -> Exposure | None:
    if login.kind != "human" or login.score == 0:
        return None
    severity = (
        Severity.HIGH
        if login.score >= _HIGH_SCORE
        else Severity.MEDIUM
        if login.score >= _MEDIUM_SCORE
        else Severity.LOW
    )
    return Exposure(
        code="standing_login",
        object_name=login.name,
        text=f"{login.name} can sign in without any grant: {'; '.join(login.reasons)}",
        severity=severity,
    )


def _denied(instance: str) -> Denied:
    return Denied(
        Decision(
            Outcome.DENIED,
            (
                Reason(
                    "daypass_role",
                    f"only admin, policy_editor, auditor or an owner of a database of {instance}"
                    " may examine it",
                ),
            ),
            next_step="ask an admin or an auditor",
        ),
        code="daypass_role",
    )
