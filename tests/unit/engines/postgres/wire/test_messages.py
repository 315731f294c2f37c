"""Messages: what is built is read again, so is what was captured, and what is wrong is named."""

import contextlib
from collections.abc import Callable
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daypass.engines.postgres.wire import authentication, server_messages
from daypass.engines.postgres.wire.authentication import (
    AuthenticationOk,
    AuthenticationOther,
    AuthenticationSasl,
    AuthenticationSaslContinue,
    AuthenticationSaslFinal,
    BackendKeyData,
    NegotiateProtocolVersion,
    read_authentication,
)
from daypass.engines.postgres.wire.body import int16, int32, message
from daypass.engines.postgres.wire.client_messages import (
    Bind,
    ClientMessage,
    Close,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    Execute,
    Flush,
    FunctionCall,
    Parse,
    Query,
    SaslInitialResponse,
    SaslResponse,
    Sync,
    Terminate,
    read_client_message,
)
from daypass.engines.postgres.wire.server_messages import (
    Column,
    CommandComplete,
    CopyResponse,
    DataRow,
    NotificationResponse,
    ParameterDescription,
    ParameterStatus,
    ReadyForQuery,
    Report,
    RowDescription,
)
from daypass.engines.postgres.wire.violation import ProtocolViolation
from tests import transcripts

_SESSIONS = transcripts.names("session_")

_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_bytes = st.binary(max_size=20)
_int32 = st.integers(-(2**31), 2**31 - 1)
_oid = st.integers(0, 2**32 - 1)
_format = st.integers(0, 1)
_many = st.integers(0, 4)


class _Built(Protocol):
    def build(self) -> bytes: ...


