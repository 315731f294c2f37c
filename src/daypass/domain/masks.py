"""Kinds of mask; each engine compiles them to an expression over the base column."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FullMask:
    """Hide the value entirely: `***` for text, NULL where no other value of the type is safe."""


@dataclass(frozen=True, slots=True)
class NullMask:
    """Show NULL."""


@dataclass(frozen=True, slots=True)
class PartialMask:
    """Keep the first and last characters, unless that would keep half of the value or more."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class EmailMask:
    """Keep the first character and the top-level domain: `i***@***.com`."""


@dataclass(frozen=True, slots=True)
class HashMask:
    """Show a keyed, deterministic hash: equal values stay equal, joinable within one database."""


@dataclass(frozen=True, slots=True)
class DateMask:
    """Truncate a date or time to its `month` or `year`."""

    unit: str


@dataclass(frozen=True, slots=True)
class RangeMask:
    """Floor a number to a multiple of `step`."""

    step: int


@dataclass(frozen=True, slots=True)
class ConstantMask:
    """Show one fixed text."""

    value: str


@dataclass(frozen=True, slots=True)
class RegexMask:
    """Replace every match of `pattern`; what does not match at all is hidden entirely."""

    pattern: str
    replacement: str


@dataclass(frozen=True, slots=True)
class JsonMask:
    """Mask values at dotted paths of a JSON document; what no path names stays as it is."""

    paths: tuple[tuple[str, Mask], ...]


type_of_mask = {
    FullMask: "full",
    NullMask: "null",
    PartialMask: "partial",
    EmailMask: "email",
    HashMask: "hash",
    DateMask: "date",
    RangeMask: "range",
    ConstantMask: "constant",
    RegexMask: "regex",
    JsonMask: "json",
}

Mask = (
    FullMask
    | NullMask
    | PartialMask
    | EmailMask
    | HashMask
    | DateMask
    | RangeMask
    | ConstantMask
    | RegexMask
    | JsonMask
)


def mask_text(mask: Mask) -> str:
    """Write a mask as policy does: `full`, `partial(1, 2)`, `json({"a.b": email})`."""
    match mask:
        case PartialMask(first, last):
            return f"partial({first}, {last})"
        case DateMask(unit):
            return f"date({unit})"
        case RangeMask(step):
            return f"range({step})"
        case ConstantMask(value):
            return f"constant({value!r})"
        case RegexMask(pattern, replacement):
            return f"regex({pattern!r}, {replacement!r})"
        case JsonMask(paths):
            inner = ", ".join(f'"{path}": {mask_text(m)}' for path, m in paths)
            return f"json({{{inner}}})"
        case _:
            return type_of_mask[type(mask)]
