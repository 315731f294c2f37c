"""Counting connections and failures: nobody keeps another out, nothing grows for ever."""

import pytest

from daypass.domain.ids import SessionId
from daypass.gateway.keys import cancel_key, number_meant, number_of
from daypass.gateway.limits import ConnectionLimits, Places
from daypass.gateway.throttle import Pace, Throttle, network_of

SECRET = b"s" * 32


def test_places_are_counted_by_address_and_given_back() -> None:
    places = Places(ConnectionLimits(4, per_place=2, handshakes=3, handshakes_per_place=2))
    assert places.take("192.0.2.1") is None
    assert places.take("192.0.2.1") is None
    assert places.take("192.0.2.1") == "too many connections from this address"
    assert places.take("192.0.2.2") is None
    assert places.take("192.0.2.3") == "too many connections that have not signed in"
    places.greeted("192.0.2.1")
    assert places.take("192.0.2.3") is None
    assert places.take("192.0.2.4") == "too many connections"
    places.left("192.0.2.1")
    places.greeted("192.0.2.3")
    assert places.take("192.0.2.1") is None


def test_ipv6_counts_by_network_and_mapped_addresses_by_their_own() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1")
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("nonsense") == "nonsense"


def test_failures_slow_whoever_fails_where_they_fail() -> None:
    throttle = Throttle()
    for _ in range(8):
        throttle.failed("ada@example.com", "192.0.2.1", 100.0)
    assert throttle.wait_s("ada@example.com", "192.0.2.1", 100.0) == 8.0
    assert throttle.wait_s("ada@example.com", "192.0.2.1", 108.0) == 0
    assert throttle.wait_s("ada@example.com", "192.0.2.2", 100.0) == 0
    assert throttle.wait_s("ben@example.com", "192.0.2.1", 100.0) == 0


def test_an_address_that_fails_for_many_is_slowed_but_not_for_whom_it_let_in() -> None:
    throttle = Throttle()
    throttle.succeeded("ada@example.com", "192.0.2.1", 0.0)
    for number in range(150):
        throttle.failed(f"{number}@example.com", "192.0.2.1", 10.0)
    assert throttle.wait_s("new@example.com", "192.0.2.1", 10.0) == 60.0
    assert throttle.wait_s("ada@example.com", "192.0.2.1", 10.0) == 0
    assert throttle.wait_s("new@example.com", "192.0.2.2", 10.0) == 0
    assert throttle.wait_s("new@example.com", "192.0.2.1", 1000.0) == 0


def test_success_forgets_failures_and_memory_is_bounded() -> None:
    throttle = Throttle()
    for _ in range(9):
        throttle.failed("ada@example.com", "192.0.2.1", 0.0)
    throttle.succeeded("ada@example.com", "192.0.2.1", 0.0)
    assert throttle.wait_s("ada@example.com", "192.0.2.1", 0.0) == 0
    for number in range(30_000):
        throttle.failed(f"{number}", "192.0.2.9", 0.0)
    assert len(throttle._failures) <= 20_000


@pytest.mark.parametrize("number", [1, 2**31 - 1, 2**31 + 5, 2**40])
def test_keys_tell_their_session_whole_or_cut(number: int) -> None:
    key = cancel_key(SECRET, SessionId(number))
    assert number_meant(SECRET, key) == number_of(SessionId(number))
    assert number_meant(SECRET, key[:8]) == number_of(SessionId(number))
    # Clients take it for a signed number.
    assert int.from_bytes(key[:4], signed=True) >= 0


@pytest.mark.parametrize("size", [0, 4, 7, 37, 300])
def test_keys_of_other_sizes_are_none(size: int) -> None:
    key = (cancel_key(SECRET, SessionId(7)) * 10)[:size]
    assert number_meant(SECRET, key) is None


def test_a_forged_key_is_none() -> None:
    key = bytearray(cancel_key(SECRET, SessionId(7)))
    key[3] += 1
    assert number_meant(SECRET, bytes(key)) is None
    assert number_meant(b"t" * 32, cancel_key(SECRET, SessionId(7))) is None


def test_failing_in_the_name_of_somebody_does_not_keep_them_out_of_where_they_are_let_in() -> None:
    throttle = Throttle()
    throttle.succeeded("ada@example.com", "192.0.2.1", 0.0)
    for _ in range(50):
        throttle.failed("ada@example.com", "192.0.2.1", 10.0)
    assert throttle.wait_s("ada@example.com", "192.0.2.1", 11.0) == 0


def test_a_name_written_otherwise_is_the_same_person_and_a_long_one_is_not_kept() -> None:
    throttle = Throttle()
    for number in range(9):
        throttle.failed("ada@example.com" if number % 2 else " ADA@example.com", "192.0.2.1", 0.0)
    assert throttle.wait_s("Ada@Example.com", "192.0.2.1", 0.0) > 0
    for number in range(9):
        throttle.failed("x" * 9000 + str(number), "192.0.2.2", 0.0)
    assert throttle.wait_s("x" * 400, "192.0.2.2", 0.0) > 0


def test_the_fullest_place_gives_way_to_a_new_handshake() -> None:
    places = Places(ConnectionLimits(9, per_place=9, handshakes=3, handshakes_per_place=2))
    assert places.crowd("192.0.2.1") is None
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        assert places.take(address) is None
    assert places.crowd("192.0.2.1") == "192.0.2.1"
    assert places.crowd("192.0.2.3") == "192.0.2.1"
    places.greeted("192.0.2.1")
    assert places.crowd("192.0.2.3") is None


def test_whoever_is_too_fast_waits_for_what_was_too_much_and_nobody_else_does() -> None:
    pace = Pace(10, burst=5)
    assert [pace.spend(1, 100.0) for _ in range(7)] == pytest.approx([0] * 5 + [0.1, 0.2])
    assert pace.wait_s(2, 100.0) == pace.spend(2, 100.0) == 0
    assert pace.wait_s(1, 100.0) == pytest.approx(0.3)
    assert pace.wait_s(1, 100.3) == pytest.approx(0)
    # A long rest is worth a burst, not more.
    assert sum(pace.spend(1, 9_999.0) > 0 for _ in range(20)) == 15


def test_a_pace_of_none_holds_nobody_and_memory_stays_bounded() -> None:
    assert {Pace(0, burst=0).spend(1, 0.0) for _ in range(100)} == {0.0}
    pace = Pace(1, burst=1)
    for number in range(20_100):
        pace.spend(number, 0.0)
    assert pace.wait_s(0, 0.0) == 0
    assert pace.wait_s(20_099, 0.0) > 0
