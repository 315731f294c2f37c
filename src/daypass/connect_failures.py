"""Why a PostgreSQL server does not let anybody in, told from libpq's words: it gives no code.

Only what people read is chosen by it, never what Daypass does.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ConnectTrouble(StrEnum):
    """What stands between a client and a server; the value says it."""

    NAME_UNKNOWN = "its host name is not known"
    REFUSED = "nothing listens there (connection refused)"
    TIMEOUT = "it did not answer in time"
    NO_ROUTE = "there is no way to it through the network"
    NO_TLS = "it speaks no TLS there, and TLS is demanded"
    NO_AUTHORITY = "no authority's certificate is known to check the server's TLS certificate with"
    CERTIFICATE = "the server's TLS certificate is not to be trusted"
    NOT_LET_IN = "it lets nobody in from here by that user"
    FULL = "it has no connection to spare"
    PASSWORD = "the password is wrong"  # noqa: S105  # what is said, no secret
    NO_ROLE = "that user does not exist"
    NO_DATABASE = "that database does not exist"
    STARTING = "it is starting or stopping"
    OTHER = "the connection failed"


# In order: the first that stands in the text. Servers write in their own language; what cannot be
# read is OTHER, with the server's words.
_SIGNS: Final = (
    ("password authentication failed", ConnectTrouble.PASSWORD),
    ("no password supplied", ConnectTrouble.PASSWORD),
    ("no pg_hba.conf entry", ConnectTrouble.NOT_LET_IN),
    ("pg_hba.conf rejects", ConnectTrouble.NOT_LET_IN),
    ("too many clients", ConnectTrouble.FULL),
    ("too many connections", ConnectTrouble.FULL),
    ("connection slots are reserved", ConnectTrouble.FULL),
    ("the database system is", ConnectTrouble.STARTING),
    ("does not support SSL", ConnectTrouble.NO_TLS),
    ("certificate verify failed", ConnectTrouble.CERTIFICATE),
    ("does not match host name", ConnectTrouble.CERTIFICATE),
    ("root certificate file", ConnectTrouble.NO_AUTHORITY),
    ("failed to resolve host", ConnectTrouble.NAME_UNKNOWN),
    ("could not translate host name", ConnectTrouble.NAME_UNKNOWN),
    ("Connection refused", ConnectTrouble.REFUSED),
    ("timeout expired", ConnectTrouble.TIMEOUT),
    ("timed out", ConnectTrouble.TIMEOUT),
    ("No route to host", ConnectTrouble.NO_ROUTE),
    ("Network is unreachable", ConnectTrouble.NO_ROUTE),
)


def connect_trouble(text: str) -> ConnectTrouble:
    """Return why a connection failed, by the driver's text."""
    for sign, trouble in _SIGNS:
        if sign in text:
            return trouble
    if 'role "' in text and "does not exist" in text:
        return ConnectTrouble.NO_ROLE
    if 'database "' in text and "does not exist" in text:
        return ConnectTrouble.NO_DATABASE
    return ConnectTrouble.OTHER


def server_said(text: str) -> str:
    """Return the server's own words on a connection it denied, if it said any."""
    _, fatal, said = text.partition("FATAL:")
    return said.strip().splitlines()[0] if fatal and said.strip() else ""
