"""What is known of a database's contents: catalog, tags, suggestions, accepted exposures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned
from daypass.api.routes.databases import LOOK, Instance, Name, database_number
from daypass.api.shapes import Body, Out, Reason
from daypass.audit.entry import EntryKind
from daypass.domain.catalog import ColumnName, Relation, RelationName
from daypass.domain.principal import Capability
from daypass.operations.accept_exposure import accept_exposure, end_acceptance
from daypass.operations.apply_tags import TagChange, TagOutcome, apply_tag_file, apply_tags
from daypass.operations.database_facts import DatabaseFactsBundle
from daypass.operations.decide_suggestion import decide_suggestion
from daypass.operations.show_places import show_acceptances, show_catalog, show_suggestions
from daypass.operations.suggest_tags import suggest_tags
from daypass.store.suggestions import Suggestion

routes = Routes("classification")

_OWNERS = concerned("its owners, admin, policy editor; what others may not see is not found")
_INSIGHT = concerned("its owners, admin, auditor, policy editor")
_TAG = RouteFacts(_OWNERS, Capability.MANAGE, entries=(EntryKind.TAGS_CHANGED,))
_MAX_CHANGES = 5000
_TAGS = 50
_SLOW_S = 120


class ColumnOut(Out):
    """A column: its own tags, and those it has from the columns it is made of."""

    name: str
    type: str
    not_null: bool
    primary_key: bool
    tags: list[str]
    inherited_tags: list[str]
    classified: bool


class RelationOut(Out):
    """A relation with its columns in order."""

    name: str
    kind: str
    tags: list[str]
    row_security: bool
    estimated_rows: int
    columns: list[ColumnOut]


class CatalogOut(Out):
    """What Daypass knows of a database."""

    database: str
    version: int
    server_version: str
    relations: list[RelationOut]


class TagChangeBody(Body):
    """The tags one relation, or one column of it, has from now on.

    `forget` makes a column one that nobody has looked at.
    """

    relation: str = Field(min_length=3, max_length=130, examples=["sales.customers"])
    column: str | None = Field(default=None, max_length=63, examples=["email"])
    tags: set[str] = Field(default_factory=set, max_length=_TAGS, examples=[["pii.email"]])
    forget: bool = False


class TagsBody(Body):
    """Changes to make together; with `preview` nothing is changed."""

    changes: list[TagChangeBody] = Field(min_length=1, max_length=_MAX_CHANGES)
    preview: bool = False


class TagFileBody(Body):
    """A file of tags; with `preview` nothing is changed."""

    name: str = Field(min_length=1, max_length=200, examples=["tags.yaml"])
    text: str = Field(min_length=1, examples=["prod/shop:\n  sales.customers: {}\n"])
    preview: bool = False


class TagDifferenceOut(Out):
    """What happened to one relation or column."""

    name: str
    added: list[str]
    removed: list[str]
    classified: bool | None


class TagOutcomeOut(Out):
    """What tags did to one database, or would do."""

    database: str
    facts_revision: int
    applied: bool
    differences: list[TagDifferenceOut]


class TagOutcomesOut(Out):
    """What a file of tags did, database by database."""

    items: list[TagOutcomeOut]


class SuggestionOut(Out):
    """A tag that names, types or values suggest."""

    id: int
    column: str
    tag: str
    confidence: float
    why: str
    state: str
    decided_by: str | None
    decided_at: datetime | None


class SuggestionsOut(Out):
    """Suggested tags by column, the surest first."""

    items: list[SuggestionOut]


class SuggestionsQuery(BaseModel):
    """Which suggestions to list."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["proposed", "accepted", "dismissed"] = "proposed"


class SuggestBody(Body):
    """Which relations to look at; without any all of them."""

    relations: list[str] | None = Field(
        default=None, max_length=_MAX_CHANGES, examples=[["sales.customers"]]
    )


class SuggestedOut(SuggestionsOut):
    """What waits for a yes now; `new` of them were not there before.

    `sampled` of the relations looked at gave rows; `problem` says why others did not.
    """

    new: int
    looked_at: int
    sampled: int
    problem: str


