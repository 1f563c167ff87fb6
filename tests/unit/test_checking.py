"""What ``check`` reports about a training window and estimators, without asking a source."""

import sys
from pathlib import Path

import pytest

from tidemill.checking import check_models
from tidemill.workspace import Workspace

SPEC = """
model: m
task: binary
entity_key: id
event_time: at
timezone: America/New_York
predict: {{schedule: null}}
partitions: {{every: {every}}}
source: {{features: f.sql, labels: l.sql}}
label: {{column: y, matures_after: {matures}}}
train: {{schedule: null, {train}}}
"""


def problems(folder: Path, every: str, matures: str, train: str) -> list[str]:
    (folder / "m.yaml").write_text(SPEC.format(every=every, matures=matures, train=train), encoding="utf-8")
    for name in ("f", "l"):
        (folder / f"{name}.sql").write_text("SELECT 1 WHERE :start < :end AND :cutoff > :start", encoding="utf-8")
    workspace = Workspace(models=folder, sql=folder, storage=folder, tracking_uri=None)
    return check_models(workspace, [], source=False)


@pytest.mark.parametrize(
    ("every", "train", "helps"),
    [
        ("week", "test: 14 days", "holds 2 weeks; the gate needs at least 5"),
        ("week", "test: 28 days, window: 200 days", "'train: {test: 35 days}'"),
        ("month", "test: 14 days, window: 300 days", "holds 1 month; the gate needs at least 5"),
        ("month", "test: 120 days, window: 400 days", "'train: {test: 155 days}'"),
        ("day", "test: 4 days", "'train: {test: 5 days}'"),
        ("hour", "test: 3 days", "holds 4 days; the gate needs at least 5"),
    ],
)
def test_a_test_set_that_can_never_pass_is_named_with_the_setting_that_helps(
    tmp_path: Path, every: str, train: str, helps: str
) -> None:
    (problem,) = problems(tmp_path, every, "0 days", train)
    assert helps in problem


@pytest.mark.parametrize(
    ("every", "train"),
    [
        ("week", "test: 35 days, window: 200 days"),
        ("month", "test: 155 days, window: 400 days"),
        ("day", "test: 5 days"),
        ("hour", "test: 5 days"),
    ],
)
def test_the_advised_test_set_passes(tmp_path: Path, every: str, train: str) -> None:
    assert problems(tmp_path, every, "0 days", train) == []


def test_a_window_of_which_labels_that_look_ahead_leave_nothing_is_named(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "day", "31 days", "window: 90 days")
    assert "label.matures_after (31 days) twice, leave nothing of train.window (90 days)" in problem
    assert problems(tmp_path, "day", "30 days", "window: 90 days") == []


def test_an_estimator_whose_package_is_missing_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "catboost", None)
    (problem,) = problems(tmp_path, "day", "0 days", "estimators: [catboost]")
    assert problem.startswith("m: Estimator 'catboost' needs the package catboost")
    assert "pip install 'tidemill[catboost]'" in problem
    own = "estimators: [catboost], own: {catboost: {type: sklearn.linear_model.LogisticRegression}}"
    assert problems(tmp_path, "day", "0 days", own) == []
