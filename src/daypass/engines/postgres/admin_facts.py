"""What a check of the admin credential goes by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdminFacts:
    """The admin's role and the server's settings; limits of -1 are none.

    `private_line` says that the connection is encrypted or never leaves the machine; `powers` are
    the server's own roles that reach past every grant and that the admin is a member of.
    """

    name: str
    superuser: bool
    createrole: bool
    createdb: bool
    bypassrls: bool
    replication: bool
    inherit: bool
    connection_limit: int
    may_create: bool
    may_connect: bool
    may_signal: bool
    powers: list[str]
    max_connections: int
    reserved: int
    connected: int
    database_limit: int
    check_interval: str
    password_encryption: str
    open_large_objects: str
    private_line: bool
    standby: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """What of one owner the admin cannot hand on; names are quoted."""

    owner: str
    superuser: bool
    relations: list[str] | None
    schemas: list[str] | None
