"""Processor time of Daypass and both servers: what wall time on a busy machine does not tell."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.figures import Figure
from bench.place import Place
from daypass.embedded import Cluster
from daypass.embedded.postmaster import read_postmaster

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Meter:
    """Adds up what the blocks it is put around take."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._total: dict[str, float] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is done inside."""
        before = self._read()
        yield
        after = self._read()
        for name, seconds in after.items():
            self._total[name] = self._total.get(name, 0.0) + seconds - before[name]

    def figure(self, section: str, what: str, count: int, *, note: str = "") -> Figure:
        """Return the milliseconds of each, for one of `count`."""
        values = {name: seconds / count * 1e3 for name, seconds in self._total.items()}
        values["sum"] = sum(values.values())
        return Figure(section, f"   processor time {what}", "ms", values, count, {}, note)

    def _read(self) -> dict[str, float]:
        return {
            "daypass": time.process_time(),
            "store": server_s(self._place.store),
            "target": server_s(self._place.company.cluster),
        }


def processor_s(pid: int) -> float:
    """Return what a process has taken, those that it has started included."""
    ticks = 0
    for number, fields in _processes():
        if number == pid or int(fields[1]) == pid:
            ticks += int(fields[11]) + int(fields[12])
    return ticks * _TICK_S


def server_s(cluster: Cluster) -> float:
    """Return what a server's processes have taken, those that have ended included."""
    server = read_postmaster(cluster.data_dir)
    if server is None:
        raise RuntimeError("the server does not run")
    ticks = 0
    for number, fields in _processes():
        if number == server.pid:
            ticks += sum(int(each) for each in fields[11:15])
        elif int(fields[1]) == server.pid:
            ticks += int(fields[11]) + int(fields[12])
    return ticks * _TICK_S


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Yield every process and its fields of proc(5) from its state on: parent is the next."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                yield int(folder.name), fields
