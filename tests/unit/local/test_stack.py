from collections.abc import Callable
from pathlib import Path

import pytest

from tidemill.errors import StackError
from tidemill.local import stack
from tidemill.local.home import held


def test_status_before_the_first_start_is_empty(tmp_path: Path) -> None:
    assert stack.status(tmp_path / "home") == []


def test_down_before_the_first_start_is_harmless(tmp_path: Path) -> None:
    said: list[str] = []
    stack.down(tmp_path / "home", said.append)

    assert said == [f"There is no stack in '{tmp_path / 'home'}'."]
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("ask", [stack.environment, lambda home: stack.sql(home, "SELECT 1"), stack.login])
def test_a_stack_that_was_never_started_names_the_next_step(tmp_path: Path, ask: Callable[[Path], object]) -> None:
    with pytest.raises(StackError, match="make up"):
        ask(tmp_path / "home")


def test_two_commands_at_once_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with held(home / "command.lock"), pytest.raises(StackError, match="Another command"):
        stack.down(home, print)
