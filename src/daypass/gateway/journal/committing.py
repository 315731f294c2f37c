"""Group commit: one thread puts on disk what was written since it last did."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from daypass.domain.errors import Unavailable

_GATHER_S = 0.001
"""So long records gather before they are put on disk together."""
_WAIT_S = 10.0
_STOP_S = 30.0


class GroupCommit:
    """Call `sync` soon after each `wake`; it returns the last record that is on disk.

    `prepare` is called besides each time, for work that must not hold up whoever writes.
    """

    def __init__(
        self,
        name: str,
        sync: Callable[[], int],
        prepare: Callable[[], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._sync = sync
        self._prepare = prepare
        self._failed = failed
        self._lock = threading.Lock()
        self._waiters: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._event = threading.Event()
        self._asleep = True
        self._stopping = False
        self.synced = 0
        self._thread = threading.Thread(target=self._run, name=f"journal {name}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that something was written; costs nothing while the thread is at it."""
        if self._asleep:
            self._asleep = False
            self._event.set()

    async def wait(self, sequence: int) -> None:
        """Return once a record is on disk. Raises `Unavailable` when it does not get there."""
        if self.synced >= sequence:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self.synced >= sequence:
                return
            self._waiters.append((sequence, loop, future))
        self.wake()
        try:
            async with asyncio.timeout(_WAIT_S):
                await future
        except TimeoutError as error:
            raise Unavailable(
                "the gateway's journal does not get to the disk", code="journal_slow"
            ) from error
        finally:
            with self._lock:
                self._waiters = [each for each in self._waiters if each[2] is not future]

    def fail_waiters(self, error: Unavailable) -> None:
        """Tell everybody who waits that it will not happen."""
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for _, loop, future in waiters:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_fail, future, error)

    def reached(self, sequence: int) -> None:
        """Note that everything up to a record is on disk."""
        self.synced = max(self.synced, sequence)
        with self._lock:
            done = [each for each in self._waiters if each[0] <= sequence]
            if done:
                self._waiters = [each for each in self._waiters if each[0] > sequence]
        for _, loop, future in done:
            # A loop that is closed has nobody who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_finish, future)

    def stop(self) -> None:
        """Put on disk what was written, and end the thread."""
        self._stopping = True
        self._event.set()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        while True:
            self._event.wait()
            self._event.clear()
            stopping = self._stopping
            if not stopping:
                time.sleep(_GATHER_S)
            # Before it is looked what there is: what comes later wakes anew.
            self._asleep = True
            try:
                self.reached(self._sync())
            except OSError as error:
                self._failed(error)
            if stopping:
                return
            self._prepare()


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: Unavailable) -> None:
    if not future.done():
        future.set_exception(error)
