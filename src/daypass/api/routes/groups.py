"""Groups and who is in them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from daypass.api.call import ThisCall
from daypass.api.facts import ANY_PRINCIPAL, RouteFacts, Routes, concerned, holders
from daypass.api.pages import Page, PageQuery, after_text, page_of
from daypass.api.routes.principals import PrincipalNumber
from daypass.api.shapes import Body, Out
from daypass.audit.entry import EntryKind
from daypass.domain.ids import PrincipalId
from daypass.domain.principal import Capability, DaypassRole
from daypass.operations.change_groups import add_group, put_in_group, take_out_of_group
from daypass.operations.show_principals import list_groups, show_group
from daypass.store.groups import Group

routes = Routes("groups")

GroupName = Annotated[str, Path(min_length=1, max_length=63, examples=["dba"])]
_CHANGE = RouteFacts(
    holders(DaypassRole.ADMIN), Capability.MANAGE, entries=(EntryKind.GROUP_CHANGED,)
)


class GroupOut(Out):
    """A group and how many are in it."""

    name: str
    members: int
    created_at: datetime


class MemberOut(Out):
    """Somebody in a group."""

    id: int
    email: str
    name: str


class GroupWithMembersOut(GroupOut):
    """A group; `who` is null for those who may not see who is in it."""

    who: list[MemberOut] | None


class NewGroupBody(Body):
    """A new group."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", examples=["dba"])


@routes.get("/groups", RouteFacts(ANY_PRINCIPAL, Capability.READ))
async def list_all_groups(call: ThisCall, query: Annotated[PageQuery, Query()]) -> Page[GroupOut]:
    """List groups by name."""
    rows = await list_groups(call.ctx, call.actor, after=after_text(query), limit=query.limit + 1)
    return page_of(rows, query, _out, lambda row: row.name)


@routes.post(
    "/groups",
    RouteFacts(
        holders(DaypassRole.ADMIN),
        Capability.MANAGE,
        entries=(EntryKind.GROUP_CHANGED,),
    ),
    status=201,
)
async def add_one_group(call: ThisCall, body: NewGroupBody) -> GroupOut:
    """Add an empty group."""
    group = await add_group(call.ctx, call.actor, body.name)
    call.made(f"/groups/{group.name}")
    return _out(group)


@routes.get(
    "/groups/{name}",
    RouteFacts(
        concerned("any principal; who is in it: those in it, admin, auditor, policy editor"),
        Capability.READ,
    ),
)
async def show_one_group(call: ThisCall, name: GroupName) -> GroupWithMembersOut:
    """Show a group."""
    group, members = await show_group(call.ctx, call.actor, name)
    return GroupWithMembersOut(
        name=group.name,
        members=group.members,
        created_at=group.created_at,
        who=None if members is None else [MemberOut.model_validate(each) for each in members],
    )


@routes.put("/groups/{name}/members/{principal_id}", _CHANGE, status=204)
async def put_principal_in_group(
    call: ThisCall, name: GroupName, principal_id: PrincipalNumber
) -> None:
    """Put a principal into a group."""
    await put_in_group(call.ctx, call.actor, name, PrincipalId(principal_id))


@routes.delete("/groups/{name}/members/{principal_id}", _CHANGE, status=204)
async def take_principal_out_of_group(
    call: ThisCall, name: GroupName, principal_id: PrincipalNumber
) -> None:
    """Take a principal out of a group."""
    await take_out_of_group(call.ctx, call.actor, name, PrincipalId(principal_id))


def _out(group: Group) -> GroupOut:
    return GroupOut.model_validate(group)
