"""Framing: the same messages however they are cut, and nothing passed that is unknown."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daypass.engines.postgres.wire.body import int32, message
from daypass.engines.postgres.wire.framing import (
    LARGEST_LENGTH,
    SMALL_BYTES,
    ClientReader,
    ServerWalker,
)
from tests import transcripts

_SESSIONS = transcripts.names("session_")
_CUT = ["session_psql18", "session_psycopg_15"]

Seen = tuple[bytes, int, int]
"""A message that is not a row, and the rows and bytes of rows before it."""


def _walk(chunks: Iterable[bytes]) -> tuple[list[Seen], bytes, tuple[int, int], str]:
    """Return the marks, the bytes forwarded, the rows after the last mark, and the violation."""
    walker = ServerWalker(message_bytes=100_000)
    seen: list[Seen] = []
    forwarded = bytearray()
    rows = size = 0
    for chunk in chunks:
        walked = walker.walk(chunk)
        for kind, start, end, rows_before, size_before in walked.marks:
            raw = walked.data[start:end]
            assert raw[0] == kind
            assert end <= walked.end
            seen.append((raw, rows + rows_before, size + size_before))
            rows = size = 0
        rows += walked.rows
        size += walked.size
        forwarded += walked.data[: walked.end]
    return seen, bytes(forwarded), (rows, size), str(walker.violation or "")


def _plainly(data: bytes) -> tuple[list[Seen], tuple[int, int]]:
    seen: list[Seen] = []
    rows = size = 0
    for each in transcripts.messages(data):
        if each[:1] in (b"D", b"d"):
            rows, size = rows + 1, size + len(each) - 5
        else:
            seen.append((each, rows, size))
            rows = size = 0
    return seen, (rows, size)


def _receive(chunks: Iterable[bytes], message_bytes: int = 100_000) -> tuple[list[bytes], int, str]:
    """Return the messages, pieces of a copy joined, the rows begun, and the violation."""
    reader = ClientReader(message_bytes)
    found: list[bytes] = []
    copied = False
    rows = 0
    for chunk in chunks:
        for each in reader.receive(chunk):
            assert each.raw
            rows += each.rows
            if each.kind == ord("d"):
                found[-1:] = [found[-1] + each.raw] if copied else [*found[-1:], each.raw]
                copied = True
            else:
                assert each.raw[0] == each.kind
                assert (each.rows, each.size) == (0, 0)
                found.append(each.raw)
                copied = False
    return found, rows, str(reader.violation or "")


@pytest.mark.parametrize("name", _CUT)
def test_what_servers_sent_cut_at_every_byte(name: str) -> None:
    data = transcripts.read(name).bytes_of("S")
    seen, left = _plainly(data)
    assert len(seen) > 40
    assert _walk([data]) == (seen, data, left, "")
    for chunks in transcripts.cuts(data):
        assert _walk(chunks) == (seen, data, left, "")


@pytest.mark.parametrize("name", _CUT)
def test_what_clients_sent_cut_at_every_byte(name: str) -> None:
    data = transcripts.read(name).bytes_of("C")
    whole = _receive([data])
    assert b"".join(whole[0]) == data
    assert whole[1] == sum(each[:1] == b"d" for each in transcripts.messages(data)) > 0
    assert whole[2] == ""
    for chunks in transcripts.cuts(data):
        assert _receive(chunks) == whole


def test_a_chunk_without_loose_ends_is_the_very_chunk() -> None:
    chunk = message(b"D", b"\0\0") * 3 + message(b"C", b"SELECT 3\0") + message(b"Z", b"I")
    walked = ServerWalker().walk(chunk)
    assert walked.data is chunk
    assert walked.end == len(chunk)


def test_a_row_passes_in_pieces_and_a_message_does_not() -> None:
    walker = ServerWalker()
    row, end = message(b"D", bytes(1000)), message(b"C", b"SELECT 1\0")
    first = walker.walk(row[:600])
    assert (first.end, first.rows, first.size) == (600, 1, 1000)
    assert not walker.between
    second = walker.walk(row[600:] + end[:-1])
    assert (second.end, second.marks, second.rows) == (405, [], 0)
    assert walker.between
    third = walker.walk(end[-1:])
    assert third.data[: third.end] == end
    assert third.marks == [(ord("C"), 0, len(end), 0, 0)]


def test_a_message_gathered_from_many_chunks_is_copied_once() -> None:
    """A quadratic gatherer would take minutes."""
    notice = message(b"N", bytes(8 * 2**20))
    walker = ServerWalker()
    marks = []
    for at in range(0, len(notice), 64):
        marks += walker.walk(notice[at : at + 64]).marks
    assert marks == [(ord("N"), 0, len(notice), 0, 0)]


_OF_SERVERS = [
    *(
        bytes([kind]) + int32(8) + bytes(4)
        for kind in b"RKvpQPBXFSfHd\0\x16\xff"
        if kind not in b"SHd"
    ),
    *(b"C" + int32(length) for length in (-1, 0, 1, 3, -(2**31), 2**30)),
    *(b"D" + int32(length) for length in (-1, 0, 1, 3, -(2**31), LARGEST_LENGTH + 1)),
    *(bytes([kind]) + int32(100_000) for kind in b"CEGHINSTVWZAt"),
]


@pytest.mark.parametrize("bad", _OF_SERVERS, ids=repr)
def test_no_message_of_a_server(bad: bytes) -> None:
    good = message(b"N", b"\0") + message(b"D", b"\0\0") + message(b"Z", b"I")
    whole = _walk([good + bad])
    assert whole[1] == good
    assert whole[3]
    for chunks in transcripts.cuts(good + bad + message(b"Z", b"I")):
        assert _walk(chunks) == whole


_OF_CLIENTS = [
    *(bytes([kind]) + int32(8) + bytes(4) for kind in b"pRKZTN1\0\x16\xffGW"),
    *(b"Q" + int32(length) for length in (-1, 0, 1, 3, 100_000, 2**30, -(2**31))),
    *(b"d" + int32(length) for length in (-1, 0, 3, LARGEST_LENGTH + 1)),
    *(bytes([kind]) + int32(100_000) for kind in b"PBF"),
    *(bytes([kind]) + int32(SMALL_BYTES) for kind in b"CDEHSXcf"),
    b"GET / HTTP/1.1\r\n",
]


@pytest.mark.parametrize("bad", _OF_CLIENTS, ids=repr)
def test_no_message_of_a_client(bad: bytes) -> None:
    good = message(b"Q", b"select 1\0") + message(b"d", b"1\n") + message(b"c")
    whole = _receive([good + bad])
    assert b"".join(whole[0]) == good
    assert whole[2]
    for chunks in transcripts.cuts(good + bad + message(b"S")):
        assert _receive(chunks) == whole


def test_a_message_too_long_is_refused_by_its_header() -> None:
    reader = ClientReader(1000)
    assert reader.receive(b"Q" + int32(999)) == []
    assert reader.violation is None
    reader = ClientReader(1000)
    assert reader.receive(b"Q" + int32(1000)) == []
    assert reader.violation is not None
    assert reader.violation.sqlstate == "54000"


def test_copy_data_has_no_limit_but_the_protocols() -> None:
    reader = ClientReader(1000)
    found = reader.receive(b"d" + int32(500_000_000) + b"abc")
    assert found[0].raw.endswith(b"abc")
    assert (found[0].rows, found[0].size) == (1, 499_999_996)
    assert not reader.between
    assert reader.receive(b"Q" * 70_000)[0].raw == b"Q" * 70_000


_PIECES = st.one_of(
    st.binary(max_size=30),
    st.builds(
        message,
        st.sampled_from([bytes([kind]) for kind in b"123ACDdEGHINSTVWZcnstQPBFXf"]),
        st.binary(max_size=60),
    ),
)


@given(st.lists(_PIECES, max_size=8).map(b"".join), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_any_bytes_any_cuts(data: bytes, chance: random.Random) -> None:
    _try_any_cuts(data, chance)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_any_bytes_any_cuts_for_long(long_seconds: float) -> None:
    for chance, data in transcripts.mutations(_SESSIONS, long_seconds):
        _try_any_cuts(data, chance)


def _try_any_cuts(data: bytes, chance: random.Random) -> None:
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(6)))
    chunks = [
        data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)
    ]
    assert _walk([data]) == _walk(chunks)
    assert _receive([data]) == _receive(chunks)
    marks, forwarded, _, _ = _walk([data])
    assert data.startswith(forwarded)
    assert all(each[0] in data for each in marks)
