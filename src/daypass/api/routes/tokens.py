"""Access tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned
from daypass.api.pages import Page, PageQuery, after_number, page_of
from daypass.api.shapes import Body, Duration, Out
from daypass.audit.entry import EntryKind
from daypass.domain.ids import PrincipalId, TokenId
from daypass.domain.principal import Capability
from daypass.operations.issue_token import issue_token
from daypass.operations.revoke_token import revoke_token
from daypass.operations.show_principals import list_tokens
from daypass.store.tokens import Token

routes = Routes("tokens")


class TokenOut(Out):
    """An access token without anything that could be used as one."""

    id: int
    principal_id: int
    principal: str
    name: str
    capabilities: list[Capability]
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    live: bool


class IssuedTokenOut(TokenOut):
    """A new access token; `token` is shown this once, and null in a repeated answer."""

    token: str | None


class TokensQuery(PageQuery):
    """Which access tokens to list."""

    principal_id: int | None = Field(default=None, ge=1, lt=2**63)
    live: bool | None = None


class NewTokenBody(Body):
    """A new access token for the caller, or for a service account."""

    name: str = Field(min_length=1, max_length=100, examples=["laptop"])
    capabilities: set[Capability] = Field(min_length=1, examples=[["read", "request", "connect"]])
    valid_for: Duration = Field(examples=["30d"])
    principal_id: int | None = Field(default=None, ge=1, lt=2**63, examples=[None])


@routes.get(
    "/tokens",
    RouteFacts(
        concerned("any principal: its own and its service accounts'; admin and auditor: all"),
        Capability.READ,
    ),
)
async def list_all_tokens(call: ThisCall, query: Annotated[TokensQuery, Query()]) -> Page[TokenOut]:
    """List access tokens."""
    rows = await list_tokens(
        call.ctx,
        call.actor,
        principal_id=None if query.principal_id is None else PrincipalId(query.principal_id),
        live=query.live,
        after=after_number(query),
        limit=query.limit + 1,
    )
    return page_of(rows, query, _out, lambda row: row.id)


@routes.post(
    "/tokens",
    RouteFacts(
        concerned("people for themselves; owner and admin for a service account"),
        Capability.MANAGE,
        entries=(EntryKind.TOKEN_ISSUED,),
        secret_fields=("token",),
    ),
    status=201,
)
async def issue_one_token(call: ThisCall, body: NewTokenBody) -> IssuedTokenOut:
    """Issue an access token: at most 90 days for people, 365 for service accounts.

    It gets no capability the caller's login or access token lacks.
    """
    issued = await issue_token(
        call.ctx,
        call.actor,
        name=body.name,
        capabilities=frozenset(body.capabilities),
        valid_for=body.valid_for,
        principal_id=None if body.principal_id is None else PrincipalId(body.principal_id),
    )
    call.made(f"/tokens/{issued.token.id}")
    return IssuedTokenOut(**_out(issued.token).model_dump(), token=issued.secret.reveal())


@routes.delete(
    "/tokens/{token_id}",
    RouteFacts(
        # A token may revoke itself whatever it may be used for, so the operation asks for more.
        concerned("whose it is, whoever answers for that one, admin; any access token itself"),
        entries=(EntryKind.TOKEN_REVOKED, EntryKind.SESSION_KILLED),
    ),
    status=204,
)
async def revoke_one_token(
    call: ThisCall, token_id: Annotated[int, Path(ge=1, lt=2**63, examples=[1])]
) -> None:
    """Revoke an access token and every one issued with it."""
    await revoke_token(call.ctx, call.actor, TokenId(token_id))


def _out(token: Token) -> TokenOut:
    return TokenOut.model_validate(token)
