"""Fuzz PostgreSQL's protocol: `python -m tests.fuzz.wire FOLDER`.

The folder keeps what was found to reach new code; it begins with the transcripts. Options are
libFuzzer's: `-max_total_time=600` ends it after ten minutes. It stops at the first input that
raises anything but a violation, reads differently when it is cut, or lets anybody in.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

from daypass.domain.errors import Error
from daypass.domain.secret import Secret
from tests import transcripts

with atheris.instrument_imports(include=["daypass.engines.postgres.wire"]):
    from daypass.engines.postgres.wire import authentication, server_messages, startup
    from daypass.engines.postgres.wire.client_messages import (
        SaslInitialResponse,
        read_client_message,
    )
    from daypass.engines.postgres.wire.framing import ClientReader, ServerWalker
    from daypass.engines.postgres.wire.greeting import EARLY_BYTES, PostgresGreeting
    from daypass.engines.postgres.wire.sign_in import SignedIn, SignIn
    from daypass.engines.postgres.wire.violation import ProtocolViolation
    from daypass.engines.relay_contract import Identified, Proven, StartTls, Unproven

_READERS: list[Callable[[bytes], object]] = [
    read_client_message,
    SaslInitialResponse.read,
    startup.read_startup_packet,
    authentication.read_authentication,
    authentication.BackendKeyData.read,
    authentication.NegotiateProtocolVersion.read,
    server_messages.Report.read,
    server_messages.ParameterStatus.read,
    server_messages.ReadyForQuery.read,
    server_messages.CommandComplete.read,
    server_messages.RowDescription.read,
    server_messages.ParameterDescription.read,
    server_messages.DataRow.read,
    server_messages.CopyResponse.read,
    server_messages.NotificationResponse.read,
]


class Wrong(Exception):
    """What must not happen did."""


def one(data: bytes) -> None:
    """Try one input: its first byte chooses what it is tried on, its second how."""
    if len(data) > 2:
        _TRIALS[data[0] % len(_TRIALS)](data[2:], data[1])


def _bodies(data: bytes, _how: int) -> None:
    for read in _READERS:
        with contextlib.suppress(ProtocolViolation):
            read(data)


def _frames(data: bytes, how: int) -> None:
    cut = how * len(data) // 255
    walker, other = ServerWalker(1000), ServerWalker(1000)
    whole, parts = walker.walk(data), [other.walk(data[:cut]), other.walk(data[cut:])]
    if whole.data[: whole.end] != b"".join(each.data[: each.end] for each in parts):
        raise Wrong("forwarded differently")
    if len(whole.marks) != sum(len(each.marks) for each in parts):
        raise Wrong("marked differently")
    reader, second = ClientReader(1000), ClientReader(1000)
    found, cut_up = reader.receive(data), second.receive(data[:cut]) + second.receive(data[cut:])
    if b"".join(each.raw for each in found) != b"".join(each.raw for each in cut_up):
        raise Wrong("gathered differently")


def _greeting(data: bytes, how: int) -> None:
    greeting = PostgresGreeting(tls=("required", "offered", "none")[how % 3], nonce="n")
    at = 0
    while at < len(data):
        size = _packet_size(data[at : at + 5])
        for event in greeting.receive(data[at : at + size]):
            match event:
                case StartTls():
                    greeting.tls_started(b"")
                case Identified():
                    greeting.challenge(b"salt", 1, ())
                case Unproven():
                    greeting.refuse(Error("no"))
                case Proven():
                    raise Wrong("let in without any verifier")
                case _:
                    pass
        if greeting.held_bytes > EARLY_BYTES:
            raise Wrong("kept too much")
        greeting.outgoing()
        at += size


def _packet_size(header: bytes) -> int:
    proof = header[:1] == b"p"
    size = int.from_bytes(header[1:5]) + 1 if proof else int.from_bytes(header[:4])
    return size if 0 < size < 5000 else 7


def _sign_in(data: bytes, how: int) -> None:
    sign_in = SignIn(
        user="a",
        database="b",
        password=Secret("c"),
        application="d",
        settings=(),
        tls=("none", "offered")[how % 2],
        nonce="n",
    )
    for at in range(0, len(data), 50):
        sign_in.outgoing()
        for event in sign_in.receive(data[at : at + 50]):
            if isinstance(event, SignedIn):
                raise Wrong("signed in to a server that knows no password")
            if isinstance(event, StartTls):
                sign_in.tls_started(b"")


_TRIALS: tuple[Callable[[bytes, int], None], ...] = (_bodies, _frames, _greeting, _sign_in)


def _begin(folder: Path) -> None:
    """Put the transcripts where the fuzzer begins from."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = []
    for name in transcripts.names(""):
        client, server = (transcripts.read(name).bytes_of(side) for side in "CS")
        inputs += [b"\1\x80" + client, b"\1\x80" + server, b"\2\1" + client, b"\3\0" + server]
        if name.startswith("session_"):
            both = transcripts.messages(client) + transcripts.messages(server)
            inputs += [b"\0\0" + each for each in both]
    for number, each in enumerate(inputs):
        (folder / f"transcript-{number}").write_bytes(each)


if __name__ == "__main__":
    _begin(Path(next(each for each in sys.argv[1:] if not each.startswith("-"))))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