class DecideSuggestionsBody(Body):
    """Which suggestions to decide, and how."""

    ids: list[int] = Field(min_length=1, max_length=1000, examples=[[1]])
    accept: bool


class AcceptanceOut(Out):
    """An exposure somebody accepted by name."""

    key: str
    reason: str
    accepted_by: str
    accepted_at: datetime


class AcceptancesOut(Out):
    """What is accepted on a database."""

    items: list[AcceptanceOut]


class AcceptBody(Body):
    """Which exposure to accept, and why."""

    key: str = Field(min_length=3, max_length=500, examples=["leaking_view:sales.vip_contacts"])
    reason: Reason = Field(min_length=1, examples=["used by the newsletter only"])


class EndAcceptanceBody(Body):
    """Which exposure is accepted no longer."""

    key: str = Field(min_length=3, max_length=500, examples=["leaking_view:sales.vip_contacts"])
    reason: Reason = Field(default="", examples=["the view is gone"])


@routes.get("/databases/{instance}/{name}/catalog", RouteFacts(LOOK, Capability.READ))
async def show_database_catalog(call: ThisCall, instance: Instance, name: Name) -> CatalogOut:
    """Show a database's relations and columns with their tags."""
    known = await show_catalog(call.ctx, call.actor, f"{instance}/{name}")
    call.tag(known.facts_revision)
    return CatalogOut(
        database=known.path,
        version=known.catalog_version,
        server_version=known.catalog.server_version,
        relations=[_relation(known, each) for each in known.catalog.relations],
    )


@routes.post("/databases/{instance}/{name}/tags", _TAG)
async def change_database_tags(
    call: ThisCall, instance: Instance, name: Name, body: TagsBody
) -> TagOutcomeOut:
    """Set tags of relations and columns, all or none."""
    outcome = await apply_tags(
        call.ctx,
        call.actor,
        await database_number(call, instance, name),
        [
            TagChange(
                RelationName.parse(each.relation), each.column, frozenset(each.tags), each.forget
            )
            for each in body.changes
        ],
        preview=body.preview,
    )
    return _outcome(outcome)


@routes.post("/tag-files", _TAG)
async def apply_one_tag_file(call: ThisCall, body: TagFileBody) -> TagOutcomesOut:
    """Apply a file of tags, whole or not at all; problems come with line and column."""
    outcomes = await apply_tag_file(
        call.ctx, call.actor, body.name, body.text, preview=body.preview
    )
    return TagOutcomesOut(items=[_outcome(each) for each in outcomes])


@routes.get("/databases/{instance}/{name}/suggestions", RouteFacts(_INSIGHT, Capability.READ))
async def list_database_suggestions(
    call: ThisCall, instance: Instance, name: Name, query: Annotated[SuggestionsQuery, Query()]
) -> SuggestionsOut:
    """List suggested tags."""
    found = await show_suggestions(
        call.ctx, call.actor, await database_number(call, instance, name), state=query.state
    )
    return SuggestionsOut(items=[_suggestion(each) for each in found])


@routes.post(
    "/databases/{instance}/{name}/suggestions",
    RouteFacts(_OWNERS, Capability.MANAGE, entries=(EntryKind.TAGS_SUGGESTED,), timeout_s=_SLOW_S),
)
async def suggest_database_tags(
    call: ThisCall, instance: Instance, name: Name, body: SuggestBody
) -> SuggestedOut:
    """Suggest tags from names, types and sampled values; no value is kept, nothing is applied."""
    relations = None
    if body.relations is not None:
        relations = [RelationName.parse(each) for each in body.relations]
    found = await suggest_tags(
        call.ctx, call.actor, await database_number(call, instance, name), relations=relations
    )
    return SuggestedOut(
        items=[_suggestion(each) for each in found.waiting],
        new=found.new,
        looked_at=found.looked_at,
        sampled=found.sampled,
        problem=found.problem,
    )


