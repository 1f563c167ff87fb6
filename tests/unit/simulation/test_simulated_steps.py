from pathlib import Path

import pytest

from tidemill.errors import SpecError
from tidemill.simulation.simulated_steps import SimulatedSteps
from tidemill.workspace import Workspace

SPLIT = {"split": {"digest": "d"}, "estimator": "xgboost", "trials": None}


def run(folder: Path, step: str, inputs: dict[str, object], model: str = "retrained_weekly") -> dict[str, object]:
    workspace = Workspace(models=folder, sql=folder, storage=folder, tracking_uri=None)
    return SimulatedSteps(folder / "shared").run_step("train", step, model, "2013-04-01", inputs, workspace=workspace)


def test_nothing_is_drawn_for_readers(tmp_path: Path) -> None:
    assert run(tmp_path, "analyse", {"snapshot": {"digest": "abc"}})["n_columns"] == 0


def test_the_pace_of_a_simulation_is_not_judged(tmp_path: Path) -> None:
    assert run(tmp_path, "compute", {})["alerts"] == []


def test_a_step_that_failed_is_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(SpecError, match="There is no spec"):
            run(tmp_path, "train", SPLIT)
