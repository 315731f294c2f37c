"""Say why the control-plane store cannot be reached, before anything rests on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from daypass.connect_failures import ConnectTrouble, connect_trouble, server_said
from daypass.domain.errors import Invalid, Unavailable
from daypass.domain.secret import Secret

CONNECT_TIMEOUT_S: Final = 10
_TO_DO: Final[Mapping[ConnectTrouble, str]] = {
    ConnectTrouble.PASSWORD: "check user and password in store.url",
    ConnectTrouble.NO_ROLE: "check the user in store.url",
    ConnectTrouble.NO_DATABASE: "create it, or check the database in store.url",
    ConnectTrouble.NOT_LET_IN: "let Daypass's machine in by the server's pg_hba.conf",
    ConnectTrouble.NO_TLS: "switch TLS on at the server, or change sslmode in store.url",
    ConnectTrouble.NO_AUTHORITY: "add sslrootcert=/path/ca.pem (or system) to store.url",
    ConnectTrouble.CERTIFICATE: "check the server's certificate, and sslrootcert in store.url",
    ConnectTrouble.FULL: "raise max_connections there, or close idle connections",
    ConnectTrouble.STARTING: "start again when it is up",
}


def reach_store(conninfo: Secret) -> None:
    """Connect once. Raises `Unavailable` with what stands in the way, and nothing of the secret."""
    try:
        given = conninfo_to_dict(conninfo.reveal())
    except psycopg.ProgrammingError:
        # Its text quotes what it was given.
        raise Invalid(
            "store.url leads to no address of a PostgreSQL database",
            next_step="it looks like postgresql://user:password@host:5432/database",
            code="store_url",
        ) from None
    patience = given.get("connect_timeout") or CONNECT_TIMEOUT_S
    try:
        psycopg.connect(make_conninfo(conninfo.reveal(), connect_timeout=patience)).close()
    except psycopg.Error as error:
        raise store_away(error, f"{given.get('host', '')}:{given.get('port', 5432)}") from error


def store_away(error: psycopg.Error, place: str) -> Unavailable:
    """Return what to say of a connection to the store that failed."""
    trouble = connect_trouble(str(error))
    said = server_said(str(error))
    return Unavailable(
        f"the control-plane store at {place} cannot be reached: {trouble.value}"
        + (f": {said}" if said else ""),
        next_step=_TO_DO.get(trouble, "check that it runs, and host and port in store.url"),
        code="store_away",
    )
