"""A real TCP proxy that breaks connections at a chosen message, in every way a network can."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from tests.faults.framing import Conversation, Message, Way

_CHUNK: Final = 65_536
_SPLIT_BYTES: Final = 400


class Fault(StrEnum):
    """What happens to a connection. *Inner* is the gateway's end, *outer* the other's."""

    CUT = "cut"
    """Both ends get a reset."""
    HALF_CLOSE = "half close"
    """The inner end gets a FIN, and what it sends still arrives."""
    BLACKHOLE = "blackhole"
    """Nothing passes any more, and nobody is told."""
    DEAF = "deaf"
    """Nothing reaches the inner end."""
    MUTE = "mute"
    """Nothing the inner end sends arrives."""
    DELAY = "delay"
    """All of it waits for a while."""
    SPLIT = "split"
    """Each of the next bytes comes by itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """A message of a connection, before which or within which something happens."""

    way: Way
    name: str
    nth: int
    within: bool

    def __str__(self) -> str:
        where = "within" if self.within else "before"
        return f"{where} {self.way.value}:{self.name}#{self.nth}"


@dataclass(slots=True)
class Trap:
    """Stops a connection at a place, and tells who set it; `at_once` happens then."""

    place: Place
    at_once: Fault | None = None
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    connection: Connection | None = None


class Connection:
    """One connection through a proxy."""

    def __init__(
        self,
        proxy: Proxy,
        accepted: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        onward: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.said = Conversation()
        self.seen: list[Message] = []
        """What was passed on."""
        self.tag = ""
        self.trap: Trap | None = None
        self._proxy = proxy
        self._ends = {Way.CLIENT: accepted, Way.SERVER: onward}
        self._may_pass = {way: asyncio.Event() for way in Way}
        for each in self._may_pass.values():
            each.set()
        self._split_bytes = 0
        self._inner = Way.SERVER if proxy.inner_accepts else Way.CLIENT

    def hold(self) -> None:
        """Let nothing pass for now."""
        for each in self._may_pass.values():
            each.clear()

    def release(self) -> None:
        """Let everything pass."""
        for each in self._may_pass.values():
            each.set()

    def suffer(self, fault: Fault) -> None:
        """Let a fault happen to this connection from now on."""
        other = Way.CLIENT if self._inner is Way.SERVER else Way.SERVER
        match fault:
            case Fault.CUT:
                self.close()
            case Fault.HALF_CLOSE:
                with contextlib.suppress(OSError):
                    self._ends[self._inner][1].write_eof()
                self._may_pass[self._inner].set()
            case Fault.BLACKHOLE:
                self.hold()
            case Fault.DEAF:
                self._may_pass[self._inner].set()
            case Fault.MUTE:
                self._may_pass[other].set()
            case Fault.DELAY:
                asyncio.get_running_loop().call_later(0.4, self.release)
            case Fault.SPLIT:
                self._split_bytes = _SPLIT_BYTES
                self.release()

    async def run(self) -> None:
        """Pass on until both ends are over."""
        async with asyncio.TaskGroup() as group:
            for way in Way:
                group.create_task(self._pump(way))

    def close(self) -> None:
        """End it at once."""
        for _, writer in self._ends.values():
            reset(writer)
        self.release()

    async def _pump(self, way: Way) -> None:
        other = Way.SERVER if way is Way.CLIENT else Way.CLIENT
        reader, writer = self._ends[way][0], self._ends[other][1]
        try:
            while data := await reader.read(_CHUNK):
                await self._may_pass[way].wait()
                await self._pass_on(way, data, writer)
            await self._may_pass[way].wait()
            if not writer.is_closing():
                writer.write_eof()
        except OSError:
            await self._may_pass[way].wait()
            reset(writer)

    async def _pass_on(self, way: Way, data: bytes, writer: asyncio.StreamWriter) -> None:
        if not self._proxy.reads:
            writer.write(data)
            await writer.drain()
            return
        for message in self.said.feed(way, data):
            self._proxy.meet(self)
            trap, raw = self.trap, message.raw
            if trap is not None and not trap.sprung.is_set() and _is_at(trap.place, message):
                if trap.place.within:
                    half = len(raw) // 2
                    writer.write(raw[:half])
                    await writer.drain()
                    raw = raw[half:]
                self.hold()
                trap.connection = self
                trap.sprung.set()
                if trap.at_once is not None:
                    self.suffer(trap.at_once)
            await self._may_pass[way].wait()
            if writer.is_closing():
                return
            while self._split_bytes and raw:
                self._split_bytes -= 1
                writer.write(raw[:1])
                await asyncio.sleep(0)
                raw = raw[1:]
            writer.write(raw)
            await writer.drain()
            self.seen.append(message)


def _is_at(place: Place, message: Message) -> bool:
    return (place.way, place.name, place.nth) == (message.way, message.name, message.nth)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset: what was not read is lost, as when a machine goes."""
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.is_closing():
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    """Listens, and leads every connection on to one address.

    `inner_accepts`: the gateway is behind it (clients connect to it); else the gateway connects.
    `whose` names the connection once its first message is read, and may set its trap.
    """

    def __init__(
        self,
        to: tuple[str, int],
        *,
        inner_accepts: bool,
        reads: bool = True,
        whose: Callable[[Connection], tuple[str, Trap | None]] | None = None,
    ) -> None:
        self.to = to
        self.inner_accepts = inner_accepts
        self.reads = reads
        self.connections: list[Connection] = []
        """In the order in which they came; those that are over too."""
        self.open: set[Connection] = set()
        self.refusing = False
        self.swallowing = False
        """New connections get no answer: the machine behind is gone, its network too."""
        self.whose = whose
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Return where it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, backlog=1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for each in tuple(self.open):
            each.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def all_suffer(self, fault: Fault) -> None:
        """Let a fault happen to every connection there is."""
        for each in tuple(self.open):
            each.suffer(fault)

    def heal(self) -> None:
        """Let everything pass that still can."""
        self.refusing = self.swallowing = False
        for each in tuple(self.open):
            each.release()

    def meet(self, connection: Connection) -> None:
        """Find out whose a connection is, by its first word."""
        if self.whose is not None and not connection.tag:
            connection.tag, connection.trap = self.whose(connection)

    def of(self, tag: str) -> Iterator[Connection]:
        """Return the connections of a tag."""
        return (each for each in self.connections if each.tag == tag)

    def forget(self) -> None:
        """Forget connections that are over."""
        self.connections = [each for each in self.connections if each in self.open]

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._lead(reader, writer)
        except (OSError, asyncio.CancelledError):
            reset(writer)
        finally:
            self._tasks.discard(task)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            reset(writer)
            return
        while self.swallowing:  # noqa: ASYNC110 - nobody has an event for it
            await asyncio.sleep(0.02)
        onward = await asyncio.open_connection(*self.to)
        for each in (writer, onward[1]):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, (reader, writer), onward)
        self.connections.append(connection)
        self.open.add(connection)
        try:
            await connection.run()
        finally:
            self.open.discard(connection)
            for end in (writer, onward[1]):
                end.close()
