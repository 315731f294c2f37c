"""The log's key: made once for an own store, named for any other, changed in two steps."""

from pathlib import Path

import pytest

from daypass.audit.checkpoint import open_checkpoint
from daypass.audit.note import COSIGNATURE, NoteError, SignerKey, parse_note
from daypass.domain.errors import Conflict, Invalid
from daypass.operations.context import Context
from daypass.operations.log_keys import log_keys, new_log_key, write_key
from daypass.operations.secrets import SecretStore
from daypass.operations.sequence_log import Sequencer
from daypass.store.log_folder import LogFolder
from tests.integration.audit.conftest import KEY, append_some

SECRETS = SecretStore(bytes(32))
NEW = SignerKey(KEY.name, bytes(range(1, 33)))


def _file(folder: Path, key: SignerKey) -> str:
    file = folder / f"{key.verifier.id.hex()}.key"
    write_key(file, key)
    return f"file:{file}"


def test_an_own_store_gets_a_key_once(tmp_path: Path) -> None:
    (made,) = log_keys((), SECRETS, tmp_path)
    assert (tmp_path / "log.key").stat().st_mode & 0o777 == 0o600
    assert log_keys((), SECRETS, tmp_path) == (made,)
    (other,) = log_keys((), SECRETS, _fresh(tmp_path))
    assert other.name != made.name
    assert other.seed != made.seed


def test_another_store_starts_with_a_named_key_alone(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="makes none") as caught:
        log_keys((), SECRETS, None)
    assert caught.value.detail_code == "log_key_missing"
    assert log_keys((_file(tmp_path, KEY),), SECRETS, None) == (KEY,)


def test_what_is_no_key_of_a_log_is_refused_without_being_shown(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("hunter2-hunter2\n")
    witness = _file(tmp_path, new_log_key("w.example/1", COSIGNATURE))
    for reference in (f"file:{wrong}", witness):
        with pytest.raises(Invalid) as caught:
            log_keys((reference,), SECRETS, None)
        assert caught.value.detail_code == "log_key_wrong"
        assert "hunter2" not in str(caught.value)
    other = new_log_key("other.example/log")
    with pytest.raises(Invalid, match="a log has one"):
        log_keys((_file(tmp_path, KEY), _file(tmp_path, other)), SECRETS, None)
    with pytest.raises(Invalid, match="no name of a key"):
        new_log_key("two words")


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    write_key(tmp_path / "key", KEY)
    with pytest.raises(FileExistsError):
        write_key(tmp_path / "key", NEW)
    assert (tmp_path / "key").read_text().strip() == KEY.text()
    assert [each.name for each in tmp_path.iterdir()] == ["key"]


async def test_keys_change_while_both_sign(ctx: Context, folder: LogFolder) -> None:
    def published(*keys: SignerKey) -> int:
        note = parse_note(folder.read("checkpoint") or b"")
        return open_checkpoint(note, [key.verifier for key in keys], KEY.name).size

    for number, keys in enumerate(((KEY,), (NEW, KEY), (NEW,)), 1):
        await append_some(ctx, 1)
        await Sequencer(ctx, folder, keys).run_round()
        for key in keys:
            assert published(key) == number
    with pytest.raises(NoteError):
        published(KEY)
    await append_some(ctx, 1)
    with pytest.raises(Conflict, match="nobody who is trusted"):
        await Sequencer(ctx, folder, [KEY]).run_round()
    assert published(NEW) == 3


def _fresh(folder: Path) -> Path:
    made = folder / "fresh"
    made.mkdir()
    return made
