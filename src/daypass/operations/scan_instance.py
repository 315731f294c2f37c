"""Score what stands open on an instance without any grant, and draft what would replace it."""

from __future__ import annotations

from dataclasses import dataclass

from daypass.domain.errors import NotFound
from daypass.domain.ids import InstanceId
from daypass.domain.principal import Actor, DaypassRole
from daypass.engines.contract import StandingLogin
from daypass.operations.context import Context, require_role
from daypass.operations.database_facts import load_facts
from daypass.operations.draft_policy import draft_policy
from daypass.operations.open_target import open_target
from daypass.store import databases, instances

_COUNTED = ("human", "program")


@dataclass(frozen=True, slots=True)
class Scan:
    """The outcome; `logins` are those of people and programs, the most powerful first.

    `to_go` counts the ones that can do anything at all; `score` is the mean of all, 0 to 100.
    """

    instance: str
    logins: tuple[StandingLogin, ...]
    to_go: int
    score: int
    others: tuple[StandingLogin, ...]
    """Logins of the server itself and of admins, Daypass's own among them: not counted."""
    policy: str

    @property
    def headline(self) -> str:
        """Say how far it is to zero standing privileges."""
        if not self.to_go:
            return "zero standing privileges: reached"
        return f"zero standing privileges: {self.to_go} of {len(self.logins)} logins to go"


async def scan_instance(ctx: Context, actor: Actor, instance_id: InstanceId) -> Scan:
    """Ask an instance for its logins and score them; nothing is changed.

    Raises `Denied` unless the actor is an admin, policy editor or auditor, and `Unavailable` when
    the instance does not answer.
    """
    require_role(actor, DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR, DaypassRole.AUDITOR)
    async with ctx.store.snapshot() as tx:
        instance = await instances.get_instance(tx, instance_id)
        if instance is None or instance.state != "active":
            raise NotFound(f"there is no instance {instance_id}")
        catalogs = {
            database.name: (await load_facts(tx, database.id)).catalog
            for database in await databases.list_databases(tx, instance_id=instance_id)
            if database.catalog_version is not None
        }
    target = await open_target(ctx, instance_id)
    found = sorted(await target.standing_logins(), key=lambda login: (-login.score, login.name))
    counted = tuple(login for login in found if login.kind in _COUNTED)
    to_go = tuple(login for login in counted if login.score > 0)
    return Scan(
        instance=instance.name,
        logins=counted,
        to_go=len(to_go),
        score=round(sum(login.score for login in counted) / len(counted)) if counted else 0,
        others=tuple(login for login in found if login.kind not in _COUNTED),
        policy=draft_policy(instance.name, to_go, catalogs),
    )
