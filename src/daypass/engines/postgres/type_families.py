"""Engine-neutral families of PostgreSQL's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_FAMILIES: Final[Mapping[str, str]] = {
    "text": "text",
    "varchar": "text",
    "bpchar": "text",
    "name": "text",
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "numeric": "decimal",
    "float4": "float",
    "float8": "float",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
    "json": "json",
    "jsonb": "json",
    "bytea": "bytes",
    "uuid": "uuid",
}


@dataclass(frozen=True, slots=True)
class TypeRow:
    """A row of pg_type: `kind` is `b`ase, `d`omain or `e`num; `base` is what a domain rests on."""

    schema: str
    name: str
    kind: str
    category: str
    base: int


class TypeFamilies:
    """Families by type oid: domains take their base type's, an enum's values are text."""

    def __init__(self, types: Mapping[int, TypeRow]) -> None:
        self._types = types

    def family(self, oid: int) -> str:
        """Return the family of a type; what is not known (arrays, ranges, rows) is `other`."""
        row = self._types.get(oid)
        while row is not None and row.kind == "d":
            row = self._types.get(row.base)
        if row is None:
            return "other"
        if row.kind == "e":
            return "text"
        if row.schema == "pg_catalog":
            return _FAMILIES.get(row.name, "other")
        # An extension's strings, such as citext.
        return "text" if row.category == "S" else "other"

    def domains(self, oid: int) -> frozenset[int]:
        """List the domains whose checks a value of a type must pass."""
        found = set()
        row = self._types.get(oid)
        while row is not None and row.kind == "d":
            found.add(oid)
            oid = row.base
            row = self._types.get(oid)
        return frozenset(found)
