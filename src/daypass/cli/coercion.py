"""Read the values of options and arguments without loading pydantic.

Typer turns words into values with pydantic's adapters, and importing those takes longer than most
commands run. The few types this command line uses are read here instead; a Typer that no longer
offers the place for it reads them its own way, only slower.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import typer
import typer.core

_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE: Final = frozenset({"0", "false", "f", "no", "n", "off"})


def read_plainly() -> None:
    """Have Typer read parameters of plain types by what is here; once, before any is read."""
    build = getattr(typer.core, "build_runtime_param", None)
    if build is None or getattr(build, "plain", False):
        return

    def plainly(descriptor: Any) -> Any:
        if _is_plain(descriptor.annotation) and descriptor.parameter_info.parser is None:
            return _Plainly(descriptor)
        return build(descriptor)

    plainly.plain = True  # type: ignore[attr-defined]
    typer.core.build_runtime_param = plainly  # type: ignore[attr-defined]


class _Plainly:
    """What Typer asks to read one parameter."""

    def __init__(self, descriptor: Any) -> None:
        self.parameter_info = descriptor.parameter_info
        self.annotation = descriptor.annotation

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Read a value, or the values of what may be given several times."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if get_origin(self.annotation) is not list:
            return _read(value, self.annotation, self.parameter_info, param, ctx)
        (inner,) = get_args(self.annotation)
        return [_read(each, inner, self.parameter_info, param, ctx) for each in value]


def _is_plain(kind: Any) -> bool:
    if get_origin(kind) is list:
        return all(map(_is_plain, get_args(kind)))
    return isinstance(kind, type) and (kind in (str, int, bool) or issubclass(kind, Enum | Path))


def _read(value: Any, kind: Any, info: Any, param: Any, ctx: Any) -> Any:
    if isinstance(value, kind):
        return _within(value, info, param, ctx) if kind is int else value
    text = str(value)
    if issubclass(kind, Enum):
        found = next((each for each in kind if each.value == text), None)
        if found is None:
            names = ", ".join(str(each.value) for each in kind)
            raise typer.BadParameter(f"{text!r} is not one of {names}.", ctx=ctx, param=param)
        return found
    if kind is bool:
        if text.lower() not in _TRUE | _FALSE:
            raise typer.BadParameter(f"{text!r} is neither yes nor no.", ctx=ctx, param=param)
        return text.lower() in _TRUE
    if kind is int:
        try:
            return _within(int(text), info, param, ctx)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is no number.", ctx=ctx, param=param) from None
    return kind(text)


def _within(number: int, info: Any, param: Any, ctx: Any) -> int:
    low, high = info.min, info.max
    if (low is not None and number < low) or (high is not None and number > high):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise typer.BadParameter(f"{number} is not {bounds}.", ctx=ctx, param=param)
    return number