def _tuples(of: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(of, max_size=5).map(tuple)


_values = _tuples(st.none() | _bytes)
_formats = st.sampled_from([(), (0,), (1,)])
_of_clients = st.one_of(
    st.builds(Query, _text),
    st.builds(Parse, _text, _text, _tuples(_oid)),
    st.builds(Bind, _text, _text, _formats, _values, _tuples(_format)),
    st.builds(Describe, st.sampled_from("SP"), _text),
    st.builds(Close, st.sampled_from("SP"), _text),
    st.builds(Execute, _text, _int32),
    st.builds(FunctionCall, _oid, _formats, _values, _format),
    st.builds(CopyData, _bytes),
    st.builds(CopyFail, _text),
    st.sampled_from([Sync(), Flush(), Terminate(), CopyDone()]),
)
_raw_text = _text.map(str.encode)
_column = st.builds(Column, _text, _oid, _format, _oid, _format, _int32, _format)
_of_servers = st.one_of(
    st.builds(
        Report, st.sampled_from("EN"), _tuples(st.tuples(st.sampled_from("SVCMDHPpq"), _raw_text))
    ),
    st.builds(ParameterStatus, _text, _text),
    st.builds(ReadyForQuery, st.sampled_from(b"ITE")),
    st.builds(CommandComplete, _text),
    st.builds(RowDescription, _tuples(_column)),
    st.builds(ParameterDescription, _tuples(_oid)),
    st.builds(DataRow, _values),
    st.builds(CopyResponse, st.sampled_from("GHW"), _format, _tuples(_format)),
    st.builds(NotificationResponse, _int32, _text, _text),
    st.builds(BackendKeyData, _int32, st.binary(min_size=4, max_size=256)),
    st.builds(NegotiateProtocolVersion, _many, _tuples(_text)),
)
_READERS: dict[int, Callable[[bytes], _Built]] = {
    ord("E"): Report.read,
    ord("N"): Report.read,
    ord("S"): ParameterStatus.read,
    ord("Z"): ReadyForQuery.read,
    ord("C"): CommandComplete.read,
    ord("T"): RowDescription.read,
    ord("t"): ParameterDescription.read,
    ord("D"): DataRow.read,
    ord("G"): CopyResponse.read,
    ord("H"): CopyResponse.read,
    ord("W"): CopyResponse.read,
    ord("A"): NotificationResponse.read,
    ord("K"): BackendKeyData.read,
    ord("v"): NegotiateProtocolVersion.read,
}
_WITHOUT_BODY = b"123Insc"


@given(_of_clients)
@settings(max_examples=150, deadline=None)
def test_what_is_built_for_a_server_is_read_again(built: ClientMessage) -> None:
    assert read_client_message(built.build()) == built


@given(_of_servers)
@settings(max_examples=150, deadline=None)
def test_what_is_built_for_a_client_is_read_again(built: Report) -> None:
    raw = built.build()
    assert _READERS[raw[0]](raw) == built


@pytest.mark.parametrize(
    "built",
    [
        AuthenticationOk(),
        AuthenticationSasl(("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")),
        AuthenticationSaslContinue(b"r=x,s=y"),
        AuthenticationSaslFinal(b"v=z"),
    ],
)
def test_authentication_is_read_again(
    built: AuthenticationOk | AuthenticationSasl | AuthenticationSaslContinue,
) -> None:
    assert read_authentication(built.build()) == built


def test_sasl_is_read_again() -> None:
    for data in (None, b"", b"n,,n=,r=x"):
        built = SaslInitialResponse("SCRAM-SHA-256", data)
        assert SaslInitialResponse.read(built.build()) == built
    assert SaslResponse.read(SaslResponse(b"c=").build()) == SaslResponse(b"c=")


@pytest.mark.parametrize("name", _SESSIONS)
def test_what_was_captured_is_built_again_byte_for_byte(name: str) -> None:
    transcript = transcripts.read(name)
    for raw in transcripts.messages(transcript.bytes_of("C")):
        assert read_client_message(raw).build() == raw
    for raw in transcripts.messages(transcript.bytes_of("S")):
        if raw[0] in _WITHOUT_BODY:
            assert raw == message(raw[:1])
        elif raw[:1] != b"d":
            assert _READERS[raw[0]](raw).build() == raw


@given(
    st.sampled_from(_SESSIONS),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.binary(max_size=3),
)
@settings(max_examples=100, deadline=None)
def test_whatever_a_message_holds_it_is_read_or_refused(
    name: str, which: int, at: int, instead: bytes
) -> None:
    for side in "CS":
        raws = transcripts.messages(transcripts.read(name).bytes_of(side))
        raw = bytearray(raws[which % len(raws)])
        place = at % len(raw)
        raw[place : place + len(instead)] = instead
        # With the right length too, or every one would fail on that alone.
        for data in (bytes(raw), bytes(raw[:1]) + int32(len(raw) - 1) + bytes(raw[5:])):
            _try(data)


def _try(raw: bytes) -> None:
    readers: list[Callable[[bytes], object]] = [read_client_message, read_authentication]
    readers += [_READERS[raw[0]]] if raw and raw[0] in _READERS else []
    readers += [SaslInitialResponse.read, SaslResponse.read]
    for reader in readers:
        with contextlib.suppress(ProtocolViolation):
            reader(raw)


_MALFORMED: list[tuple[Callable[[bytes], object], bytes, str]] = [
    (read_client_message, b"", "kind unknown"),
    (read_client_message, b"Q", "length is not"),
    (read_client_message, b"Q" + int32(4), "text without its end"),
    (read_client_message, message(b"Q", b"select 1"), "text without its end"),
    (read_client_message, message(b"Q", b"select 1\0;"), "1 bytes too many"),
    (read_client_message, message(b"Q", b"select '\xff'\0"), "text is not UTF-8, at byte 13"),
    (read_client_message, message(b"Q", b"\xed\xa0\x80\0"), "not UTF-8"),
    (read_client_message, message(b"Q", b"\xc0\x80\0"), "not UTF-8"),
    (read_client_message, b"Q" + int32(99) + b"\0", "length is not"),
    (read_client_message, message(b"p", b"secret\0"), "kind unknown"),
    (read_client_message, message(b"R", int32(0)), "kind unknown"),
    (read_client_message, message(b"\0"), "kind unknown"),
    (read_client_message, message(b"P", b"name"), "name without its end"),
    (read_client_message, message(b"P", b"name\0text"), "text without its end"),
    (read_client_message, message(b"P", b"\0\0"), "types missing"),
    (read_client_message, message(b"P", b"\0\0\0"), "types missing"),
    (read_client_message, message(b"P", b"\0\0\0\1"), "1 types, more than fit"),
    (read_client_message, message(b"P", b"\0\0\xff\xff" + bytes(8)), "65535 types, more"),
    (read_client_message, message(b"P", b"\0\0\0\0\0"), "1 bytes too many"),
    (read_client_message, message(b"P", b"\xfe\0\0\0\0"), "name is not UTF-8"),
    (read_client_message, message(b"B"), "portal without its end"),
    (read_client_message, message(b"B", b"\0"), "statement without its end"),
    (read_client_message, message(b"B", b"\0\0"), "formats missing"),
    (read_client_message, message(b"B", b"\0\0\0\1"), "1 formats, more than fit"),
    (read_client_message, message(b"B", b"\0\0\0\1\0\2\0\0\0\0"), "other than text and binary"),
    (read_client_message, message(b"B", b"\0\0\0\1\xff\xff\0\0\0\0"), "other than text"),
    (read_client_message, message(b"B", b"\0\0\0\0"), "values missing"),
    (read_client_message, message(b"B", b"\0\0\0\0\0\1"), "1 values, more than fit"),
    (read_client_message, message(b"B", b"\0\0\0\0\0\1", int32(5), b"four"), "a value missing"),
    (read_client_message, message(b"B", b"\0\0\0\0\0\1", int32(-2), b"\0\0"), "a value missing"),
    (read_client_message, message(b"B", b"\0\0\0\0\0\1", int32(-(2**31))), "a value missing"),
    (read_client_message, message(b"B", b"\0\0\0\0\0\1", int32(2**31 - 1)), "a value missing"),
    (read_client_message, message(b"B", b"\0\0\0\2\0\0\0\1\0\0\0\0"), "2 formats for 0 values"),
    (read_client_message, message(b"B", b"\0\0\0\0\0\0"), "result formats missing"),
    (read_client_message, message(b"B", b"\0\0\0\0\0\0\0\1\0\3"), "other than text and binary"),
    (read_client_message, message(b"B", b"\0\0\0\0\0\0\0\0\0"), "1 bytes too many"),
    (read_client_message, message(b"D"), "what it names missing"),
    (read_client_message, message(b"D", b"X\0"), "neither a statement nor a portal"),
    (read_client_message, message(b"D", b"S"), "name without its end"),
    (read_client_message, message(b"D", b"Sx\0y"), "1 bytes too many"),
    (read_client_message, message(b"C", b"s\0"), "neither a statement nor a portal"),
    (read_client_message, message(b"C", b"P\xff\0"), "not UTF-8"),
    (read_client_message, message(b"E", b"\0"), "rows missing"),
    (read_client_message, message(b"E", b"\0\0\0\0"), "rows missing"),
    (read_client_message, message(b"E", b"\0", int32(0), b"x"), "1 bytes too many"),
    (read_client_message, message(b"S", b"\0"), "1 bytes too many"),
    (read_client_message, message(b"H", b"\0"), "1 bytes too many"),
    (read_client_message, message(b"X", b"X"), "1 bytes too many"),
    (read_client_message, message(b"c", b"\0"), "1 bytes too many"),
    (read_client_message, message(b"f"), "reason without its end"),
    (read_client_message, message(b"F"), "function missing"),
    (read_client_message, message(b"F", int32(1), int16(0), int16(9)), "9 values, more than fit"),
    (read_client_message, message(b"F", int32(1), int16(0), int16(0)), "result format missing"),
    (SaslInitialResponse.read, message(b"p", b"SCRAM-SHA-256"), "mechanism without its end"),
    (SaslInitialResponse.read, message(b"p", b"SCRAM-SHA-256\0"), "data missing"),
    (SaslInitialResponse.read, message(b"p", b"x\0", int32(9), b"n"), "data missing"),
    (SaslInitialResponse.read, message(b"p", b"x\0", int32(-3)), "data missing"),
    (SaslInitialResponse.read, message(b"p", b"x\0", int32(0), b"n"), "1 bytes too many"),
    (SaslInitialResponse.read, message(b"Q", b"x\0"), "expected, not kind 'Q'"),
    (Report.read, message(b"E"), "a field missing"),
    (Report.read, message(b"E", b"S"), "a field without its end"),
    (Report.read, message(b"E", b"Sx\0"), "a field missing"),
    (Report.read, message(b"N", b"\0\0"), "1 bytes too many"),
    (Report.read, message(b"Z", b"I"), "expected, not kind 'Z'"),
    (ParameterStatus.read, message(b"S", b"name"), "name without its end"),
    (ParameterStatus.read, message(b"S", b"name\0value"), "value without its end"),
    (ReadyForQuery.read, message(b"Z"), "status missing"),
    (ReadyForQuery.read, message(b"Z", b"X"), "unknown status"),
    (ReadyForQuery.read, message(b"Z", b"II"), "1 bytes too many"),
    (CommandComplete.read, message(b"C", b"SELECT 1"), "tag without its end"),
    (RowDescription.read, message(b"T"), "columns missing"),
    (RowDescription.read, message(b"T", int16(-1)), "65535 columns, more than fit"),
    (RowDescription.read, message(b"T", int16(1), b"a" * 19), "name without its end"),
    (RowDescription.read, message(b"T", int16(1), b"a" * 10 + bytes(9)), "table missing|type"),
    (ParameterDescription.read, message(b"t", int16(2), int32(23)), "2 types, more than fit"),
    (DataRow.read, message(b"D", int16(1)), "1 values, more than fit"),
    (DataRow.read, message(b"D", int16(1), int32(3), b"ab"), "a value missing"),
    (CopyResponse.read, message(b"G"), "format missing"),
    (CopyResponse.read, message(b"H", b"\0", int16(5)), "5 formats, more than fit"),
    (CopyResponse.read, message(b"D"), "expected"),
    (NotificationResponse.read, message(b"A", int32(1), b"c\0"), "payload without its end"),
    (BackendKeyData.read, message(b"K", int32(1)), "cancel key of 0 bytes"),
    (BackendKeyData.read, message(b"K", int32(1), bytes(257)), "cancel key of 257 bytes"),
    (NegotiateProtocolVersion.read, message(b"v", int32(2 << 16), int32(0)), "other than 3"),
    (NegotiateProtocolVersion.read, message(b"v", int32(2), int32(-1)), "-1 options"),
    (NegotiateProtocolVersion.read, message(b"v", int32(2), int32(2**31 - 1)), "more than fit"),
    (read_authentication, message(b"R"), "kind missing"),
    (read_authentication, message(b"R", int32(0), b"x"), "1 bytes too many"),
    (read_authentication, message(b"R", int32(10)), "a mechanism without its end"),
    (read_authentication, message(b"R", int32(10), b"X\0"), "a mechanism without its end"),
]


@pytest.mark.parametrize(("reader", "raw", "said"), _MALFORMED)
def test_malformed(reader: Callable[[bytes], object], raw: bytes, said: str) -> None:
    with pytest.raises(ProtocolViolation, match=said) as caught:
        reader(raw)
    assert caught.value.sqlstate == ("22021" if "UTF-8" in said else "08P01")
    assert "secret" not in caught.value.message


def test_an_authentication_not_spoken_here_is_named() -> None:
    asked = read_authentication(message(b"R", int32(5), b"salt"))
    assert isinstance(asked, AuthenticationOther)
    assert asked.name == "an MD5 password"
    assert authentication.AuthenticationOther(99).name == "authentication of kind 99"


def test_reports() -> None:
    report = Report.of("ERROR", "42501", "no\0t you", hint="ask", position=12)
    assert report.build() == message(b"E", b"SERROR\0VERROR\0C42501\0Mnot you\0Hask\0P12\0", b"\0")
    assert (report.severity, report.sqlstate, report.message) == ("ERROR", "42501", "not you")
    assert report.position == 12
    assert report.with_field("P", "7").position == 7
    assert Report.of("WARNING", "01000", "mind").kind == "N"
    foreign = Report("E", (("S", b"FEHLER"), ("M", b"\xfc\xff"), ("P", b"\xb2")))
    assert foreign.severity == "FEHLER"
    assert foreign.message == "\ufffd\ufffd"
    assert foreign.position is None
    assert foreign.with_field("S", "ERROR").fields[1] == ("M", b"\xfc\xff")


def test_rows_of_a_command() -> None:
    for tag, rows in (("INSERT 0 5", 5), ("SELECT 12", 12), ("BEGIN", None), ("COPY \u00b2", None)):
        assert CommandComplete(tag).rows == rows


def test_formats_of_values() -> None:
    assert [Bind("", "", (), (b"1", b"2")).format_of(each) for each in (0, 1)] == [0, 0]
    assert [Bind("", "", (1,), (b"1", b"2")).format_of(each) for each in (0, 1)] == [1, 1]
    assert [Bind("", "", (0, 1), (b"1", b"2")).format_of(each) for each in (0, 1)] == [0, 1]


@pytest.mark.parametrize(
    "build",
    [
        lambda: Query("a\0b").build(),
        lambda: Parse("", "", (1,) * 65_536).build(),
        lambda: ParameterStatus("a", "b\0").build(),
        lambda: server_messages.Report("E", (("M", b"\0"),)).build(),
    ],
)
def test_what_would_be_read_as_something_else_is_not_built(build: Callable[[], bytes]) -> None:
    with pytest.raises(ValueError, match=r"zero byte|more things"):
        build()
