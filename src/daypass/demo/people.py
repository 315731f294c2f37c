"""The sample company's people, as the sample's file names them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class SamplePerson:
    """Somebody to sign in as."""

    name: str
    email: str
    title: str
    person: bool


def sample_people() -> tuple[SamplePerson, ...]:
    """List the sample company's people and service accounts."""
    return tuple(
        SamplePerson(p["name"], p["email"], p.get("title", "Service account"), is_person(p))
        for p in people_file()["people"]
    )


def people_file() -> dict[str, Any]:
    """Read the file of people, groups and owners."""
    text = (resources.files("daypass.demo") / "people.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def is_person(facts: dict[str, Any]) -> bool:
    """Say whether somebody in the file is a person: the others are service accounts."""
    return bool(facts["kind"] == "person")
