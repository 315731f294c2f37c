"""What `daypass connect` asks for: its own options over a PGOPTIONS of the user's."""

import pytest

from daypass.cli.failure import Failure
from daypass.cli.wishes import Wishes, merge_wishes, write_options
from daypass.engines.postgres.wire.startup import option_settings


@pytest.mark.parametrize(
    ("given", "own", "options"),
    [
        ({}, "", ""),
        ({"grant": "7"}, "", "-c daypass.grant=7"),
        ({"grant": ""}, "-c daypass.grant=7", "-c daypass.grant=7"),
        (
            {"grant": "8"},
            "-c daypass.grant=7 -c work_mem=8MB",
            "-c daypass.grant=8 -c work_mem=8MB",
        ),
        (
            {"ticket": "INC-42", "profile": "oncall-read", "wait": ""},
            r"--daypass.reason=checkout\ is\ slow -cTimeZone=UTC",
            (
                r"-c daypass.reason=checkout\ is\ slow -c daypass.ticket=INC-42 "
                r"-c daypass.profile=oncall-read -c daypass.wait=10m -c timezone=UTC"
            ),
        ),
        (
            {"reason": "a\\b"},
            "-c daypass.wait=1m -c a.b=1 -c c=2 -c a.b=3",
            r"-c daypass.wait=1m -c daypass.reason=a\\b -c c=2 -c a.b=3",
        ),
    ],
)
def test_own_options_stay_except_where_the_command_says_them_anew(
    given: dict[str, str], own: str, options: str
) -> None:
    found = merge_wishes(given, own)
    assert write_options(found) == options
    # The gateway reads what was meant.
    assert option_settings(options) == (
        *((f"daypass.{name}", value) for name, value in found.asked),
        *found.settings,
    )


@pytest.mark.parametrize(
    ("given", "own", "what"),
    [
        ({"classes": "insert"}, "", "--class is for a request"),
        ({"ticket": "INC-1"}, "-c daypass.wait=1m", "--ticket is for a request"),
        ({}, "-d 5", "PGOPTIONS: '-d' is not known"),
        ({}, "-c work_mem", "PGOPTIONS: '-c' is not known"),
        ({}, "-c", "PGOPTIONS: '-c' is not known"),
    ],
)
def test_what_the_gateway_would_refuse_is_said_at_once(
    given: dict[str, str], own: str, what: str
) -> None:
    with pytest.raises(Failure, match=what):
        merge_wishes(given, own)


def test_nothing_given_is_nothing_asked() -> None:
    assert merge_wishes({"reason": "", "wait": ""}, "  ") == Wishes(())
