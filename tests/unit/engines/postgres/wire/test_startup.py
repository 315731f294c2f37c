"""First packets and the options in them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daypass.engines.postgres.wire.body import int32
from daypass.engines.postgres.wire.identity import hello_of
from daypass.engines.postgres.wire.startup import (
    STARTUP_BYTES,
    CancelRequest,
    GssRequest,
    SslRequest,
    Startup,
    join_options,
    option_settings,
    packet_length,
    read_startup_packet,
    split_options,
)
from daypass.engines.postgres.wire.violation import ProtocolViolation


def _packet(code: int, rest: bytes = b"") -> bytes:
    return int32(8 + len(rest)) + code.to_bytes(4) + rest


@pytest.mark.parametrize(
    "packet",
    [
        SslRequest(),
        GssRequest(),
        CancelRequest(-5, b"1234"),
        CancelRequest(2**31 - 1, bytes(256)),
        Startup(0, (("user", "alice"), ("database", "a/b"))),
        Startup(2, ()),
        Startup(9999, (("_pq_.x", ""), ("user", "größe"))),
    ],
)
def test_what_is_built_is_read_again(packet: Startup) -> None:
    assert read_startup_packet(packet.build()) == packet


@pytest.mark.parametrize(
    ("raw", "said", "sqlstate"),
    [
        (b"", "length", "08P01"),
        (int32(7), "invalid length", "08P01"),
        (int32(-1) + bytes(4), "invalid length", "08P01"),
        (int32(STARTUP_BYTES + 1), "invalid length", "08P01"),
        (b"GET / HTTP/1.1\r\n\r\n", "PostgreSQL's protocol", "08P01"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "PostgreSQL's protocol", "08P01"),
        (int32(9) + bytes(4), "length is not", "08P01"),
        (_packet(0), "protocol 0.0", "0A000"),
        (_packet(2 << 16, b"alice\0"), "protocol 2.0", "0A000"),
        (_packet(4 << 16), "protocol 4.0", "0A000"),
        (_packet(80877101), "protocol 1234.5677", "0A000"),
        (_packet(80877103, b"x"), "1 bytes too many", "08P01"),
        (_packet(80877104, b"x"), "1 bytes too many", "08P01"),
        (_packet(80877102), "backend missing", "08P01"),
        (_packet(80877102, int32(1)), "key of 0 bytes", "08P01"),
        (_packet(80877102, int32(1) + b"123"), "key of 3 bytes", "08P01"),
        (_packet(80877102, int32(1) + bytes(257)), "key of 257 bytes", "08P01"),
        (_packet(3 << 16), "name without its end", "08P01"),
        (_packet(3 << 16, b"user"), "name without its end", "08P01"),
        (_packet(3 << 16, b"user\0alice"), "value without its end", "08P01"),
        (_packet(3 << 16, b"user\0alice\0"), "name without its end", "08P01"),
        (_packet(3 << 16, b"user\0alice\0\0x"), "1 bytes too many", "08P01"),
        (_packet(3 << 16, b"user\0\xff\0\0"), "not UTF-8", "22021"),
    ],
)
def test_malformed(raw: bytes, said: str, sqlstate: str) -> None:
    with pytest.raises(ProtocolViolation, match=said) as caught:
        read_startup_packet(raw)
    assert caught.value.sqlstate == sqlstate


def test_length_is_known_from_four_bytes() -> None:
    assert packet_length(b"\0\0\0") is None
    assert packet_length(int32(8)) == 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", ()),
        ("  -c  a=b ", ("-c", "a=b")),
        (r"-c a=b\ c", ("-c", "a=b c")),
        (r"-c a=b\\c", ("-c", r"a=b\c")),
        (r"-c a=\'x\'", ("-c", "a='x'")),
        ("-c\ta=1\n--b=2", ("-c", "a=1", "--b=2")),
        ("-c a='b c'", ("-c", "a='b", "c'")),
        ("a\\", ("a",)),
        (r"\ ", (" ",)),
    ],
)
def test_options_are_split_as_the_server_does(options: str, words: tuple[str, ...]) -> None:
    assert split_options(options) == words


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("-c a=1 -cb=2 --c-d=3", (("a", "1"), ("b", "2"), ("c_d", "3"))),
        ("-c a==", (("a", "="),)),
        ("-c a=", (("a", ""),)),
    ],
)
def test_settings_in_options(options: str, found: tuple[tuple[str, str], ...]) -> None:
    assert option_settings(options) == found


@pytest.mark.parametrize("options", ["-c", "-c a", "--a", "-c =b", "-d 5", "-fs", "a=b", "--", "-"])
def test_options_that_are_no_settings(options: str) -> None:
    with pytest.raises(ProtocolViolation, match="options") as caught:
        option_settings(options)
    assert caught.value.sqlstate == "42601"


_names = st.text(st.characters(codec="utf-8", exclude_characters="=-\0"), min_size=1, max_size=8)
_values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(_names, _values), max_size=4).map(tuple))
@settings(max_examples=150, deadline=None)
def test_settings_joined_are_the_settings_found(said: tuple[tuple[str, str], ...]) -> None:
    assert option_settings(join_options(said)) == said


@pytest.mark.parametrize("name", ["", "a=b", "a-b"])
def test_a_setting_never_becomes_another(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        join_options(((name, "x"),))


def _hello(*parameters: tuple[str, str]) -> object:
    return hello_of(Startup(0, (("user", "alice"), *parameters)))


def test_who_somebody_says_it_is() -> None:
    hello = hello_of(
        Startup(
            0,
            (
                ("user", "alice@example.com"),
                ("database", "prod/shop"),
                ("options", r"-c daypass.grant=7 -c Daypass.Reason=INC\ 4 -c WORK_MEM=1MB"),
                ("application_name", "psql"),
                ("daypass.wait", "10m"),
                ("TimeZone", "UTC"),
                ("work_mem", "2MB"),
                ("_pq_.compression", "on"),
                ("replication", "false"),
            ),
        )
    )
    assert (hello.user, hello.database, hello.application) == (
        "alice@example.com",
        "prod/shop",
        "psql",
    )
    assert hello.asked == {"grant": "7", "reason": "INC 4", "wait": "10m"}
    assert hello.settings == (("timezone", "UTC"), ("work_mem", "2MB"))
    assert hello.replication is False


def test_the_database_is_the_users_unless_said() -> None:
    assert hello_of(Startup(0, (("user", "alice"),))).database == "alice"


@pytest.mark.parametrize(
    ("parameters", "sqlstate"),
    [
        ((("user", ""),), "28000"),
        ((("options", "-c user=admin"),), "42704"),
        ((("options", "-c DATABASE=other/db"),), "42704"),
        ((("options", "--replication=true"),), "42704"),
        ((("options", "-c options=x"),), "42704"),
        ((("User", "admin"),), "42704"),
        ((("DataBase", "other/db"),), "42704"),
        ((("a b", "x"),), "42704"),
        ((("a=b", "x"),), "42704"),
        ((("a-b", "x"),), "42704"),
        ((("-c", "x"),), "42704"),
        ((("a.", "x"),), "42704"),
        ((("replication", "database"),), "0A000"),
        ((("replication", "TRUE"),), "0A000"),
        ((("replication", "1"),), "0A000"),
        ((("replication", "nonsense"),), "0A000"),
    ],
)
def test_who_nobody_can_be(parameters: tuple[tuple[str, str], ...], sqlstate: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        _hello(*parameters)
    assert caught.value.sqlstate == sqlstate
