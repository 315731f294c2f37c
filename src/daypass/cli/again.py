"""The command to type instead: what was typed, changed the way the denial says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from daypass.cli.failure import Failure

_VALUED: Final = {
    "-p": "--profile",
    "-c": "--class",
    "-t": "--relation",
    "-r": "--reason",
}
_SCOPE: Final = ("--class", "--relation", "--unmask", "--filter", "--set")
_TAKES_VALUE: Final = frozenset(
    {
        *_VALUED.values(),
        *_SCOPE,
        "--native-role",
        "--statement",
        "--parameter",
        "--for",
        "--until",
        "--start",
        "--ticket",
        "--wait",
        "--person",
        "--at",
    }
)
_AT_MOST: Final = re.compile(r"at most (\d+\w+)")
_PATTERN: Final = re.compile(r"(?:a ticket that matches|does not match) '([^']+)'")
_PROFILE: Final = re.compile(r"with the profile '([^']+)'")
_ONLY: Final = re.compile(r"for ([a-z_]+(?:(?:, | and )[a-z_]+)*) only")
_DID_YOU_MEAN: Final = re.compile(r"did you mean (?P<right>'[^']+'|[^\s?]+)")
_WRONG: Final = re.compile(r"'([^']+)'|(?:relation|column|profile) ([^\s;]+)|(\w+\.[^\s;]+)")

_Option = tuple[str, str | None]


def again(typed: Sequence[str], failure: Failure) -> str | None:
    """Return the command that would be granted or at least understood, where that can be told.

    `typed` is what followed `daypass`.
    """
    said = " ".join((failure.what, *failure.why, *failure.next_steps))
    options = list(_options(typed))
    changed = _respelled(options, failure) or _mended(options, said, failure)
    if changed is None or changed == options:
        return None
    return shlex.join(["daypass", *_flat(changed)]).replace("'…'", '"…"')


def _options(typed: Sequence[str]) -> Iterable[_Option]:
    """Split into options with their values; positional arguments have an empty name."""
    rest = list(typed)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            yield "", word
            continue
        name, equals, value = word.partition("=")
        name = _VALUED.get(name, name)
        if equals:
            yield name, value
        elif name in _TAKES_VALUE and rest:
            yield name, rest.pop(0)
        else:
            yield name, None


def _flat(options: Iterable[_Option]) -> Iterable[str]:
    for name, value in options:
        if name:
            yield name
        if value is not None:
            yield value


def _respelled(options: list[_Option], failure: Failure) -> list[_Option] | None:
    for line in (failure.what, *failure.why):
        found = _DID_YOU_MEAN.search(line)
        if found is None:
            continue
        right = found["right"].strip("'\"")
        for match in _WRONG.finditer(line[: found.start()]):
            wrong = next(each for each in match.groups() if each)
            whole = re.compile(rf"(?<![\w.]){re.escape(wrong)}(?![\w.])")
            changed = [(name, _replaced(whole, right, value)) for name, value in options]
            if changed != options:
                return changed
    return None


def _replaced(whole: re.Pattern[str], right: str, value: str | None) -> str | None:
    return whole.sub(lambda _: right, value) if value is not None else None


def _mended(options: list[_Option], said: str, failure: Failure) -> list[_Option] | None:
    """Follow the first way that the denial names."""
    codes = {str(reason["code"]) for reason in failure.reasons}
    if not codes:
        return None
    way = said.split(", or ", maxsplit=1)[0] if ", or " in said else said
    if profile := _PROFILE.search(way):
        options = _without(options, *_SCOPE, "--profile", "--break-glass", "--direct")
        options.append(("--profile", profile[1]))
    elif only := _ONLY.search(way):
        options = _without(options, "--class")
        options += [("--class", each) for each in re.split(r", | and ", only[1])]
    for words, option in (
        ("without break-glass", "--break-glass"),
        ("without unmasking", "--unmask"),
        ("without direct credentials", "--direct"),
        ("without session settings", "--set"),
    ):
        if words in way:
            options = _without(options, option)
    if "too_long" in codes and (most := _AT_MOST.search(said)):
        options = [*_without(options, "--for", "--until"), ("--for", most[1])]
    if "reason_missing" in codes or ("with a reason" in way and not _has(options, "--reason")):
        options = [*_without(options, "--reason"), ("--reason", "…")]
    if pattern := _PATTERN.search(way):
        options = [*_without(options, "--ticket"), ("--ticket", example_of(pattern[1]))]
    elif "ticket_missing" in codes:
        options = [*options, ("--ticket", "…")]
    return options


def _without(options: Iterable[_Option], *names: str) -> list[_Option]:
    return [each for each in options if each[0] not in names]


def _has(options: Iterable[_Option], name: str) -> bool:
    return any(each == name for each, _ in options)


def example_of(pattern: str) -> str:
    """Return a text that a simple pattern matches, else one that shows where it goes."""
    text = pattern.removeprefix("^").removesuffix("$").replace(r"\d+", "42")
    text = re.sub(r"\(([^|()]*)\|[^()]*\)", r"\1", text)
    try:
        return text if re.search(pattern, text) else "…"
    except re.error:
        return "…"
