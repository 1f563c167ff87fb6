"""A training of weighted rows, from the snapshot to the report, without a server."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tidemill.metrics.own import metric
from tidemill.modeling.boosters import LightGBMModel
from tidemill.modeling.estimators import fit, rounds_of
from tidemill.records import BundleRef, EvaluationReport, SnapshotRef, SplitRef
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.data.features import read_set
from tidemill.steps.train.evaluate import evaluate
from tidemill.steps.train.evaluation.refit import with_refit
from tidemill.steps.train.prepare import cut
from tidemill.steps.train.search import search_settings
from tidemill.steps.train.train import fit_bundle
from tidemill.storage.bundles import load_bundle
from tidemill.storage.layout import PARTITION
from tidemill.storage.store import Store

from .snapshots import stored_snapshot

PER_DAY = 40


@metric(greater_is_better=True)
def gain(y_true: Any, decision: Any) -> Any:
    """Return what each decision gains."""
    return np.where(decision, np.where(y_true == 1, 2.0, -1.0), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A training and its records."""

    job: Job
    split: SplitRef
    bundle: BundleRef
    report: EvaluationReport


def spec_of() -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "m",
            "task": "binary",
            "entity_key": "id",
            "event_time": "at",
            "source": {"features": "a.sql", "labels": "b.sql"},
            "label": {"column": "late"},
            "weight": "w",
            "train": {"window": "30 days", "validation": "6 days", "test": "6 days", "estimators": ["lightgbm"]},
            "accept": {"metric": f"{__name__}:gain", "slices": ["kind"]},
        }
    )


def month_of_rows(store: Store, spec: ModelSpec) -> SnapshotRef:
    partitions = tuple(spec.partitions_between("2024-03-01", "2024-03-30"))
    days, rng = [item for item in partitions for _ in range(PER_DAY)], np.random.default_rng(1)
    keys, a = [str(key) for key in range(len(days))], rng.normal(size=len(days))
    kind = rng.choice(["x", "y"], len(days))
    late = a + 0.5 * (kind == "x") + rng.normal(size=len(days)) > 0.3
    features = {
        "id": keys,
        "at": [item.interval.start for item in days],
        "a": a,
        "kind": kind,
        "w": rng.integers(0, 5, len(days)),
        PARTITION: [item.key for item in days],
    }
    return stored_snapshot(store, partitions, pa.table(features), pa.table({"id": keys, "late": late}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    spec, store = spec_of(), Store(tmp_path_factory.mktemp("weighted"))
    releases = SimpleNamespace(champion=lambda model: None)
    job = cast(Job, SimpleNamespace(spec=spec, store=store, releases=releases))
    split = cut(job, month_of_rows(store, spec))
    bundles = tuple(fit_bundle(job, split, name, {}) for name in ("lightgbm", "prior", "group_rate", "shallow_tree"))
    return Trained(job=job, split=split, bundle=bundles[0], report=evaluate(job, split, bundles, shown=False))


def test_a_lightgbm_candidate_is_measured_on_weighted_rows(trained: Trained) -> None:
    loaded = load_bundle(trained.job.store.path(trained.bundle.uri), trained.bundle.digest)
    assert isinstance(loaded.model, LightGBMModel)
    assert loaded.schema.names == ("a", "kind")
    test = read_set(trained.job, trained.split, "test")
    score, often = loaded.score(test.X), test.X["w"].to_numpy()
    assert often.min() == 1
    assert trained.split.n_test == len(often)
    figures = {item.name: item.value for item in trained.report.metrics if item.slice is None}
    assert figures["roc_auc"] == pytest.approx(roc_auc_score(test.y, score, sample_weight=often))
    assert figures["log_loss"] == pytest.approx(log_loss(test.y, score, sample_weight=often))
    gained = gain(test.y, score >= loaded.threshold)
    assert figures[f"{__name__}:gain"] == pytest.approx(np.average(gained, weights=often))


def test_a_custom_metric_decides_and_compares(trained: Trained) -> None:
    deciding, report = f"{__name__}:gain", trained.report
    assert report.metrics[0].name == deciding
    assert {item.name for item in report.baselines} == {deciding}
    assert {item.slice for item in report.metrics if item.name == deciding} == {None, "kind=x", "kind=y"}
    assert len(report.metric_source) == 64
    (prior,) = (item for item in report.baselines if item.slice == "prior")
    assert prior.low is not None
    assert prior.high is not None
    assert prior.low < prior.value < prior.high


def test_a_search_weighs_its_folds(trained: Trained) -> None:
    found = search_settings(trained.job, trained.split, "lightgbm", 1)
    assert found is not None
    assert np.isfinite(found.report.score)
    assert found.report.gain is not None
    assert found.report.gain.name == f"{__name__}:gain"
    found.log.remove()


def test_a_refit_is_the_judged_fit_on_all_rows_and_keeps_what_was_chosen(trained: Trained) -> None:
    job, split = trained.job, trained.split
    sets = {name: read_set(job, split, name) for name in ("train", "validation", "test")}
    judged, test = load_bundle(job.store.path(trained.bundle.uri), trained.bundle.digest), sets["test"]
    score = judged.score(test.X)
    report = with_refit(job, split, trained.report, test, score, apart=False)
    found, again = load_bundle(job.store.path(report.bundle.uri), report.bundle.digest), report.refit

    X = pd.concat([item.X for item in sets.values()], ignore_index=True)
    y = np.concatenate([item.y for item in sets.values()])
    often = X["w"].to_numpy(dtype=np.float64)
    expected = fit(
        "lightgbm",
        "binary",
        judged.schema,
        X,
        y,
        X[:0],
        y[:0],
        random_state=judged.random_state,
        n_threads=1,
        parameters={"num_iterations": judged.model.native.num_trees()},
        sample_weight=(often, often[:0]),
    )
    assert again is not None
    assert (again.n_rows, report.judged, report.metrics) == (len(y), trained.bundle, trained.report.metrics)
    assert found.score(test.X).tolist() == expected.score(test.X).tolist()
    assert rounds_of(found) == rounds_of(judged)
    assert (found.threshold, found.threshold_criterion) == (judged.threshold, judged.threshold_criterion)
    assert again.churn.value == np.mean((found.score(test.X) >= judged.threshold) != (score >= judged.threshold))
    assert again.churn.value > 0
    assert (again.rehearsal.n_different, all(check.passed for check in again.behaviour)) == (0, True)
