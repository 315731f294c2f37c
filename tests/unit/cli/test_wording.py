"""Moments and spans as people say them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure
from daypass.cli.wording import (
    read_duration,
    read_moment,
    say_duration,
    say_left,
    say_moment,
    say_span,
)

HERE = timezone(timedelta(hours=1))
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).astimezone()


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=45), "45 s"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=3, hours=2, minutes=1), "3 days 2 h"),
        (timedelta(seconds=-5), "0 s"),
    ],
)
def test_a_span_is_said_with_its_two_greatest_units(span: timedelta, said: str) -> None:
    assert say_span(span) == said


def test_a_moment_is_said_by_how_near_it_is() -> None:
    today = NOON.replace(hour=14, minute=5)

    def say(moment: datetime) -> str:
        return say_moment(moment.isoformat(), at=NOON)

    assert say(today) == "14:05"
    assert say(today + timedelta(days=1)) == "tomorrow 14:05"
    assert say(today - timedelta(days=1)) == "yesterday 14:05"
    assert say(today + timedelta(days=3)) == "Tue 24 Nov 14:05"
    assert say(today + timedelta(days=365)) == "Sun 21 Nov 2027 14:05"
    assert say_moment(None) == ""


def test_what_is_left_and_what_is_over() -> None:
    assert say_left((NOON + timedelta(minutes=20)).isoformat(), at=NOON) == "20 min left"
    assert say_left((NOON - timedelta(seconds=3)).isoformat(), at=NOON) == "ended 3 s ago"


def test_durations_of_the_api_are_said() -> None:
    assert say_duration("1h30m") == "1 h 30 min"
    assert say_duration("?") == "?"


def test_a_clock_time_is_the_next_one() -> None:
    at = datetime(2026, 11, 21, 17, 0, tzinfo=HERE)
    assert read_moment("18:00", "--until", at=at) == at.replace(hour=18)
    assert read_moment("16:30", "--until", at=at) == at.replace(hour=16, minute=30) + timedelta(1)
    assert read_moment("17:00", "--until", at=at) == at + timedelta(days=1)


def test_other_moments() -> None:
    at = datetime(2026, 11, 21, 17, 0, tzinfo=HERE)
    assert read_moment("+30m", "--until", at=at) == at + timedelta(minutes=30)
    assert read_moment("2026-11-24T09:00+00:00", "--at") == datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.mark.parametrize("text", ["25:00", "soon", "+", "18", "2026-13-01T00:00"])
def test_what_is_no_moment_says_how_to_write_one(text: str) -> None:
    with pytest.raises(Failure) as caught:
        read_moment(text, "--until")
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.next_steps


def test_what_is_no_duration_says_how_to_write_one() -> None:
    with pytest.raises(Failure) as caught:
        read_duration("2 hours", "--for")
    assert caught.value.what.startswith("--for: ")
    assert "2h" in caught.value.next_steps[0]
