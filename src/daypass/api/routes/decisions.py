"""Shapes of asks and decisions, and what-if: what would policy say?"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from daypass.api.call import ThisCall
from daypass.api.facts import RouteFacts, Routes, concerned
from daypass.api.shapes import Body, Duration, Email, Moment, Out, Reason
from daypass.domain.decision import Decision
from daypass.domain.exposure import Exposure
from daypass.domain.limits import ExactStatement
from daypass.domain.masks import mask_text
from daypass.domain.principal import Capability
from daypass.domain.scope import AskedScope, LeftOut
from daypass.domain.statement_class import StatementClass
from daypass.operations.consider import Ask
from daypass.operations.explain_decision import explain_decision
from daypass.policy.explain import RuleTrace

routes = Routes("decisions")

_GLOBS = 200


class StatementBody(Body):
    """A text that may be sent; `parameters` fixes its values, as text."""

    text: str = Field(
        min_length=1,
        max_length=16_000,
        examples=["update sales.orders set status = $1 where id = 42"],
    )
    parameters: list[str | None] | None = Field(
        default=None, max_length=500, examples=[["paid"]], description="null: any"
    )


class AskBody(Body):
    """What somebody asks for; a profile fills in what is left out."""

    database: str = Field(min_length=3, max_length=200, examples=["prod/shop"])
    classes: set[StatementClass] = Field(default_factory=set, examples=[["explain", "select"]])
    relations: list[str] = Field(
        default_factory=list, max_length=_GLOBS, examples=[["sales.*"]], description="globs"
    )
    unmask: list[str] = Field(
        default_factory=list,
        max_length=_GLOBS,
        examples=[[]],
        description="globs over schema.relation.column of columns to see in clear",
    )
    row_filters: dict[str, str] = Field(
        default_factory=dict, max_length=_GLOBS, examples=[{}], description="relation glob → SQL"
    )
    settings: dict[str, str] = Field(default_factory=dict, max_length=50, examples=[{}])
    native_role: str | None = Field(default=None, max_length=63, examples=[None])
    statements: list[StatementBody] = Field(
        default_factory=list,
        max_length=20,
        examples=[[]],
        description="the only texts to be sent; classes and relations are those they need",
    )
    profile: str = Field(default="", max_length=100, examples=[""])
    duration: Duration | None = Field(default=None, examples=["1h"])
    starts_at: Moment | None = Field(default=None, examples=[None])
    reason: Reason = Field(default="", examples=["checkout is slow"])
    ticket: str = Field(default="", max_length=200, examples=["INC-42"])
    direct_credentials: bool = False
    break_glass: bool = False

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.statements and (self.classes or self.relations):
            raise ValueError("exact statements say by themselves which classes and relations")
        if not (self.classes or self.profile or self.native_role or self.statements):
            raise ValueError("name classes, a profile, a native role or exact statements")
        return self


class WhatIfBody(AskBody):
    """An ask that is not filed, of the caller now unless `person` or `at` say otherwise."""

    person: Email | None = Field(default=None, examples=[None])
    at: Moment | None = Field(default=None, examples=[None])


class ReasonOut(Out):
    """One reason, and the rule it comes from."""

    code: str
    text: str
    rule: str | None


class DecisionOut(Out):
    """What policy says, with its reasons."""

    outcome: str
    rule: str | None
    reasons: list[ReasonOut]
    steps: list[str]
    next_step: str


class LeftOutOut(Out):
    """What was asked for and is not given, why, and what its owner can do."""

    name: str
    code: str
    reason: str
    mend: str


class RuleTraceOut(Out):
    """What one access rule said."""

    rule: str
    place: str
    condition: str
    result: str
    text: str
    would_match: bool


class ScopedColumnOut(Out):
    """A column as it would be shown; `mask` is null for a clear one."""

    name: str
    mask: str | None
    rule: str | None


class ScopedRelationOut(Out):
    """A relation as it would be seen."""

    name: str
    classes: list[StatementClass]
    columns: list[ScopedColumnOut]
    filters: list[str]


class BlockedOut(Out):
    """An exposure that keeps a grant from opening anything, and what its owner can do."""

    key: str = Field(description="what an owner accepts it by")
    text: str
    mend: str


class WhatIfOut(Out):
    """A decision that nobody acts on: how each rule came to it, and what would be seen."""

    at: datetime
    duration: Duration
    decision: DecisionOut
    rules: list[RuleTraceOut]
    also_possible: list[str]
    relations: list[ScopedRelationOut]
    left_out: list[LeftOutOut]
    blocked: list[BlockedOut] = Field(
        description="exposures for which nothing opens until an owner mends or accepts them"
    )


def ask_of(body: AskBody) -> Ask:
    """Read an ask; with a profile, what is left out is the profile's."""
    relations = tuple(body.relations) or (() if body.profile else ("*.*",))
    return Ask(
        database=body.database,
        asked=AskedScope(
            classes=frozenset(body.classes),
            relations=relations,
            unmask=tuple(body.unmask),
            row_filters=body.row_filters,
            settings=body.settings,
            native_role=body.native_role,
            statements=tuple(
                ExactStatement(
                    each.text, None if each.parameters is None else tuple(each.parameters)
                )
                for each in body.statements
            ),
        ),
        profile=body.profile,
        duration=body.duration,
        starts_at=body.starts_at,
        reason=body.reason,
        ticket=body.ticket,
        direct_credentials=body.direct_credentials,
        break_glass=body.break_glass,
    )


