import os
from pathlib import Path

import pytest

from tidemill.errors import StackError
from tidemill.local.home import Home, held, is_held


def test_create_makes_folders_for_the_owner_only(tmp_path: Path) -> None:
    home = Home(folder=tmp_path / "home")
    home.create()
    modes = {path: path.stat().st_mode & 0o777 for path in (home.folder, home.secrets, home.logs, home.storage)}

    assert set(modes.values()) == {0o700}


def test_create_narrows_a_folder_that_was_open(tmp_path: Path) -> None:
    home = Home(folder=tmp_path / "home")
    home.folder.mkdir(mode=0o755)
    home.create()

    assert home.folder.stat().st_mode & 0o777 == 0o700


def test_create_refuses_a_home_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)

    with pytest.raises(StackError, match="belongs to user"):
        Home(folder=tmp_path / "home").create()


def test_a_lock_is_held_inside_its_block_only(tmp_path: Path) -> None:
    with held(tmp_path / "lock"):
        inside = is_held(tmp_path / "lock")

    assert (inside, is_held(tmp_path / "lock")) == (True, False)


def test_a_lock_that_was_never_taken_is_not_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "lock")
