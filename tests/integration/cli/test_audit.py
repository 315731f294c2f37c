"""The audit log of a real demo, checked from a terminal: by its folder, and over the API."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.demos import RunningDemo, Terminal


@pytest.fixture(scope="module")
def auditor(running_demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Return the auditor's terminal."""
    return logged_in("anton", running_demo, tmp_path_factory.mktemp("auditor"))


def logged_in(name: str, running_demo: RunningDemo, folder: Path) -> Terminal:
    """Return a terminal of one person's: the six of `terminal` take longer than these tests."""
    found = Terminal(folder, running_demo.url)
    ended = found.run(
        *("login", "--email", f"{name}@example.com", "--password-stdin"),
        typed=running_demo.password + "\n",
    )
    assert ended.exit_code == 0, ended.err
    return found


@pytest.fixture(scope="module")
def key(auditor: Terminal, running_demo: RunningDemo) -> str:
    """Return the log's public key, as whoever runs it would hand it over."""
    made = running_demo.state / "log.key"
    assert made.stat().st_mode & 0o777 == 0o600
    from daypass.audit.note import SignerKey

    return str(SignerKey.parse(made.read_text()).verifier)


@pytest.fixture
def copied(running_demo: RunningDemo, tmp_path: Path) -> Path:
    """Return a copy of the published log."""
    for _ in range(50):
        if (running_demo.state / "log/checkpoint").exists():
            break
        time.sleep(0.2)
    folder = tmp_path / "log"
    # The checkpoint first: parts that come meanwhile are more than it needs.
    folder.mkdir()
    shutil.copy(running_demo.state / "log/checkpoint", folder / "checkpoint")
    for each in running_demo.state.glob("log/*"):
        if each.is_dir():
            shutil.copytree(each, folder / each.name)
    return folder


def test_the_log_is_verified_by_folder_and_by_api(
    auditor: Terminal, key: str, copied: Path
) -> None:
    assert auditor.run("audit", "key").out == f"{key}\n"
    by_folder = auditor.run("audit", "verify", str(copied), "--key", key)
    assert by_folder.exit_code == 0, by_folder.err
    assert "is whole" in by_folder.out
    older = auditor.run("audit", "checkpoint", str(copied))
    (copied / "older").write_text(older.out)
    by_api = auditor.run("audit", "verify", "--key", key, "--since", str(copied / "older"))
    assert by_api.exit_code == 0, by_api.err
    by_word = auditor.run("audit", "verify", "--rows")
    assert by_word.exit_code == 0, by_word.err
    assert "own word" in by_word.out
    assert "rows are those that were published" in by_word.out
    grown = auditor.run("audit", "consistency", str(copied / "older"), "--key", key)
    assert grown.exit_code == 0, grown.err
    assert "the first are the same" in grown.out


def test_members_read_no_parts_of_the_log(running_demo: RunningDemo, tmp_path: Path) -> None:
    ended = logged_in("ben", running_demo, tmp_path).run("audit", "verify")
    assert ended.exit_code == 3, ended.err
    assert "only admin or auditor" in ended.err


def test_one_entry_is_proven_to_somebody_offline(
    auditor: Terminal, key: str, tmp_path: Path
) -> None:
    newest = auditor.run("audit", "list", "--limit", "200", "--json").json["items"][-1]["id"]
    file = tmp_path / "entry.json"
    made = auditor.run("audit", "prove", str(newest), "--out", str(file))
    assert made.exit_code == 0, made.err
    offline = Terminal(tmp_path)
    shown = offline.run("audit", "verify-proof", str(file), "--key", key)
    assert shown.exit_code == 0, shown.err
    assert "is leaf" in shown.out
    document = json.loads(file.read_text())
    document["leaf"] = document["leaf"].replace('"version":1', '"version":2')
    file.write_text(json.dumps(document))
    forged = offline.run("audit", "verify-proof", str(file), "--key", key)
    assert forged.exit_code == 1
    assert "does not have this one" in forged.err


def test_a_changed_part_is_named(auditor: Terminal, key: str, copied: Path) -> None:
    (bundle,) = list(copied.glob("tile/entries/000")) or [
        max(copied.glob("tile/entries/000.p/*"), key=lambda each: int(each.name))
    ]
    data = bytearray(bundle.read_bytes())
    data[2] ^= 1
    bundle.chmod(0o640)
    bundle.write_bytes(data)
    ended = auditor.run("audit", "verify", str(copied), "--key", key)
    assert ended.exit_code == 1
    assert "leaf 0" in ended.err
    assert "its hash is not the one in its tile" in ended.err


def test_a_witness_signs_growth_and_refuses_an_older_backup(
    auditor: Terminal, key: str, copied: Path, tmp_path: Path
) -> None:
    own, state = tmp_path / "witness.key", tmp_path / "state"
    made = auditor.run("audit", "new-key", "witness.example/w1", str(own), "--witness")
    assert made.exit_code == 0, made.err
    again = auditor.run("audit", "new-key", "witness.example/w1", str(own), "--witness")
    assert again.exit_code == 2
    assert "no key is replaced" in " ".join(again.err.split())
    look = ("--state", str(state), "--own-key", str(own), "--key", key, "--once")
    first = auditor.run("audit", "witness", str(copied), *look)
    assert first.exit_code == 0, first.err
    assert "— witness.example/w1 " in first.out
    # The live log has grown since; then the backup is put back.
    auditor.run("audit", "list")
    _grow(auditor)
    live = _until(lambda: auditor.run("audit", "witness", *look).out, first.out)
    assert live.splitlines()[1] != first.out.splitlines()[1]
    restored = auditor.run("audit", "witness", str(copied), *look)
    assert restored.exit_code == 1
    assert "an older copy was put back" in restored.err
    assert (state / "refused").read_bytes() == (copied / "checkpoint").read_bytes()
    assert (state / "checkpoint").read_text().splitlines()[:3] == live.splitlines()[:3]


def _grow(auditor: Terminal) -> None:
    """Have an entry written: somebody cannot log in."""
    auditor.run("login", "--email", "ben@example.com", "--password-stdin", typed="wrong\n")


def _until(look: Callable[[], str], before: str) -> str:
    for _ in range(20):
        found = look()
        if found.splitlines()[1] != before.splitlines()[1]:
            return found
        time.sleep(0.3)
    pytest.fail("the log did not grow")
