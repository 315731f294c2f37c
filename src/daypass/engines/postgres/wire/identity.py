"""Who a client says it is, out of its startup packet."""

from __future__ import annotations

import re
from typing import Final

from daypass.engines.postgres.wire.startup import Startup, option_settings
from daypass.engines.postgres.wire.violation import ProtocolViolation
from daypass.engines.relay_contract import Hello

_ASKED: Final = "daypass."
_NOT_SETTINGS: Final = frozenset({"user", "database", "replication", "options"})
# What the server would take for a name, in ASCII.
_SETTING: Final = re.compile(r"[a-z_][a-z0-9_$]*(?:\.[a-z_][a-z0-9_$]*)*")
_NO: Final = frozenset({"", "0", "f", "fa", "fal", "fals", "false", "n", "no", "of", "off"})
_FEATURE_NOT_SUPPORTED: Final = "0A000"
_INVALID_AUTHORIZATION: Final = "28000"
_UNKNOWN_SETTING: Final = "42704"


def hello_of(packet: Startup) -> Hello:
    """Return who a client says it is; what it says twice counts as it said last.

    `daypass.*` may be asked for in `options`, or as parameters of the packet: some drivers can do
    one, some the other. Raises `ProtocolViolation` for no user, for what is no setting (`user`, set
    as one, must never become who somebody is), and for replication, which reads past every view.
    """
    parameters = dict(packet.session_parameters)
    said = [*option_settings(parameters.pop("options", ""))]
    user = parameters.pop("user", "")
    if not user:
        raise ProtocolViolation(
            "no user name was given in the startup packet", sqlstate=_INVALID_AUTHORIZATION
        )
    if parameters.pop("replication", "").lower() not in _NO:
        raise ProtocolViolation(
            "replication is not possible through Daypass", sqlstate=_FEATURE_NOT_SUPPORTED
        )
    database = parameters.pop("database", "") or user
    said += parameters.items()
    asked: dict[str, str] = {}
    settings: dict[str, str] = {}
    for name, value in said:
        lowered = name.lower()
        if lowered in _NOT_SETTINGS or not _SETTING.fullmatch(lowered):
            raise ProtocolViolation(
                "a setting was asked for whose name is none", sqlstate=_UNKNOWN_SETTING
            )
        if lowered.startswith(_ASKED):
            asked[lowered.removeprefix(_ASKED)] = value
        else:
            # Last wins, and stands where it was said last: the server reads them in that order.
            settings.pop(lowered, None)
            settings[lowered] = value
    application = settings.pop("application_name", "")
    return Hello(
        user=user,
        database=database,
        application=application,
        asked=asked,
        settings=tuple(settings.items()),
    )
