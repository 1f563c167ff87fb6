"""The table of what a person may do from the console, against the commands and the functions that do it."""

import shlex
from typing import Any, get_args

import pytest
import typer

from tidemill.cli import app
from tidemill.errors import SettingsError
from tidemill.operations.actions import PERFORM
from tidemill_airflow.console.actions import ACTIONS, FORM, Name
from tidemill_airflow.model_dags import PURPOSE
from tidemill_airflow.operators.act import ActOperator
from tidemill_airflow.params import ActionName, RunParams, form_fields

from .contexts import context

VALUES: dict[str, Any] = {
    "alert": 7,
    "until": "2026-12-01T10:00",
    "partition": "2013-07-04",
    "release": 3,
    "force": True,
    "what": "release",
    "name": "3",
    "to": 2,
    "republish_from": "2013-07-01",
    "republish_to": "2013-07-07",
    "reason": "it's checked; rm -rf /",
}


def test_every_action_of_the_dag_has_a_function_and_a_choice_in_its_form() -> None:
    names = {name for name, action in ACTIONS.items() if action.verb == "act"}
    assert names == set(PERFORM) == set(get_args(ActionName))
    assert {action.verb for action in ACTIONS.values()} <= set(PURPOSE)
    assert set(get_args(Name)) == set(ACTIONS)
    assert set(FORM) <= set(RunParams.model_fields)


@pytest.mark.parametrize("name", [name for name, action in ACTIONS.items() if action.command])
def test_the_equivalent_command_exists_and_takes_every_value_whole(name: str) -> None:
    action = ACTIONS[name]
    given = {key: VALUES[key] for key in (*action.fields, "reason")}
    program, command, *arguments = shlex.split(action.equivalent("flight_delays", given))
    assert program == "tidemill"
    parsed = typer.main.get_command(app).commands[command].make_context(command, arguments)
    found = {str(value) for value in parsed.params.values()}
    expected = {str(VALUES[key]) for key in action.fields if key not in ("until", "republish_from", "republish_to")}
    assert "flight_delays" in found
    assert expected <= found
    assert ("--reason" not in action.equivalent("m", given)) or VALUES["reason"] in found


def test_what_is_not_filled_in_shows_as_a_gap() -> None:
    assert ACTIONS["publish"].equivalent("m", {}) == "tidemill publish m … --reason …"
    assert ACTIONS["roll_back"].equivalent("m", {"to": 2}) == "tidemill rollback m --reason … --to 2"


@pytest.mark.parametrize(
    ("conf", "told"),
    [
        ({}, "The run names no action"),
        ({"action": "publish", "reason": "x"}, "'publish' needs partition"),
        ({"action": "publish", "partition": "2013-07-04"}, "needs reason"),
        ({"action": "publish", "partition": "2013-07-04", "reason": "x", "force": True}, "does not take force"),
        ({"action": "drop"}, "action: Input should be"),
    ],
)
def test_a_run_with_a_wrong_form_changes_nothing(
    conf: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.operations.actions.PERFORM", {})  # whatever is looked up here fails
    with pytest.raises(SettingsError, match=told):
        ActOperator(task_id="act", model="flight_delays").execute(context(**conf))


def test_a_choice_may_be_left_empty() -> None:
    assert form_fields()["what"]["schema"]["enum"][0] is None
