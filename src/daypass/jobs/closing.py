"""Close ended grants, each instance by itself: one that does not answer holds up no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
import structlog

from daypass.domain.errors import Error, Unavailable
from daypass.domain.ids import GrantId, InstanceId
from daypass.operations.close_grant import close_grants, note_unreachable
from daypass.operations.context import Context

_log = structlog.get_logger(__name__)

_AT_ONCE = 4
_TOGETHER = 100
"""So many grants of an instance are one piece of work, and so many pieces go on at once."""
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


@dataclass(slots=True)
class _Pause:
    """Wait 1, 2, 4 … seconds after failures in a row, and never longer than a minute."""

    failures: int = 0
    until: float = 0.0

    def failed(self) -> None:
        wait_s = min(_FIRST_PAUSE_S * 2.0 ** min(self.failures, 10), _LONGEST_PAUSE_S)
        self.failures += 1
        self.until = time.monotonic() + wait_s

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.until


@dataclass(slots=True)
class _Instance:
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    pause: _Pause = field(default_factory=_Pause)
    probing: bool = False


class Closer:
    """Closes grants in the background; `begin` is called again and again with all that wait."""

    def __init__(self, ctx: Context, group: asyncio.TaskGroup) -> None:
        self._ctx, self._group = ctx, group
        self._instances: dict[InstanceId, _Instance] = {}
        self._pauses: dict[GrantId, _Pause] = {}
        self._closing: set[GrantId] = set()

    def begin(self, waiting: Iterable[tuple[GrantId, InstanceId]]) -> None:
        """Begin to close what is not being closed already."""
        of_instance: dict[InstanceId, list[GrantId]] = {}
        wanted = set()
        for grant_id, instance_id in waiting:
            wanted.add(grant_id)
            of_instance.setdefault(instance_id, []).append(grant_id)
        self._pauses = {each: pause for each, pause in self._pauses.items() if each in wanted}
        for instance_id, grant_ids in of_instance.items():
            instance = self._instances.setdefault(instance_id, _Instance())
            if not instance.pause.over:
                continue
            ready = [each for each in grant_ids if self._may_begin(each)]
            if instance.pause.failures:
                # One of them finds out whether it answers again.
                ready = [] if instance.probing else ready[:1]
                instance.probing = instance.probing or bool(ready)
            for start in range(0, len(ready), _TOGETHER):
                self._begin(instance_id, instance, ready[start : start + _TOGETHER])

    def _may_begin(self, grant_id: GrantId) -> bool:
        pause = self._pauses.get(grant_id)
        return grant_id not in self._closing and (pause is None or pause.over)

    def _begin(
        self, instance_id: InstanceId, instance: _Instance, grant_ids: Sequence[GrantId]
    ) -> None:
        self._closing.update(grant_ids)
        self._group.create_task(
            self._close(instance_id, instance, grant_ids),
            name=f"close-grants-{grant_ids[0]}-to-{grant_ids[-1]}",
        )

    async def _close(
        self, instance_id: InstanceId, instance: _Instance, grant_ids: Sequence[GrantId]
    ) -> None:
        try:
            async with instance.gate:
                if instance.pause.over:
                    failed = await close_grants(self._ctx, instance_id, grant_ids)
                    await self._note(instance_id, instance, grant_ids, failed)
        except (Error, psycopg.Error, OSError) as error:
            _log.warning("closing_failed", instance=instance_id, error=str(error))
            self._pause(grant_ids)
        except Exception:  # noqa: BLE001 - logged; these grants must not take the others' along
            _log.exception("closing_broken", instance=instance_id)
            self._pause(grant_ids)
        finally:
            instance.probing = False
            self._closing.difference_update(grant_ids)

    def _pause(self, grant_ids: Iterable[GrantId]) -> None:
        for each in grant_ids:
            self._pauses.setdefault(each, _Pause()).failed()

    async def _note(
        self,
        instance_id: InstanceId,
        instance: _Instance,
        tried: Sequence[GrantId],
        failed: Mapping[GrantId, Exception],
    ) -> None:
        away = ""
        for grant_id, error in failed.items():
            _log.warning("closing_failed", grant=grant_id, error=str(error))
            if isinstance(error, Unavailable) and error.detail_code != "not_closed":
                away = error.message
            else:
                self._pause([grant_id])
        if not away:
            instance.pause = _Pause()
        elif instance.pause.over:
            instance.pause.failed()
            await note_unreachable(self._ctx, instance_id, tried, away)
