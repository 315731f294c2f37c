"""Saved logins."""

from pathlib import Path

import pytest

from daypass.cli.connection import chosen, connect
from daypass.cli.credentials import (
    Credentials,
    SavedLogin,
    credentials_file,
    load_credentials,
    save_credentials,
)
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure

HERE = "http://127.0.0.1:8321"


def saved(email: str, server: str = HERE, token: str = "dpt_1_x") -> SavedLogin:  # noqa: S107
    return SavedLogin(server, email, email.partition("@")[0], token, 1, "2026-11-21T22:00:00Z")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("DAYPASS_SERVER", "DAYPASS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(chosen, "server", None)
    monkeypatch.setattr(chosen, "who", None)


def keep(*logins: SavedLogin) -> None:
    credentials = Credentials()
    for each in logins:
        credentials.put(each)
    save_credentials(credentials)


def test_only_the_owner_reads_the_file() -> None:
    keep(saved("ada@example.com"))
    assert credentials_file().stat().st_mode & 0o777 == 0o600
    assert credentials_file().parent.stat().st_mode & 0o777 == 0o700
    assert load_credentials().logins == [saved("ada@example.com")]
    assert sorted(credentials_file().parent.iterdir()) == [credentials_file()]


def test_the_latest_login_is_used_until_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(saved("ada@example.com", token="a"), saved("ben@example.com", token="b"))
    assert connect().headers["Authorization"] == "Bearer b"
    monkeypatch.setattr(chosen, "who", "ada")
    assert connect().headers["Authorization"] == "Bearer a"
    monkeypatch.setattr(chosen, "who", "ADA@example.com")
    assert connect().headers["Authorization"] == "Bearer a"


def test_the_server_named_decides_which_login_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(saved("ada@example.com", "https://one", "1"), saved("ada@example.com", "https://two", "2"))
    monkeypatch.setenv("DAYPASS_SERVER", "https://one/")
    assert connect().headers["Authorization"] == "Bearer 1"
    assert connect().server == "https://one"


def test_a_token_of_the_environment_goes_before_saved_logins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep(saved("ada@example.com"))
    monkeypatch.setenv("DAYPASS_TOKEN", "dpt_9_y")
    assert connect().headers["Authorization"] == "Bearer dpt_9_y"
    assert connect().server == HERE


def test_logging_in_again_replaces_and_logging_out_forgets() -> None:
    credentials = Credentials()
    credentials.put(saved("ada@example.com", token="old"))
    credentials.put(saved("ben@example.com"))
    replaced = credentials.put(saved("ada@example.com", token="new"))
    assert replaced is not None
    assert replaced.token == "old"
    assert [each.token for each in credentials.logins] == ["dpt_1_x", "new"]
    credentials.drop(credentials.logins[1])
    assert credentials.find(None, None) == saved("ben@example.com")


def test_who_is_not_logged_in_is_told_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(saved("ada@example.com"))
    monkeypatch.setattr(chosen, "who", "ben")
    with pytest.raises(Failure) as caught:
        connect()
    assert caught.value.exit_code is ExitCode.NOT_LOGGED_IN
    assert "ada@example.com" in caught.value.why[0]
    assert caught.value.next_steps == (f"daypass login {HERE}",)


def test_a_broken_file_says_so() -> None:
    keep(saved("ada@example.com"))
    credentials_file().write_text("{")
    with pytest.raises(Failure, match="cannot be read"):
        load_credentials()
