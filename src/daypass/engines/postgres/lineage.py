"""From which columns each output column of a view is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daypass.domain.catalog import ColumnName, RelationName


def view_lineage(
    definition: str,
    width: int,
    columns: Mapping[RelationName, Sequence[str]],
    used: Sequence[tuple[RelationName, Sequence[str]]],
) -> tuple[frozenset[ColumnName], ...]:
    """Return, by position, the columns of other relations that each output column comes from."""
    every = frozenset(ColumnName(name, c) for name, _ in used for c in columns.get(name, ()))
    return (every,) * width
