"""Reads long texts in a process of its own, so that nobody else's session waits for them.

What a megabyte of values takes to read is seconds, and the interpreter's lock would be held for
most of them by a thread as well: deadlines of other sessions would pass unheard.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import IO, Final

import structlog

from daypass.domain.catalog import RelationName
from daypass.engines.contract import PreparedText, Verdict
from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.relay_judge import depends_on_session, read_text
from daypass.engines.postgres.relay_reading import TOO_LARGE, Reading, Refusal
from daypass.engines.postgres.statements import prepare_under

_log = structlog.get_logger(__name__)

LONGEST_S: Final = 20.0
_MEMORY_BYTES: Final = 4 * 2**30
_PLANS_KEPT: Final = 8
_LENGTH_BYTES: Final = 8
_NICER: Final = 5
_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
_GIVEN_UP: Final = Refusal(
    "too_large",
    "the text takes too long to read",
    TOO_LARGE,
    "Send it in several statements, or copy the rows in.",
)

Apart = tuple[Reading, Reading]
"""What a text is under its plan, and with what the session has made."""

_Asked = tuple[str, dict[str, AbstractSet[RelationName]] | None, frozenset[str]]
"""A text, and what its session has prepared and made; None where it is only to be prepared."""


class ApartReader:
    """One process that reads one text after the other; it ends with the one that started it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-apart")
        self._process: subprocess.Popen[bytes] | None = None
        self._plans: OrderedDict[int, tuple[PostgresPlan, bytes]] = OrderedDict()

    async def read(
        self,
        text: str,
        plan: PostgresPlan,
        prepared: Mapping[str, AbstractSet[RelationName]],
        temporary: AbstractSet[str],
    ) -> Apart:
        """Do as `read_text` does; a text that takes longer than `LONGEST_S` is refused."""
        loop = asyncio.get_running_loop()
        asked = text, dict(prepared), frozenset(temporary)
        found = await loop.run_in_executor(self._thread, self._ask, plan, asked)
        if not isinstance(found, tuple):
            given_up = Reading(text, (), _GIVEN_UP)
            return given_up, given_up
        return found

    def prepare(self, text: str, plan: PostgresPlan) -> PreparedText:
        """Do as `prepare_under` does; to be called in a thread that may wait."""
        found = self._thread.submit(self._ask, plan, (text, None, frozenset())).result()
        if not isinstance(found, PreparedText):
            return PreparedText(
                Verdict.DENY,
                (),
                code=_GIVEN_UP.code,
                reason=f"{_GIVEN_UP.message}: {_GIVEN_UP.hint}",
            )
        return found

    def close(self) -> None:
        """End the process; another is started when there is something to read."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    # What was not sent yet goes nowhere now.
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _ask(self, plan: PostgresPlan, asked: _Asked) -> Apart | PreparedText | None:
        process = self._running()
        timer = threading.Timer(LONGEST_S, process.kill)
        timer.daemon = True
        timer.start()
        try:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("a process without pipes")
            for part in (self._written(plan), pickle.dumps(asked)):
                _write(process.stdin, part)
            process.stdin.flush()
            # It is our own process, and knows nothing but what it was given.
            found: Apart | PreparedText = pickle.loads(_read(process.stdout))  # noqa: S301
        except (OSError, EOFError) as error:
            _log.warning("text_not_read", size=len(asked[0]), error=type(error).__name__)
            self.close()
            return None
        else:
            return found
        finally:
            timer.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is None or process.poll() is not None:
            self.close()
            # No secret of this process's is in its environment, and nothing of the working
            # directory's is imported.
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                start_new_session=True,
            )
        return process

    def _written(self, plan: PostgresPlan) -> bytes:
        found = self._plans.pop(id(plan), None)
        if found is None:
            found = plan, pickle.dumps(plan)
        self._plans[id(plan)] = found
        while len(self._plans) > _PLANS_KEPT:
            self._plans.popitem(last=False)
        return found[1]


@cache
def apart_reader() -> ApartReader:
    """Return this process's one reader."""
    reader = ApartReader()
    atexit.register(reader.close)
    return reader


def _write(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(data)


def _read(pipe: IO[bytes]) -> bytes:
    head = pipe.read(_LENGTH_BYTES)
    size = int.from_bytes(head, "big")
    data = pipe.read(size) if len(head) == _LENGTH_BYTES else b""
    if len(head) < _LENGTH_BYTES or len(data) < size:
        raise EOFError
    return data


def _serve(asked: IO[bytes], answered: IO[bytes]) -> None:
    """Answer until the other side is gone."""
    while True:
        try:
            written = _read(asked)
            given: _Asked = pickle.loads(_read(asked))  # noqa: S301  # of our parent
        except EOFError:
            return
        plan: PostgresPlan = pickle.loads(written)  # noqa: S301  # of our parent
        text, prepared, temporary = given
        scope = plan.session_scope
        if prepared is None:
            _answer(answered, prepare_under(text, scope))
            continue
        shared = own = read_text(text, scope, plan)
        if depends_on_session(shared, temporary):
            own = read_text(text, replace(scope, prepared=prepared, temporary=temporary), plan)
        _answer(answered, (shared, own))


def _answer(answered: IO[bytes], found: Apart | PreparedText) -> None:
    _write(answered, pickle.dumps(found))
    answered.flush()


def main() -> None:
    """Read texts for the process that started this one."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    os.nice(_NICER)
    _serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
