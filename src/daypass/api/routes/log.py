"""The audit log as anybody can check it: its parts and proofs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query
from fastapi.responses import Response

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, holders
from daypass.api.shapes import Out
from daypass.domain.ids import EntryId
from daypass.domain.principal import Capability, DaypassRole
from daypass.operations.check_rows import check_rows
from daypass.operations.read_log import (
    encoded_keys,
    entry_stage,
    prove_entry,
    read_log_part,
    show_log,
)

routes = Routes("log")
_FACTS = RouteFacts(holders(DaypassRole.ADMIN, DaypassRole.AUDITOR), Capability.READ)
_Entry = Annotated[int, Path(ge=1, lt=2**63, examples=[1])]


class LogOut(Out):
    """Whose log it is; `keys` are the public keys that sign, as C2SP `signed-note` writes them."""

    origin: str
    keys: list[str]


class StageOut(Out):
    """How far an entry has come: stored, given its place in the tree, in a signed checkpoint."""

    entry: int
    stage: Literal["stored", "sequenced", "published"]
    index: int | None


class EntryProofOut(Out):
    """Proof that an entry is in the log: the leaf, a C2SP `tlog-proof`, and what opens its seals.

    Keys in base64, null where the seal's subject was erased.
    """

    entry: int
    index: int
    leaf: str
    proof: str
    seal_keys: list[str | None]


@routes.get("/log", _FACTS)
async def show_the_log(call: ThisCall) -> LogOut:
    """Show whose log it is and which keys sign it."""
    found = show_log(call.ctx, call.actor)
    return LogOut(origin=found.origin, keys=[str(each) for each in found.keys])


@routes.get("/log/part", _FACTS, response_class=Response)
async def read_part_of_the_log(
    call: ThisCall,
    path: Annotated[str, Query(max_length=200, examples=["checkpoint"])] = "checkpoint",
) -> Response:
    """Read a part by its C2SP `tlog-tiles` path: `checkpoint`, `tile/0/000`, `tile/entries/000`."""
    data = await read_log_part(call.ctx, call.actor, path)
    return Response(data, media_type="application/octet-stream")


class RowProblemOut(Out):
    """A row that is not as it was published."""

    entry: int | None
    index: int | None
    what: str


class RowsOut(Out):
    """A part of the store's rows, checked against the log; `next` is where to go on."""

    checked: int
    next: int | None
    problems: list[RowProblemOut]


@routes.get("/log/rows", _FACTS)
async def check_rows_of_the_log(
    call: ThisCall, first: Annotated[int, Query(ge=0, lt=2**63)] = 0
) -> RowsOut:
    """Check the store's rows against the published log, from one leaf on."""
    found = await check_rows(call.ctx, call.actor, first)
    return RowsOut(
        checked=found.checked,
        next=found.next,
        problems=[
            RowProblemOut(entry=each.entry, index=each.index, what=each.what)
            for each in found.problems
        ],
    )


@routes.get("/entries/{entry_id}/stage", _FACTS)
async def show_stage_of_entry(call: ThisCall, entry_id: _Entry) -> StageOut:
    """Show how far an entry has come on its way into the log."""
    stage, index = await entry_stage(call.ctx, call.actor, EntryId(entry_id))
    return StageOut(entry=entry_id, stage=stage.value, index=index)


@routes.get("/entries/{entry_id}/proof", _FACTS)
async def prove_one_entry(call: ThisCall, entry_id: _Entry) -> EntryProofOut:
    """Prove that an entry is in the log."""
    found = await prove_entry(call.ctx, call.actor, EntryId(entry_id))
    return EntryProofOut(
        entry=found.entry_id,
        index=found.index,
        leaf=found.leaf.decode(),
        proof=str(found.proof),
        seal_keys=encoded_keys(found),
    )
