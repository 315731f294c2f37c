"""What no session may send: it would change who the session is or how it is kept.

The database holds most of these off too; these guards say so early, in words, and keep the audit
log readable.
"""

from __future__ import annotations

from typing import Final

from daypass.engines.postgres import names

OWN_ROLES: Final = (names.SCOPE_PREFIX, names.ACCOUNT_PREFIX, names.VIEWS_OWNER)
"""Names of the roles Daypass makes on a target begin so."""

_PROTECTED: Final = {
    "role": "it changes the session's role",
    "session_authorization": "it changes the session's role",
    "search_path": "the grant's views are found through it",
    "session_replication_role": "it turns triggers and rules off",
    "row_security": "it decides how row security answers",
    "client_connection_check_interval": "an abandoned connection is ended by it",
    "allow_system_table_mods": "it opens the system catalogs to changes",
    "local_preload_libraries": "it loads code into the server",
    "session_preload_libraries": "it loads code into the server",
    "dynamic_library_path": "it loads code into the server",
    "jit_provider": "it loads code into the server",
    "createrole_self_grant": "it changes what new roles may do",
    "lo_compat_privileges": "it opens every large object",
    "backslash_quote": "the server would read texts differently from Daypass",
}

_ALLOWED_VALUES: Final = {
    "client_encoding": frozenset({"utf8", "utf-8", "unicode"}),
    "standard_conforming_strings": frozenset({"on", "true", "yes", "1"}),
    # Off, what a policy would hide is an error: pg_dump asks for that.
    "row_security": frozenset({"on", "true", "yes", "1", "off", "false", "no", "0"}),
    "search_path": frozenset({""}),
}
"""Variables that may be set to these values alone; drivers do so when they connect.

pg_dump and its like empty the search path and write every name in full.
"""

_ONLY_THESE: Final = {
    "client_encoding": "Daypass reads texts as UTF-8",
    "standard_conforming_strings": "the server would read texts differently from Daypass",
}


def variable_guard(name: str, value: str | None) -> str:
    """Say why a session may not set a variable, or return an empty text.

    `value` is None when it is not a literal or is reset. Names are compared as the server does,
    without regard to case.
    """
    name = name.lower()
    allowed = _ALLOWED_VALUES.get(name)
    if allowed is not None and value is not None and value.lower() in allowed:
        return ""
    if name.startswith("daypass."):
        return f"{name} belongs to Daypass"
    why = _PROTECTED.get(name) or _ONLY_THESE.get(name)
    return f"{name} is protected: {why}" if why else ""


STATEMENT_GUARDS: Final = {
    "ListenStmt": "notifications can carry clear rows from triggers: LISTEN is not allowed",
    "NotifyStmt": "notifications can carry rows out of the session: NOTIFY is not allowed",
    "LoadStmt": "LOAD puts code into the server",
    "AlterSystemStmt": "ALTER SYSTEM changes the whole server",
}
"""Kinds of statement no session may send, with the reason."""

TWO_PHASE_GUARD: Final = "a prepared transaction would outlive its session"
OWN_ROLE_GUARD: Final = "the session's own role and Daypass's roles are not changed by a session"
PROGRAM_GUARD: Final = "COPY with a program runs a command on the server"
FILE_FUNCTION_GUARD: Final = "large objects are not read from or written to files of the server"
CONFIG_NAME_GUARD: Final = "set_config may be called with a literal name and value only"
SETTINGS_VIEW_GUARD: Final = "pg_settings is not written to: it sets variables"
NOTIFY_FUNCTION_GUARD: Final = STATEMENT_GUARDS["NotifyStmt"]

SENSITIVE_CATALOGS: Final = frozenset(
    {
        "pg_authid",
        "pg_config",
        "pg_file_settings",
        "pg_hba_file_rules",
        "pg_ident_file_mappings",
        "pg_largeobject",
        "pg_shadow",
        "pg_stat_wal_receiver",
        "pg_statistic",
        "pg_statistic_ext_data",
        "pg_stats",
        "pg_stats_ext",
        "pg_stats_ext_exprs",
        "pg_user_mapping",
        "pg_user_mappings",
        "user_mapping_options",
    }
)
"""Relations of the system's that hold values of columns, passwords or addresses of others.

Not pg_subscription: the server itself shows nobody but superusers the address in it.
"""
