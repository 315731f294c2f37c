"""How values of the domain stand in jsonb columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daypass.domain.decision import ApproverSpec, Decision, StepSpec
from daypass.domain.exposure import Exposure
from daypass.domain.limits import ExactStatement
from daypass.domain.masks import mask_text
from daypass.domain.scope import AskedScope, LeftOut, Scope
from daypass.domain.statement_class import StatementClass


def asked_to_json(asked: AskedScope) -> dict[str, Any]:
    """Write an asked scope."""
    return {
        "classes": sorted(c.value for c in asked.classes),
        "relations": list(asked.relations),
        "unmask": list(asked.unmask),
        "row_filters": dict(asked.row_filters),
        "settings": dict(asked.settings),
        "native_role": asked.native_role,
        "statements": [
            {
                "text": each.text,
                "parameters": None if each.parameters is None else list(each.parameters),
            }
            for each in asked.statements
        ],
    }


def asked_from_json(document: Mapping[str, Any]) -> AskedScope:
    """Read an asked scope back."""
    return AskedScope(
        classes=frozenset(StatementClass(c) for c in document["classes"]),
        relations=tuple(document["relations"]),
        unmask=tuple(document["unmask"]),
        row_filters=dict(document["row_filters"]),
        settings=dict(document["settings"]),
        native_role=document["native_role"],
        statements=tuple(
            ExactStatement(
                each["text"], None if each["parameters"] is None else tuple(each["parameters"])
            )
            # Those from before there were any have none.
            for each in document.get("statements", ())
        ),
    )


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """Write a decision for people to read later."""
    return {
        "outcome": decision.outcome.value,
        "rule": decision.rule,
        "reasons": [{"code": r.code, "text": r.text, "rule": r.rule} for r in decision.reasons],
        "steps": [str(step) for step in decision.steps],
        "next_step": decision.next_step,
    }


def approvers_to_json(approvers: tuple[ApproverSpec, ...]) -> list[dict[str, str]]:
    """Write who may give an approval."""
    return [{"kind": a.kind, "name": a.name} for a in approvers]


def step_from_json(approvers: list[dict[str, str]], needed: int) -> StepSpec:
    """Read a step back."""
    return StepSpec(tuple(ApproverSpec(a["kind"], a["name"]) for a in approvers), needed)


def scope_to_json(scope: Scope) -> dict[str, Any]:
    """Write a scope for people to read; it is never read back, but resolved anew."""
    return {
        "classes": sorted(c.value for c in scope.classes),
        "native_role": scope.native_role,
        "settings": dict(scope.settings),
        "relations": [
            {
                "name": str(relation.name),
                "classes": sorted(c.value for c in relation.classes),
                "columns": [
                    {
                        "name": column.name,
                        "mask": mask_text(column.mask) if column.mask else None,
                        "rule": column.rule,
                    }
                    for column in relation.columns
                ],
                "filters": [{"text": f.shown, "rule": f.rule} for f in relation.filters],
            }
            for relation in scope.relations
        ],
    }


def left_out_to_json(left_out: tuple[LeftOut, ...]) -> list[dict[str, str]]:
    """Write what a plan leaves out."""
    return [
        {"name": item.name, "code": item.code, "reason": item.reason, "mend": item.mend}
        for item in left_out
    ]


def exposures_to_json(exposures: tuple[Exposure, ...]) -> list[dict[str, str]]:
    """Write exposures that block a plan."""
    return [{"key": e.key, "text": e.text, "mend": e.mend} for e in exposures]
