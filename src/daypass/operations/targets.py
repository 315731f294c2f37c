"""Open targets, one per instance and revision of its settings."""

from __future__ import annotations

from collections.abc import Callable

from daypass.domain.ids import InstanceId
from daypass.engines.contract import Target


class Targets:
    """Keep one target per instance; a changed instance gets a new one."""

    def __init__(self) -> None:
        self._open: dict[InstanceId, tuple[int, Target]] = {}
        self._retired: list[Target] = []

    def find(self, instance: InstanceId, revision: int) -> Target | None:
        """Return the target of an instance's revision, if there is one."""
        known = self._open.get(instance)
        return known[1] if known is not None and known[0] == revision else None

    def get(self, instance: InstanceId, revision: int, make: Callable[[], Target]) -> Target:
        """Return the target of an instance's revision, made by `make` if there is none yet."""
        found = self.find(instance, revision)
        if found is not None:
            return found
        known = self._open.get(instance)
        if known is not None:
            # Somebody may still be using it: it is closed with everything else.
            self._retired.append(known[1])
        target = make()
        self._open[instance] = (revision, target)
        return target

    async def aclose(self) -> None:
        """Close every target."""
        targets = [target for _, target in self._open.values()] + self._retired
        self._open.clear()
        self._retired.clear()
        for target in targets:
            await target.aclose()
