import os
from pathlib import Path

import pytest

from tidemill.errors import StackError
from tidemill.machine.files import last_lines, read_json, write_private


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_write_private_gives_mode_0600_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_private(tmp_path / "secret", "x")
    finally:
        os.umask(before)

    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_write_private_narrows_a_file_that_was_open(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("old")
    (tmp_path / "secret").chmod(0o644)
    write_private(tmp_path / "secret", "new")

    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_write_private_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", "x")

    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_read_json_returns_none_for_a_missing_file(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") is None


def test_read_json_names_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")

    with pytest.raises(StackError, match=r"broken\.json"):
        read_json(tmp_path / "broken.json")


def test_last_lines_gives_the_end(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\n".join(str(n) for n in range(100)))

    assert last_lines(tmp_path / "log") == "\n".join(str(n) for n in range(85, 100))


def test_last_lines_says_that_there_is_no_log(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none") == "(no log)"
