"""The relay object alone: what a statement costs in plain Python, both directions, no sockets.

`python -m bench.relay`; the ports drop what they get, the server's answers are made beforehand.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from datetime import UTC, datetime

from daypass.engines.postgres.relay import PostgresRelay
from daypass.engines.postgres.wire.client_messages import SYNC, Bind, Execute, Parse, Query
from daypass.engines.postgres.wire.server_messages import (
    BIND_COMPLETE,
    IDLE,
    PARSE_COMPLETE,
    Column,
    CommandComplete,
    DataRow,
    ReadyForQuery,
    RowDescription,
)
from daypass.engines.relay_contract import Ended, Refused, RelayLimits, Started
from tests.unit.engines.postgres.relay.talk import PLAN

STATEMENTS = 50_000
AIM_US = 15.0

_TEXT = "SELECT note FROM sales.orders WHERE id = 4711"
_READY = ReadyForQuery(IDLE).build()
_ROW = DataRow((b"some words of a note",)).build()
_COLUMNS = RowDescription((Column("note", 16384, 3, 25),)).build()
_DONE = CommandComplete("SELECT 1").build()
_SIMPLE = Query(_TEXT).build()
_SIMPLE_ANSWER = _COLUMNS + _ROW + _DONE + _READY
_UNNAMED = (
    Parse("", "SELECT note FROM orders WHERE id = $1").build()
    + Bind("", "", (), (b"4711",)).build()
    + Execute("").build()
    + SYNC
)
_UNNAMED_ANSWER = PARSE_COMPLETE + BIND_COMPLETE + _ROW + _DONE + _READY
_PREPARED = Bind("", "s", (), (b"4711",)).build() + Execute("").build() + SYNC
_PREPARED_ANSWER = BIND_COMPLETE + _ROW + _DONE + _READY


class Dropped:
    """Ports that count."""

    def __init__(self) -> None:
        self.number = 0
        self.ends = 0
        self.size_bytes = 0

    def to_server(self, data: bytes | memoryview) -> None:
        """Drop it."""
        self.size_bytes += len(data)

    def to_client(self, data: bytes | memoryview) -> None:
        """Drop it."""
        self.size_bytes += len(data)

    def started(self, _statement: Started) -> int:
        """Number it."""
        self.number += 1
        return self.number

    def refused(self, statement: Refused) -> None:
        """There are none."""
        raise AssertionError(statement.reason)

    def ended(self, _number: int, _end: Ended) -> None:
        """Count it."""
        self.ends += 1

    def cancel(self) -> None:
        """There is none."""
        raise AssertionError

    def aside(self, work: object) -> None:
        """There is none."""
        raise AssertionError(work)

    def over(self, reason: str) -> None:
        """There is none."""
        raise AssertionError(reason)


def _begun() -> tuple[PostgresRelay, Dropped]:
    ports = Dropped()
    relay = PostgresRelay(PLAN, ports, RelayLimits(), time.monotonic, lambda: datetime.now(UTC))
    relay.from_client(Parse("s", "SELECT note FROM orders WHERE id = $1").build() + SYNC)
    relay.from_server(PARSE_COMPLETE + _READY)
    return relay, ports


def round_trip_us(sent: bytes, answer: bytes, statements: int = STATEMENTS) -> float:
    """Return what one statement costs, the best of fifty goes: others use the processor too."""
    relay, ports = _begun()
    best = float("inf")
    for _ in range(50):
        started = time.process_time()
        for _ in range(statements // 50):
            relay.from_client(sent)
            relay.from_server(answer)
        best = min(best, (time.process_time() - started) / (statements // 50))
    assert ports.ends == ports.number > 0
    return best * 1_000_000


def big_result_mb_s(chunk_bytes: int = 65_536) -> float:
    """Return the megabytes of rows of 100 bytes a second."""
    relay, _ = _begun()
    relay.from_client(_SIMPLE)
    row = DataRow((b"x" * 93,)).build()
    whole = row * (chunk_bytes // len(row))
    chunks = 500
    started = time.process_time()
    for _ in range(chunks):
        relay.from_server(whole)
    return chunks * len(whole) / (time.process_time() - started) / 1_000_000


def main() -> None:
    """Print the figures; with `--profile` where the time goes."""
    for name, sent, answer in (
        ("simple, spliced, text seen before", _SIMPLE, _SIMPLE_ANSWER),
        ("parse, bind, execute, sync", _UNNAMED, _UNNAMED_ANSWER),
        ("bind, execute, sync of a prepared one", _PREPARED, _PREPARED_ANSWER),
    ):
        took = round_trip_us(sent, answer)
        print(f"{name}: {took:.1f} us ({'met' if took < AIM_US else 'missed'}: {AIM_US} us)")
        if "--profile" in sys.argv:
            profile = cProfile.Profile()
            profile.runcall(round_trip_us, sent, answer, 20_000)
            pstats.Stats(profile).sort_stats("tottime").print_stats(22)
    print(f"rows of 100 bytes: {big_result_mb_s():.0f} MB/s")


if __name__ == "__main__":
    main()
