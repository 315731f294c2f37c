"""Fuzz a relay from both sides: `python -m tests.fuzz.relay FOLDER`.

An input is pieces of what a client and a server send, in any order. It stops at the first that
raises, that lets a message through which is none or is not one of the protocol's, or a text that
was not written down or would be denied, or that keeps more than it may.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["daypass.engines.postgres.relay"]):
    from daypass.engines.postgres.relay_judge import read_text
    from daypass.engines.relay_contract import RelayLimits, Started
    from tests import transcripts
    from tests.unit.engines.postgres.relay import script_server, talk

_BETWEEN: Final = b"\xfe\xfd"
_KNOWN: Final = b"BCDEHPQSXcdf"
_OURS: Final = "daypass denied this statement"
"""What fails on the server in the place of what is denied."""
_MOST_BYTES: Final = 200_000
_PLAN: Final = talk.plan()


class Wrong(Exception):
    """What must not happen did."""


def one(data: bytes) -> None:
    """Try one conversation: a piece's first byte says who sends it."""
    found = talk.Talk(limits=RelayLimits(message_bytes=_MOST_BYTES, rows=5, size_bytes=500))
    for piece in data.split(_BETWEEN):
        if found.closed:
            return
        if piece[:1] == b"S":
            found.relay.from_server(piece[1:])
        else:
            found.relay.from_client(piece[1:])
    if found.closed:
        return
    for message in _messages(bytes(found.server)):
        _look_at(message, found)


def _messages(data: bytes) -> Iterator[bytes]:
    while data:
        size = 1 + int.from_bytes(data[1:5], "big")
        if data[:1] == b"d" and size > len(data) >= 5:
            # Rows that are copied in go on as they come.
            return
        if len(data) < 5 or size < 5 or size > len(data):
            raise Wrong(f"no message: {data[:40]!r}")
        yield data[:size]
        data = data[size:]


def _look_at(message: bytes, found: talk.Talk) -> None:
    if message[:1] not in _KNOWN:
        raise Wrong(f"passed unread: {message[:40]!r}")
    if message[:1] not in (b"P", b"Q"):
        return
    # What is behind the text of a Parse decides about nothing: the server looks at it.
    parts = message[5:].split(b"\0")
    text = parts[0 if message[:1] == b"Q" else 1].decode()
    if text in (_OURS, ""):
        return
    if read_text(text, talk.plan().session_scope, _PLAN).refusal is not None:
        raise Wrong(f"denied, and sent: {text!r}")
    if message[:1] == b"Q" and not any(isinstance(each, Started) for each in found.log):
        raise Wrong(f"sent, and not written down: {text!r}")


def begin(folder: Path) -> None:
    """Put conversations where the fuzzer begins from."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = []
    for name in transcripts.names("session_"):
        client, server = (transcripts.read(name).bytes_of(side) for side in "CS")
        pieces = [b"C" + each for each in transcripts.messages(client)]
        answers = [b"S" + each for each in transcripts.messages(server)]
        inputs += [pieces, [each for pair in zip(pieces, answers, strict=False) for each in pair]]
    for text in (*script_server.TEXTS, "SELECT * FROM sales.orders", "DELETE FROM sales.orders"):
        asked = [b"C" + talk.query(text), b"S" + talk.ready()]
        steps = talk.parse(text, "a") + talk.bind(statement="a") + talk.execute() + talk.SYNC
        told = [b"C" + steps, b"S" + talk.PARSE_COMPLETE + talk.BIND_COMPLETE]
        done = [b"S" + talk.row("1") + talk.complete("SELECT 1") + talk.ready()]
        inputs += [asked, told + done, [*told, b"S" + talk.error("22012") + talk.ready("E")]]
    copied = [b"C" + talk.query(script_server.COPY), b"S" + talk.copy_in()]
    rows = [b"C" + talk.CopyData(b"1\n").build() + talk.COPY_DONE]
    inputs.append([*copied, *rows, b"S" + talk.complete("COPY 1") + talk.ready()])
    for number, each in enumerate(inputs):
        (folder / f"script-{number}").write_bytes(_BETWEEN.join(each))


if __name__ == "__main__":
    begin(Path(next(each for each in sys.argv[1:] if not each.startswith("-"))))
    atheris.Setup([*sys.argv, "-max_len=4096"], one)
    atheris.Fuzz()
