"""Shapes that bodies of several routes share."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from daypass.domain.duration import format_duration, parse_duration
from daypass.domain.errors import Invalid


class Body(BaseModel):
    """What a caller sends: fields nobody knows are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """What a caller is sent."""

    model_config = ConfigDict(from_attributes=True)


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("write it like 90s, 15m, 2h, 1d or 1h30m")
    try:
        return parse_duration(value)
    except Invalid as error:
        raise ValueError(f"{error.message}; {error.next_step}") from error


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["2h"], "description": "like 90s, 15m, 1h30m"}),
]
"""A duration as people write it."""

Moment = AwareDatetime
"""A moment with its time zone."""

Email = Annotated[str, Field(min_length=3, max_length=254, examples=["alice@example.com"])]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Reason = Annotated[str, Field(max_length=2000)]
