"""What a connection asks for besides being opened: options of the command and of PGOPTIONS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from daypass.cli.failure import usage

_OURS: Final = "daypass."
_WORD: Final = re.compile(r"(?:\\.|[^\s\\])+", re.DOTALL)
_USUAL_WAIT: Final = "10m"
_WITHOUT_REASON: Final = frozenset({"grant", "reason", "wait"})
_FLAGS: Final = {"classes": "--class", "relations": "--relation"}

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Wishes:
    """Options `daypass.*` without their prefix, and settings that are passed on as they are."""

    asked: Pairs
    settings: Pairs = ()


def merge_wishes(given: dict[str, str], own: str) -> Wishes:
    """Merge what options of the command say, empty where left out, over a PGOPTIONS of one's own.

    Raises `Failure` for what the gateway would refuse anyway: a request without a reason, or
    options that are none.
    """
    asked: dict[str, str] = {}
    settings: dict[str, str] = {}
    for name, value in _read(own):
        if name.startswith(_OURS):
            asked[name.removeprefix(_OURS)] = value
        else:
            # Last wins, and stands where it was said last.
            settings.pop(name, None)
            settings[name] = value
    asked |= {name: value for name, value in given.items() if value}
    if asked.get("reason"):
        asked.setdefault("wait", _USUAL_WAIT)
    else:
        for name, value in given.items():
            if value and name not in _WITHOUT_REASON:
                raise usage(
                    f"{_FLAGS.get(name, f'--{name}')} is for a request, which needs a reason",
                    next_step='add --reason "…"',
                )
    return Wishes(tuple(asked.items()), tuple(settings.items()))


def write_options(wishes: Wishes) -> str:
    """Return libpq's `options` that say all this, empty if there is nothing to say."""
    said = [*((f"{_OURS}{name}", value) for name, value in wishes.asked), *wishes.settings]
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in said)


def _read(options: str) -> Iterator[tuple[str, str]]:
    words = iter(
        [re.sub(r"\\(.)", r"\1", each, flags=re.DOTALL) for each in _WORD.findall(options)]
    )
    for word in words:
        assigned = next(words, "") if word == "-c" else word[2:]
        name, equals, value = assigned.partition("=")
        if not (word.startswith(("-c", "--")) and name and equals):
            raise usage(
                f"PGOPTIONS: {word!r} is not known here",
                next_step="write -c name=value, as in PGOPTIONS='-c daypass.grant=7'",
            )
        yield name.replace("-", "_").lower(), value


def _escaped(value: str) -> str:
    return "".join(f"\\{each}" if each.isspace() or each == "\\" else each for each in value)
