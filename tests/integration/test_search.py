"""Hyperparameter search as the training runs it: kept, resumed after a kill, the same twice, and told."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tidemill.checking import check_models
from tidemill.errors import NotTrainable, SettingsError, SpecError
from tidemill.machine.polling import until
from tidemill.records import Trial
from tidemill.retention import collect_garbage, kept_folders
from tidemill.storage.trials import TRIALS, TrialLog
from tidemill.warehouse.connections import transaction

from .data import SPEC, TRAINED, Mill

SPACE = "search: {folds: 2, space: {xgboost: {max_depth: {low: 1, high: 6}, learning_rate: {low: 0.02, high: 0.5, log: true}}}}"
SEARCHING = SPEC.replace("[logistic_regression]", f"[xgboost, logistic_regression], {SPACE}")


def split_of(mill: Mill) -> dict[str, Any]:
    mill.write(SEARCHING)
    snapshot = mill.extract("train", TRAINED).to_dict()
    return mill.step("train", "prepare", TRAINED, snapshot=snapshot)


def train(mill: Mill, split: dict[str, Any], trials: int | None, estimator: str = "xgboost") -> dict[str, Any]:
    return mill.step("train", "train", TRAINED, split=split, estimator=estimator, trials=trials)


def logs(mill: Mill) -> list[Path]:
    return list((mill.workspace.storage / mill.model / "searches").glob(".writing-*"))


@pytest.fixture
def split(mill: Mill) -> dict[str, Any]:
    return split_of(mill)


def test_nothing_is_searched_unless_trials_are_asked_for(mill: Mill, split: dict[str, Any]) -> None:
    record = train(mill, split, None)
    assert (record["search"], record["parameters"]) == (None, {})


def test_a_search_is_described_in_the_record(mill: Mill, split: dict[str, Any]) -> None:
    record = train(mill, split, 6)
    report = record["search"]
    assert (report["n_trials"], report["n_folds"], report["cut_short"]) == (6, 2, False)
    assert report["parameters"] == record["parameters"]
    assert report["score"] >= report["default_score"]
    assert report["gain"]["low"] <= report["gain"]["value"] <= report["gain"]["high"]
    assert report["gain"]["value"] == pytest.approx(report["score"] - report["default_score"])


def test_all_trials_are_kept_and_the_working_log_is_gone(mill: Mill, split: dict[str, Any]) -> None:
    report = train(mill, split, 6)["search"]
    content = json.loads((mill.workspace.storage / report["uri"] / TRIALS).read_text())
    assert [trial["number"] for trial in content["trials"]] == list(range(7))
    assert logs(mill) == []


def test_the_same_search_twice_gives_the_same_winner_and_the_same_bundle(mill: Mill, split: dict[str, Any]) -> None:
    one, other = train(mill, split, 6), train(mill, split, 6)
    assert one["parameters"] == other["parameters"] != {}
    assert one["digest"] == other["digest"]


def test_a_search_that_was_killed_goes_on_and_finds_the_same(mill: Mill, split: dict[str, Any]) -> None:
    unbroken = train(mill, split, 25)
    inputs = {"split": split, "estimator": "xgboost", "trials": 25}
    code = (
        "import json, sys; from tidemill.runtime.run import run_step; from tidemill.workspace import Workspace;"
        f"run_step('train', 'train', '{mill.model}', '{TRAINED}', json.loads(sys.argv[1]),"
        " workspace=Workspace.from_environment())"
    )
    victim = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(inputs)],
        env=os.environ | mill.environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert until(lambda: any(len(list(log.glob("trial-*"))) >= 3 for log in logs(mill)), 60)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    (log,) = logs(mill)
    kept = {path.name: path.stat().st_mtime_ns for path in log.glob("trial-*")}
    resumed = train(mill, split, 25)
    assert 3 <= len(kept) < 26
    assert (resumed["digest"], resumed["parameters"]) == (unbroken["digest"], unbroken["parameters"])
    assert resumed["search"]["score"] == unbroken["search"]["score"]


def test_a_space_with_a_slip_is_refused(mill: Mill) -> None:
    mill.write(SEARCHING.replace("max_depth:", "max_dept:"))
    snapshot = mill.extract("train", TRAINED).to_dict()
    split = mill.step("train", "prepare", TRAINED, snapshot=snapshot)
    with pytest.raises(SpecError, match="did you mean 'max_depth'"):
        train(mill, split, 3)


def test_too_many_folds_for_the_window_are_refused(mill: Mill) -> None:
    mill.write(SEARCHING.replace("folds: 2", "folds: 20"))
    snapshot = mill.extract("train", TRAINED).to_dict()
    split = mill.step("train", "prepare", TRAINED, snapshot=snapshot)
    with pytest.raises(NotTrainable, match="too few for 20 folds"):
        train(mill, split, 3)


def test_a_number_of_trials_that_no_form_allows_is_refused(mill: Mill, split: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="0 to 1000"):
        train(mill, split, -1)


def test_baselines_are_not_searched(mill: Mill, split: dict[str, Any]) -> None:
    assert train(mill, split, 3, "prior")["search"] is None


@pytest.fixture(scope="module")
def released(new_mill: Callable[[], Mill]) -> tuple[Mill, dict[str, dict[str, Any]]]:
    mill = new_mill()
    mill.write(SEARCHING)
    return mill, mill.train(trials=3, shown=False)


def test_a_whole_training_with_a_search_ends_in_a_release_that_says_so(released: tuple[Mill, dict]) -> None:
    mill, records = released
    searched = [ref["search"] for ref in records["evaluate"]["candidates"] if not ref["baseline"]]
    assert [report["n_trials"] for report in searched] == [3, 3]
    gain = records["evaluate"]["search_gain"]
    assert (gain is not None) == (records["evaluate"]["bundle"]["parameters"] != {})
    card = (mill.workspace.storage / records["evaluate"]["bundle"]["uri"] / "MODEL_CARD.md").read_text()
    assert "--trials 3" in card


def test_the_trials_of_a_release_are_kept_as_long_as_the_release(released: tuple[Mill, dict]) -> None:
    mill, records = released
    uris = {ref["search"]["uri"] for ref in records["evaluate"]["candidates"] if ref["search"]}
    with transaction(mill.workspace.connection("tidemill")) as cursor:
        kept = kept_folders(cursor, mill.model, mill.spec.retention, datetime.now(UTC))
    assert len(uris) == 2
    assert uris <= kept


def test_trials_of_a_search_that_never_ended_are_collected(mill: Mill) -> None:
    log = TrialLog.of(mill.workspace.storage / mill.model / "searches", {"seed": 1})
    log.keep(Trial(number=0, parameters={}, scores=(0.5,), pruned=False, seconds=1.0))
    later = datetime.now(UTC) + timedelta(days=2)
    (removal,) = collect_garbage(mill.workspace, [mill.model], dry_run=True, as_of=later)
    assert removal.name == f"{mill.model}/searches/{log.folder.name}"


def test_a_check_names_slips_in_the_space(mill: Mill) -> None:
    mill.write(SEARCHING.replace("max_depth:", "max_dept:").replace("[xgboost, logistic", "[logistic"))
    problems = check_models(mill.workspace, [mill.model], source=False)
    assert ["which train.estimators does not list" in problem for problem in problems] == [True, False]
    assert "did you mean 'max_depth'" in problems[1]
