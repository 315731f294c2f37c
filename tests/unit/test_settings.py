"""Settings are read whole, and every problem is said at once."""

from pathlib import Path

import pytest

from daypass.domain.errors import Invalid
from daypass.settings import load_settings


def test_a_missing_secret_key_stands_beside_the_other_problems(tmp_path: Path) -> None:
    file = tmp_path / "daypass.toml"
    file.write_text("colour = 'red'\n[api]\nport = 99999\n")
    with pytest.raises(Invalid) as caught:
        load_settings(file, {"DAYPASS_WORKERZ": "1"})
    places = [place.rpartition(": ")[2] for place, _ in caught.value.problems]
    assert sorted(places) == ["DAYPASS_WORKERZ", "api.port", "colour", "secret_key"]
    with pytest.raises(Invalid) as caught:
        load_settings(file, {"DAYPASS_SECRET_KEY": "env:KEY"})
    assert not any(place.endswith(": secret_key") for place, _ in caught.value.problems)