def decision_out(decision: Decision) -> DecisionOut:
    """Write a decision as the API shows it."""
    return DecisionOut(
        outcome=decision.outcome.value,
        rule=decision.rule,
        reasons=[ReasonOut.model_validate(each) for each in decision.reasons],
        steps=[str(step) for step in decision.steps],
        next_step=decision.next_step,
    )


def blocked_out(blocked: tuple[Exposure, ...]) -> list[BlockedOut]:
    """Write what blocks a grant as the API shows it."""
    return [BlockedOut.model_validate(each) for each in blocked]


def left_out_out(left_out: tuple[LeftOut, ...]) -> list[LeftOutOut]:
    """Write what is left out as the API shows it."""
    return [LeftOutOut.model_validate(each) for each in left_out]


@routes.post(
    "/what-if",
    RouteFacts(
        concerned("any principal for itself; for others admin, policy editor, auditor"),
        Capability.READ,
    ),
)
async def decide_what_if(call: ThisCall, body: WhatIfBody) -> WhatIfOut:
    """Say what policy would decide, and why; nothing is filed."""
    found = await explain_decision(
        call.ctx, call.actor, ask_of(body), person=body.person, at=body.at
    )
    considered = found.considered
    return WhatIfOut(
        at=found.at,
        duration=considered.duration,
        decision=decision_out(found.explanation.decision),
        rules=[_trace(each) for each in found.explanation.rules],
        also_possible=[each.text for each in found.explanation.also_possible],
        relations=[
            ScopedRelationOut(
                name=str(relation.name),
                classes=sorted(relation.classes),
                columns=[
                    ScopedColumnOut(
                        name=column.name,
                        mask=mask_text(column.mask) if column.mask else None,
                        rule=column.rule,
                    )
                    for column in relation.columns
                ],
                filters=[each.shown for each in relation.filters],
            )
            for relation in considered.scope.relations
        ],
        left_out=left_out_out(considered.plan.left_out),
        blocked=blocked_out(considered.plan.blocked),
    )


def _trace(trace: RuleTrace) -> RuleTraceOut:
    return RuleTraceOut(
        rule=trace.rule,
        place=trace.place,
        condition=trace.condition,
        result=trace.result.value,
        text=trace.text,
        would_match=trace.would_match,
    )
