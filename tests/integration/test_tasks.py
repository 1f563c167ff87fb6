"""Every task through the train chain on a real Postgres, and what cannot be trained."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tidemill.errors import NotTrainable, SpecError
from tidemill.modeling.bundle import Bundle
from tidemill.storage.bundles import load_bundle, pyfunc_loader
from tidemill.storage.layout import FEATURES
from tidemill.storage.store import Store

from .data import LABELS_SQL, NEXT, SPEC, TRAINED, Mill

Trained = tuple[Mill, dict[str, dict[str, Any]]]

HOURS = (
    "round((30 + 4 * (weight_kg + distance_km + n_stops + queue_h + wind_ms + rain_mm + driver_h)"
    " + 8 * (('x' || substr(md5(parcel_id), 1, 7))::bit(28)::int / 268435456.0))::numeric, 3)::double precision"
)
LABELS = {
    "regression": LABELS_SQL.replace("late,", f"{HOURS} AS late,"),
    "multiclass": LABELS_SQL.replace(
        "late,", f"CASE WHEN {HOURS} < 28 THEN 'early' WHEN {HOURS} > 40 THEN 'late' ELSE 'on time' END AS late,"
    ),
}
LINEAR = {"regression": "ridge", "multiclass": "logistic_regression"}
OWN = """[mine]
  own: {mine: {type: sklearn.ensemble.ExtraTreesRegressor, parameters: {n_estimators: 60, max_features: 0.5}}}
"""


def spec_of(task: str, estimators: str = "", accept: str = "{slices: [carrier], margin: 0.5}") -> str:
    text = SPEC.replace("task: binary", f"task: {task}").replace("{minimum: 0.6, slices: [carrier]}", accept)
    head, line, rest = text.partition("train: {window: 22 days, validation: 4 days, test: 5 days, ")
    assert line
    rest = rest.partition("\n")[2]
    listed = estimators or f"[{LINEAR[task]}]\n"
    return f"{head}train:\n  window: 22 days\n  validation: 4 days\n  test: 8 days\n  estimators: {listed}{rest}"


@pytest.fixture(scope="session")
def trained_for(new_mill: Callable[[], Mill]) -> Callable[[str], Trained]:
    """Return a small model of a task with a champion, and the records of its training. Tests only read it."""
    kept: dict[str, Trained] = {}

    def of(task: str) -> Trained:
        if task not in kept:
            mill = new_mill()
            mill.write(spec_of(task), labels=LABELS[task])
            kept[task] = mill, mill.train(shown=False)
        return kept[task]

    return of


def champion(mill: Mill, records: dict[str, dict[str, Any]]) -> Bundle:
    ref = records["evaluate"]["bundle"]
    return load_bundle(Store(mill.workspace.storage).path(ref["uri"]), ref["digest"], mill.spec.train.trusted)


@pytest.mark.parametrize("task", LABELS)
def test_a_model_of_every_task_is_trained_judged_and_promoted(trained_for: Callable[[str], Trained], task: str) -> None:
    mill, records = trained_for(task)
    assert records["validate_model"]["verdict"] == "accept", records["validate_model"]["reasons"]
    serving = mill.promoter.champion(mill.model)
    assert serving is not None
    assert serving.release_id == records["register"]["release_id"]
    assert serving.metric == mill.spec.accept.metric


@pytest.mark.parametrize(
    ("task", "metrics"),
    [
        ("multiclass", {"log_loss", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc_ovr", "brier_score"}),
        ("regression", {"mean_absolute_error", "r2_score", "mean_error", "interval_coverage", "interval_width"}),
    ],
)
def test_the_report_has_the_metrics_of_the_task(
    trained_for: Callable[[str], Trained], task: str, metrics: set[str]
) -> None:
    mill, records = trained_for(task)
    figures = records["evaluate"]["metrics"]
    assert figures[0]["name"] == mill.spec.accept.metric
    assert metrics <= {figure["name"] for figure in figures}
    assert {figure["slice"] for figure in figures} >= {"carrier=A", "carrier=B", "carrier=C"}
    assert all(np.isfinite(float(figure["value"])) for figure in figures)


@pytest.mark.parametrize("task", LABELS)
def test_the_candidate_has_less_loss_than_each_baseline(trained_for: Callable[[str], Trained], task: str) -> None:
    _, records = trained_for(task)
    differences = records["evaluate"]["baselines"]
    assert [difference["slice"] for difference in differences] == ["prior", "group_rate", "shallow_tree"]
    assert all(difference["high"] < 0 for difference in differences)


@pytest.mark.parametrize("task", LABELS)
def test_mlflows_door_gives_the_scores_of_the_bundle(trained_for: Callable[[str], Trained], task: str) -> None:
    mill, records = trained_for(task)
    bundle, snapshot = champion(mill, records), mill.extract("score", NEXT)
    store = Store(mill.workspace.storage)
    X = pq.ParquetFile(store.folder(snapshot.uri, snapshot.digest) / FEATURES).read().to_pandas()
    found = pyfunc_loader._load_pyfunc(str(store.path(records["evaluate"]["bundle"]["uri"]))).predict(X)
    score = bundle.score(X)
    expected = score if task == "regression" else score.max(axis=1)
    assert found["score"].to_numpy().tobytes() == np.ascontiguousarray(expected).tobytes()
    assert bundle.task == task


@pytest.mark.parametrize("task", LABELS)
def test_the_same_training_again_gives_the_same_bundle(trained_for: Callable[[str], Trained], task: str) -> None:
    mill, records = trained_for(task)
    again = mill.step("train", "train", TRAINED, split=records["prepare"], estimator=LINEAR[task])
    assert again["digest"] == records["evaluate"]["bundle"]["digest"]


def test_a_custom_estimator_goes_through_the_chain(mill: Mill) -> None:
    mill.write(spec_of("regression", OWN), labels=LABELS["regression"])
    records = mill.train(shown=False)
    assert records["evaluate"]["estimator"] == "mine"
    assert type(champion(mill, records).model).__name__ == "ExtraTreesRegressor"


def test_an_estimator_that_the_spec_does_not_describe_is_named(mill: Mill) -> None:
    mill.write(spec_of("regression", "[mine]\n"), labels=LABELS["regression"])
    with pytest.raises(SpecError, match="'mine' is unknown"):
        mill.train()


@pytest.mark.parametrize(
    ("task", "label", "said"),
    [
        ("binary", "false", "0 of them positive; both classes are needed"),
        ("multiclass", "'late'::text", "all of class 'late'"),
        ("regression", "3.5::double precision", "the label is 3.5 in all of them"),
    ],
)
def test_a_label_that_never_changes_is_refused_and_the_champion_stays(
    mill: Mill, trained_mill: Trained, task: str, label: str, said: str
) -> None:
    release_id = mill.adopt(trained_mill[1])
    spec = SPEC if task == "binary" else spec_of(task)
    mill.write(spec, labels=LABELS_SQL.replace("late,", f"{label} AS late,"))
    with pytest.raises(NotTrainable, match=said):
        mill.train()
    serving = mill.promoter.champion(mill.model)
    assert serving is not None
    assert serving.release_id == release_id
