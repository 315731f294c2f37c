"""Close ended grants, each instance by itself: one that does not answer holds up no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import psycopg
import structlog

from daypass.domain.errors import Error, Unavailable
from daypass.domain.ids import GrantId, InstanceId
from daypass.operations.close_grant import close_grant, note_unreachable
from daypass.operations.context import Context

_log = structlog.get_logger(__name__)

_AT_ONCE = 8
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
        wanted = dict(waiting)
        self._pauses = {each: pause for each, pause in self._pauses.items() if each in wanted}
        for grant_id, instance_id in wanted.items():
            instance = self._instances.setdefault(instance_id, _Instance())
            pause = self._pauses.get(grant_id)
            if grant_id in self._closing or not instance.pause.over:
                continue
            if pause is not None and not pause.over:
                continue
            if instance.pause.failures:
                # One of them finds out whether it answers again.
                if instance.probing:
                    continue
                instance.probing = True
            self._closing.add(grant_id)
            self._group.create_task(
                self._close(grant_id, instance_id, instance), name=f"close-grant-{grant_id}"
            )

    async def _close(self, grant_id: GrantId, instance_id: InstanceId, instance: _Instance) -> None:
        try:
            async with instance.gate:
                if instance.pause.over:
                    await close_grant(self._ctx, grant_id)
                    instance.pause = _Pause()
        except Unavailable as error:
            _log.warning("closing_failed", grant=grant_id, error=error.message)
            if error.detail_code == "not_closed":
                self._pauses.setdefault(grant_id, _Pause()).failed()
            elif instance.pause.over:
                instance.pause.failed()
                await self._note(instance_id, grant_id, error.message)
        except (Error, psycopg.Error, OSError) as error:
            _log.warning("closing_failed", grant=grant_id, error=str(error))
            self._pauses.setdefault(grant_id, _Pause()).failed()
        except Exception:  # noqa: BLE001 - logged; one grant must not take the others' along
            _log.exception("closing_broken", grant=grant_id)
            self._pauses.setdefault(grant_id, _Pause()).failed()
        finally:
            instance.probing = False
            self._closing.discard(grant_id)

    async def _note(self, instance_id: InstanceId, tried: GrantId, problem: str) -> None:
        try:
            await note_unreachable(self._ctx, instance_id, tried, problem)
        except (Error, psycopg.Error, OSError) as error:
            _log.warning("noting_failed", instance=instance_id, error=str(error))
