"""Every attack there is, by what it tries."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tests.leaks.attack import Attack
from tests.leaks.attacks import (
    catalog,
    concurrent,
    documents,
    errors,
    functions,
    predicates,
    reading,
    roles,
    server,
    statistics,
    temporary,
    writes,
)

ATTACKS: Final[tuple[Attack, ...]] = (
    *reading.ATTACKS,
    *documents.ATTACKS,
    *predicates.ATTACKS,
    *errors.ATTACKS,
    *statistics.ATTACKS,
    *temporary.ATTACKS,
    *roles.ATTACKS,
    *functions.ATTACKS,
    *writes.ATTACKS,
    *server.ATTACKS,
    *catalog.ATTACKS,
    *concurrent.ATTACKS,
)

if twice := [name for name, count in Counter(each.name for each in ATTACKS).items() if count > 1]:
    raise ValueError(f"two attacks of one name: {', '.join(twice)}")
