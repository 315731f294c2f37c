"""Kinds of statement, as approvers and policy name them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class StatementClass(StrEnum):
    """What a statement does; a scope lists the classes it allows."""

    EXPLAIN = "explain"
    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    TRUNCATE = "truncate"
    DDL = "ddl"
    CALL = "call"
    COPY_IN = "copy_in"
    EXPORT = "export"
    ADMIN = "admin"


WRITES: Final = frozenset({StatementClass.INSERT, StatementClass.UPDATE, StatementClass.DELETE})
"""Classes a view can carry as a write."""

READS: Final = frozenset({StatementClass.EXPLAIN, StatementClass.SELECT, StatementClass.EXPORT})
"""Classes for which the target must let the session read."""

GATEWAY_TIMED: Final = frozenset(
    {
        StatementClass.TRUNCATE,
        StatementClass.COPY_IN,
        StatementClass.CALL,
        StatementClass.DDL,
        StatementClass.ADMIN,
    }
)
"""Classes no view can carry: base privileges, ended by the gateway's cut alone."""
