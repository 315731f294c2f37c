"""Tables of PostgreSQL's kinds of statement and object, as their classes go by them."""

from __future__ import annotations

from typing import Final

from daypass.domain.statement_class import StatementClass
from daypass.engines.postgres.function_classes import function_class
from daypass.engines.postgres.parsing import Node, child, integer, items, string, strings, unwrap
from daypass.engines.postgres.session_guards import OWN_ROLES

SYSTEM_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema"})

NO_WRITE: Final = frozenset({StatementClass.SELECT, StatementClass.EXPORT, StatementClass.EXPLAIN})
ADMIN_OBJECTS: Final = frozenset(
    {
        "OBJECT_ACCESS_METHOD",
        "OBJECT_DATABASE",
        "OBJECT_EVENT_TRIGGER",
        "OBJECT_EXTENSION",
        "OBJECT_FDW",
        "OBJECT_FOREIGN_SERVER",
        "OBJECT_LANGUAGE",
        "OBJECT_POLICY",
        "OBJECT_PUBLICATION",
        "OBJECT_ROLE",
        "OBJECT_SUBSCRIPTION",
        "OBJECT_TABLESPACE",
        "OBJECT_TRANSFORM",
        "OBJECT_USER_MAPPING",
    }
)
RELATION_OBJECTS: Final = frozenset(
    {
        "OBJECT_FOREIGN_TABLE",
        "OBJECT_INDEX",
        "OBJECT_MATVIEW",
        "OBJECT_SEQUENCE",
        "OBJECT_TABLE",
        "OBJECT_VIEW",
    }
)
TWO_PHASE: Final = frozenset(
    {"TRANS_STMT_PREPARE", "TRANS_STMT_COMMIT_PREPARED", "TRANS_STMT_ROLLBACK_PREPARED"}
)
_FALSE: Final = frozenset({"false", "off", "0"})
_ROLE_ITSELF: Final = frozenset(
    {"ROLESPEC_CURRENT_USER", "ROLESPEC_CURRENT_ROLE", "ROLESPEC_SESSION_USER"}
)

CLASS_OF_KIND: Final = dict.fromkeys(
    (
        "AlterCollationStmt",
        "AlterDomainStmt",
        "AlterEnumStmt",
        "AlterFunctionStmt",
        "AlterObjectDependsStmt",
        "AlterOpFamilyStmt",
        "AlterOperatorStmt",
        "AlterSeqStmt",
        "AlterStatsStmt",
        "AlterTSConfigurationStmt",
        "AlterTSDictionaryStmt",
        "AlterTypeStmt",
        "CompositeTypeStmt",
        "CreateCastStmt",
        "CreateConversionStmt",
        "CreateDomainStmt",
        "CreateEnumStmt",
        "CreateForeignTableStmt",
        "CreateOpClassStmt",
        "CreateOpFamilyStmt",
        "CreateRangeStmt",
        "CreateStatsStmt",
        "DefineStmt",
        "RefreshMatViewStmt",
        "RuleStmt",
        "ViewStmt",
    ),
    StatementClass.DDL,
)
"""Definitions; every kind that is named nowhere is `admin`."""


def runs_its_statement(options: list[Node]) -> bool:
    """Say whether EXPLAIN runs its statement: any ANALYZE that is not plainly off counts."""
    for option in options:
        element = child(option, "DefElem") or {}
        if string(element, "defname").lower() != "analyze":
            continue
        argument = child(element, "arg")
        if argument is None:
            return True
        _, value = unwrap(argument)
        text = string(value, "sval") or str(integer(value, "ival"))
        if text.lower() not in _FALSE or "fval" in value:
            return True
    return False


def names_own_role(node: Node) -> bool:
    """Say whether a definition is about the session's own role or one that Daypass made."""
    role = node.get("role")
    if isinstance(role, str) and role.startswith(OWN_ROLES):
        return True
    stack: list[object] = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, list):
            stack.extend(current)
        elif isinstance(current, dict):
            if current.get("roletype") in _ROLE_ITSELF:
                return True
            for key in ("rolename", "priv_name"):
                if string(current, key).startswith(OWN_ROLES):
                    return True
            stack.extend(v for v in current.values() if isinstance(v, (dict, list)))
    return False


def classes_named(node: Node) -> frozenset[StatementClass]:
    """Return what the functions ask for that a definition names, be it as a type or an object."""
    found = set()
    stack: list[object] = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, list):
            stack.extend(current)
        elif isinstance(current, dict):
            for key in ("names", "objname", "func_name"):
                parts = strings(items(current, key))
                named = function_class(parts) if parts else None
                if named is not None:
                    found.add(named)
            stack.extend(v for v in current.values() if isinstance(v, (dict, list)))
    return frozenset(found)