@routes.post(
    "/databases/{instance}/{name}/suggestions/decide",
    RouteFacts(
        concerned("people: its owners, admin, policy editor"),
        Capability.MANAGE,
        entries=(EntryKind.SUGGESTION_DECIDED,),
    ),
)
async def decide_database_suggestions(
    call: ThisCall, instance: Instance, name: Name, body: DecideSuggestionsBody
) -> SuggestionsOut:
    """Accept or dismiss suggested tags, all or none."""
    decided = await decide_suggestion(
        call.ctx,
        call.actor,
        await database_number(call, instance, name),
        body.ids,
        accept=body.accept,
    )
    return SuggestionsOut(items=[_suggestion(each) for each in decided])


@routes.get("/databases/{instance}/{name}/acceptances", RouteFacts(_INSIGHT, Capability.READ))
async def list_database_acceptances(
    call: ThisCall, instance: Instance, name: Name
) -> AcceptancesOut:
    """List exposures that were accepted by name."""
    found = await show_acceptances(
        call.ctx, call.actor, await database_number(call, instance, name)
    )
    return AcceptancesOut(
        items=[
            AcceptanceOut(
                key=each.key,
                reason=each.reason,
                accepted_by=each.accepted_by_email,
                accepted_at=each.accepted_at,
            )
            for each in found
        ]
    )


@routes.post(
    "/databases/{instance}/{name}/acceptances",
    RouteFacts(
        concerned("people: its owners, admin; for what concerns the whole instance admin"),
        Capability.MANAGE,
        entries=(EntryKind.EXPOSURE_ACCEPTED,),
    ),
    status=204,
)
async def accept_database_exposure(
    call: ThisCall, instance: Instance, name: Name, body: AcceptBody
) -> None:
    """Accept an exposure that stands now, by name and with a reason."""
    number = await database_number(call, instance, name)
    await accept_exposure(call.ctx, call.actor, number, body.key, body.reason)


@routes.post(
    "/databases/{instance}/{name}/acceptances/end",
    RouteFacts(
        concerned("people: its owners, admin; for what concerns the whole instance admin"),
        Capability.MANAGE,
        entries=(EntryKind.EXPOSURE_ACCEPTANCE_ENDED,),
    ),
    status=204,
)
async def end_database_acceptance(
    call: ThisCall, instance: Instance, name: Name, body: EndAcceptanceBody
) -> None:
    """Accept an exposure no longer: what it blocks is blocked again."""
    number = await database_number(call, instance, name)
    await end_acceptance(call.ctx, call.actor, number, body.key, body.reason)


def _relation(known: DatabaseFactsBundle, relation: Relation) -> RelationOut:
    columns = []
    for column in relation.columns:
        name = ColumnName(relation.name, column.name)
        own = known.tags.columns.get(name, frozenset())
        columns.append(
            ColumnOut(
                name=column.name,
                type=column.type,
                not_null=column.not_null,
                primary_key=column.primary_key,
                tags=sorted(own),
                inherited_tags=sorted(known.classified.column_tags.get(name, own) - own),
                classified=name in known.classified.classified,
            )
        )
    return RelationOut(
        name=str(relation.name),
        kind=relation.kind.value,
        tags=sorted(known.tags.relations.get(relation.name, frozenset())),
        row_security=relation.row_security,
        estimated_rows=relation.estimated_rows,
        columns=columns,
    )


def _outcome(outcome: TagOutcome) -> TagOutcomeOut:
    return TagOutcomeOut(
        database=outcome.path,
        facts_revision=outcome.facts_revision,
        applied=outcome.applied,
        differences=[TagDifferenceOut.model_validate(each) for each in outcome.differences],
    )


def _suggestion(suggestion: Suggestion) -> SuggestionOut:
    return SuggestionOut(
        id=suggestion.id,
        column=str(suggestion.column),
        tag=suggestion.tag,
        confidence=suggestion.confidence,
        why=suggestion.why,
        state=suggestion.state,
        decided_by=suggestion.decided_by,
        decided_at=suggestion.decided_at,
    )
