"""People and service accounts in the store, with their groups, roles and attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from daypass.domain.errors import Conflict, NotFound
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import DaypassRole, Principal, PrincipalKind
from daypass.domain.scope import LiteralValue
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class StoredPrincipal:
    """A principal as stored, with what only Daypass itself goes by."""

    id: PrincipalId
    kind: str
    name: str
    email: str
    groups: list[str]
    roles: list[str]
    attributes: dict[str, Any]
    manager_id: PrincipalId | None
    manager: str | None
    owner_id: PrincipalId | None
    owner: str | None
    active: bool
    revision: int
    created_at: datetime
    left_at: datetime | None

    @property
    def principal(self) -> Principal:
        """Return it as policy and operations know it."""
        return Principal(
            id=self.id,
            kind=PrincipalKind(self.kind),
            name=self.name,
            email=self.email,
            groups=frozenset(self.groups),
            roles=frozenset(DaypassRole(role) for role in self.roles),
            attributes={key: _literal(value) for key, value in self.attributes.items()},
            manager=self.manager,
            owner=self.owner_id,
            active=self.active,
        )


@dataclass(frozen=True, slots=True)
class NewPrincipal:
    """What a principal starts with; `scram_salt` is shared by all its access tokens."""

    kind: PrincipalKind
    name: str
    email: str
    roles: frozenset[DaypassRole]
    attributes: Mapping[str, LiteralValue]
    scram_salt: bytes
    scram_iterations: int
    manager_id: PrincipalId | None = None
    owner_id: PrincipalId | None = None


def _literal(value: object) -> LiteralValue:
    match value:
        case list():
            return tuple(_literal(each) for each in value)
        case str() | bool() | int() | float() | None:
            return value
        case _:
            raise TypeError(f"an attribute holds a {type(value).__name__}")


async def get_principal(tx: Tx, principal_id: PrincipalId) -> Principal:
    """Return a principal, active or not. Raises `NotFound`."""
    return (await get_stored(tx, principal_id)).principal


async def find_principal(tx: Tx, email: str) -> Principal | None:
    """Return the principal of an e-mail address, active or not, if there is one."""
    stored = await find_stored(tx, email)
    return stored.principal if stored else None


async def get_stored(tx: Tx, principal_id: PrincipalId) -> StoredPrincipal:
    """Return a principal with its revision. Raises `NotFound`."""
    found = await _select(tx, ids=[principal_id])
    if not found:
        raise NotFound(f"there is no principal {principal_id}", code="principal_not_found")
    return found[0]


async def find_stored(tx: Tx, email: str) -> StoredPrincipal | None:
    """Return the principal of an e-mail address with its revision, if there is one."""
    found = await _select(tx, email=email.strip().lower())
    return found[0] if found else None


async def list_principals(
    tx: Tx,
    *,
    group: str | None = None,
    role: DaypassRole | None = None,
    active: bool | None = True,
) -> tuple[Principal, ...]:
    """List principals in order of id, those who left only when asked for."""
    found = await list_stored(tx, group=group, role=role, active=active, limit=None)
    return tuple(each.principal for each in found)


async def list_stored(
    tx: Tx,
    *,
    kind: PrincipalKind | None = None,
    group: str | None = None,
    role: DaypassRole | None = None,
    owner_id: PrincipalId | None = None,
    active: bool | None = None,
    email: str | None = None,
    visible_to: PrincipalId | None = None,
    after: int = 0,
    limit: int | None = 50,
) -> tuple[StoredPrincipal, ...]:
    """List principals in order of id, `after` an id; filters are ANDed.

    `visible_to` leaves only that principal itself and the service accounts it answers for.
    """
    return await _select(
        tx,
        kind=kind,
        group=group,
        role=role,
        owner_id=owner_id,
        active=active,
        email=email.strip().lower() if email else None,
        visible_to=visible_to,
        after=after,
        limit=limit,
    )


async def lock_principal(tx: Tx, principal_id: PrincipalId) -> StoredPrincipal:
    """Lock a principal against every change until the transaction ends. Raises `NotFound`."""
    return (await lock_principals(tx, [principal_id]))[principal_id]


async def lock_principals(
    tx: Tx, principal_ids: Iterable[PrincipalId], *, and_admins: bool = False
) -> dict[PrincipalId, StoredPrincipal]:
    """Lock principals in order of id, the active admins besides when asked for.

    Raises `NotFound` when one of those named does not exist.
    """
    wanted = sorted(set(principal_ids))
    # `no key update`, so that entries and grants that only refer to the row do not wait.
    cursor = await tx.execute(
        """
        select id from principal
        where id = any(%s) or (%s and active and roles @> '{admin}')
        order by id
        for no key update
        """,
        (wanted, and_admins),
    )
    ids = [PrincipalId(row[0]) for row in await cursor.fetchall()]
    # Read by a statement of its own: what one waited for is seen only by the next.
    locked = {each.id: each for each in await _select(tx, ids=ids)}
    for principal_id in wanted:
        if principal_id not in locked:
            raise NotFound(f"there is no principal {principal_id}", code="principal_not_found")
    return locked


async def hold_principal(tx: Tx, principal_id: PrincipalId) -> StoredPrincipal:
    """Keep a principal as it is until the transaction ends, together with others who do.

    Whoever makes something a leaving principal must lose (a request, a grant, a session, an access
    token) holds it first. Raises `NotFound`.
    """
    await tx.execute("select from principal where id = %s for share", (principal_id,))
    return await get_stored(tx, principal_id)


async def add_principal(tx: Tx, new: NewPrincipal) -> PrincipalId:
    """Add a principal. Raises `Conflict` when the e-mail address is taken."""
    cursor = await tx.execute(
        """
        insert into principal (
          kind, email, name, manager_id, owner_id, attributes, roles, scram_salt, scram_iterations
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (email) do nothing
        returning id
        """,
        (
            new.kind.value,
            new.email,
            new.name,
            new.manager_id,
            new.owner_id,
            Jsonb(dict(new.attributes)),
            sorted(role.value for role in new.roles),
            new.scram_salt,
            new.scram_iterations,
        ),
    )
    row = await cursor.fetchone()
    if row is None:
        raise Conflict(f"{new.email} is already known to Daypass", code="principal_exists")
    return PrincipalId(row[0])


async def change_principal(
    tx: Tx,
    principal_id: PrincipalId,
    *,
    name: str,
    roles: frozenset[DaypassRole],
    attributes: Mapping[str, LiteralValue],
    manager_id: PrincipalId | None,
    owner_id: PrincipalId | None,
) -> int:
    """Write a locked principal's facts and return its new revision."""
    cursor = await tx.execute(
        """
        update principal
        set name = %s, roles = %s, attributes = %s, manager_id = %s, owner_id = %s,
          revision = revision + 1
        where id = %s
        returning revision
        """,
        (
            name,
            sorted(role.value for role in roles),
            Jsonb(dict(attributes)),
            manager_id,
            owner_id,
            principal_id,
        ),
    )
    return _revision(await cursor.fetchone())


async def set_owner(tx: Tx, principal_id: PrincipalId, owner_id: PrincipalId) -> None:
    """Give a locked service account somebody else to answer for it."""
    await tx.execute(
        "update principal set owner_id = %s, revision = revision + 1 where id = %s",
        (owner_id, principal_id),
    )


async def raise_revision(tx: Tx, principal_id: PrincipalId) -> int:
    """Note that something about a locked principal changed, its groups for one."""
    cursor = await tx.execute(
        "update principal set revision = revision + 1 where id = %s returning revision",
        (principal_id,),
    )
    return _revision(await cursor.fetchone())


async def set_active(tx: Tx, principal_id: PrincipalId, *, active: bool) -> int:
    """Mark a locked principal as here or as left."""
    cursor = await tx.execute(
        """
        update principal
        set active = %(active)s, left_at = case when %(active)s then null else now() end,
          revision = revision + 1
        where id = %(id)s
        returning revision
        """,
        {"active": active, "id": principal_id},
    )
    return _revision(await cursor.fetchone())


async def scram_parameters(tx: Tx, principal_id: PrincipalId) -> tuple[bytes, int]:
    """Return the salt and the iterations all access tokens of a principal share."""
    cursor = await tx.execute(
        "select scram_salt, scram_iterations from principal where id = %s", (principal_id,)
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"there is no principal {principal_id}", code="principal_not_found")
    return bytes(row[0]), int(row[1])


async def admin_exists(tx: Tx) -> bool:
    """Say whether there is an active admin."""
    cursor = await tx.execute(
        "select exists (select from principal where active and roles @> '{admin}')"
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


def _revision(row: tuple[Any, ...] | None) -> int:
    if row is None:
        raise NotFound("there is no such principal", code="principal_not_found")
    return int(row[0])


async def _select(
    tx: Tx,
    *,
    ids: list[PrincipalId] | None = None,
    email: str | None = None,
    kind: PrincipalKind | None = None,
    group: str | None = None,
    role: DaypassRole | None = None,
    owner_id: PrincipalId | None = None,
    active: bool | None = None,
    visible_to: PrincipalId | None = None,
    after: int = 0,
    limit: int | None = None,
) -> tuple[StoredPrincipal, ...]:
    async with tx.cursor(row_factory=class_row(StoredPrincipal)) as cursor:
        await cursor.execute(
            """
            select p.id, p.kind, p.name, p.email,
              array(
                select g.name from membership m join people_group g on g.id = m.group_id
                where m.principal_id = p.id order by g.name
              ) as groups,
              p.roles, p.attributes, p.manager_id, manager.email as manager, p.owner_id,
              owner.email as owner, p.active, p.revision, p.created_at, p.left_at
            from principal p
            left join principal manager on manager.id = p.manager_id
            left join principal owner on owner.id = p.owner_id
            where (%(ids)s::bigint[] is null or p.id = any(%(ids)s))
              and (%(email)s::text is null or p.email = %(email)s)
              and (%(kind)s::text is null or p.kind = %(kind)s)
              and (%(role)s::text is null or p.roles @> array[%(role)s::text])
              and (%(owner)s::bigint is null or p.owner_id = %(owner)s)
              and (%(active)s::boolean is null or p.active = %(active)s)
              and (%(viewer)s::bigint is null or %(viewer)s in (p.id, p.owner_id))
              and (%(group)s::text is null or exists (
                select from membership m join people_group g on g.id = m.group_id
                where m.principal_id = p.id and g.name = %(group)s
              ))
              and p.id > %(after)s
            order by p.id
            limit %(limit)s
            """,
            {
                "ids": ids,
                "email": email,
                "kind": kind.value if kind else None,
                "role": role.value if role else None,
                "owner": owner_id,
                "active": active,
                "viewer": visible_to,
                "group": group,
                "after": after,
                "limit": limit,
            },
        )
        return tuple(await cursor.fetchall())
