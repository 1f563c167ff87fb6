"""Weights of published rows: from the labels, or from the snapshot that was scored."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.data.labels import labelled
from tidemill.steps.monitor.outlook import OUTLOOK, estimated, outlook_of
from tidemill.steps.monitor.realised_quality import Outcomes, measured, realised, weights_of
from tidemill.storage.layout import FEATURES
from tidemill.storage.store import Store
from tidemill.storage.tables import table_writer
from tidemill.warehouse.predictions.publisher import PublishedRun

N = 300
RNG = np.random.default_rng(1)
SCORE = RNG.random(N)
LATE = RNG.random(N) < SCORE
OFTEN = RNG.integers(0, 4, N).astype(float)
KEYS = [str(key) for key in range(N)]
ROWS = pa.table({"id": KEYS, "score": SCORE})
SPEC = ModelSpec.model_validate(
    {
        "model": "m",
        "task": "binary",
        "entity_key": "id",
        "event_time": "at",
        "source": {"features": "a.sql", "labels": "b.sql"},
        "label": {"column": "y"},
        "weight": "w",
    }
)


class Scores:
    """A publisher that knows the scores of one run."""

    def scores(self, prediction_run_id: int, more: tuple[str, ...] = ()) -> pa.Table:
        return ROWS.rename_columns(["entity_key", "score"])


def job_of(folder: Path, columns: dict[str, Any]) -> tuple[Job, PublishedRun]:
    """Store a scored snapshot with some columns, in reverse order."""

    def fill(target: Path) -> None:
        table = pa.table({"id": list(map(int, KEYS)), **columns}).take(pa.array(np.arange(N)[::-1]))
        with table_writer(target / FEATURES, table.schema) as writer:
            writer.write_table(table)

    store = Store(folder)
    stored = store.write("m", "snapshots", fill)
    run = PublishedRun(
        partition="2024-03-01",
        prediction_run_id=1,
        release_id=1,
        snapshot_digest=stored.digest,
        snapshot_uri=stored.uri,
        n_rows=N,
        n_set_aside=0,
        threshold=0.5,
    )
    return cast(Job, SimpleNamespace(spec=SPEC, store=store, publisher=Scores())), run


def labels_of(columns: dict[str, Any], n_known: int = N) -> pa.Table:
    return pa.table({"id": KEYS, "y": LATE, **columns}).slice(0, n_known)


def figures(job: Job, run: PublishedRun, labels: pa.Table) -> dict[str, float]:
    y = labelled(ROWS, labels, SPEC)
    return {item.name: item.value for item in measured(run, y, ROWS, weights_of(job, run, ROWS, labels, y))}


@pytest.mark.parametrize("source", ["features", "labels"])
def test_realised_figures_weigh_the_rows_whose_label_is_known(tmp_path: Path, source: str) -> None:
    of = {"features": {}, "labels": {}} | {source: {"w": OFTEN}}
    job, run = job_of(tmp_path, of["features"])
    found = figures(job, run, labels_of(of["labels"], n_known=200))
    y, score, often = LATE[:200], SCORE[:200], OFTEN[:200]
    assert found["roc_auc"] == pytest.approx(roc_auc_score(y, score, sample_weight=often))
    assert found["log_loss"] == pytest.approx(log_loss(y, score, sample_weight=often))
    assert found["label_coverage"] == pytest.approx(200 / N)


def test_without_the_snapshot_that_knew_the_weights_there_is_no_figure(tmp_path: Path) -> None:
    job, run = job_of(tmp_path, {"w": OFTEN})
    for path in sorted(job.store.path(run.snapshot_uri).rglob("*"), reverse=True):
        path.unlink()
    job.store.path(run.snapshot_uri).rmdir()
    found = figures(job, run, labels_of({}))
    assert np.isnan(found["roc_auc"])
    assert found["label_coverage"] == 1.0


def test_a_slice_whose_rows_all_weigh_nothing_has_no_figure(tmp_path: Path) -> None:
    half = np.where(np.arange(N) < 150, "a", "b")
    job, run = job_of(tmp_path, {"w": np.where(half == "a", 0.0, 1.0), "g": half})
    spec = SPEC.model_copy(update={"accept": SPEC.accept.model_copy(update={"slices": ("g",)})})
    job = cast(Job, SimpleNamespace(**{**vars(job), "spec": spec}))
    labels = labels_of({})
    y = labelled(ROWS, labels, SPEC)
    outcomes = Outcomes(run=run, rows=ROWS, y=y, observed_at=y, weight=weights_of(job, run, ROWS, labels, y))
    found = realised(job, outcomes)
    assert {item.slice for item in found} == {None, "g=b"}


def evaluation_of(job: Job, *, weights_known: bool) -> Any:
    """Store an outlook of the same rows, and refer to it."""
    bundle = SimpleNamespace(
        task="binary", class_names=None, threshold=0.5, task_type=SimpleNamespace(has_classes=True)
    )
    counted = OFTEN > 0
    test = SimpleNamespace(
        y=LATE[counted].astype(int),
        blocks=np.repeat("2024-02-01", counted.sum()).astype(object),
        sample_weight=OFTEN[counted],
        weight_of=lambda rows: OFTEN[counted][rows],
    )
    outlook = outlook_of(cast(Any, bundle), cast(Any, test), SCORE[counted], weights_known=weights_known)

    def fill(target: Path) -> None:
        (target / OUTLOOK).write_text(json.dumps(outlook), encoding="utf-8")

    return SimpleNamespace(evaluation_uri=job.store.write("m", "evaluations", fill).uri)


def test_an_estimate_weighs_the_rows_where_weights_are_known_before_labels(tmp_path: Path) -> None:
    job, run = job_of(tmp_path, {"w": OFTEN})
    found = {item.name: item for item in estimated(job, evaluation_of(job, weights_known=True), run)}
    assert found["estimated_base_rate"].value == pytest.approx(np.average(LATE, weights=OFTEN), abs=0.01)
    assert found["estimated_base_rate"].n == (OFTEN > 0).sum()


def test_there_is_no_estimate_where_weights_come_with_the_label(tmp_path: Path) -> None:
    job, run = job_of(tmp_path, {})
    assert estimated(job, evaluation_of(job, weights_known=False), run) == ()
    assert estimated(job, evaluation_of(job, weights_known=True), run) == ()  # the release is older than the weight
