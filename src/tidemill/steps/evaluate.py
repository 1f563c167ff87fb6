"""Evaluate: the best candidate, chosen on the validation set, measured on the test set that nothing has seen.

Baselines and the champion are measured on the same rows, in pairs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidemill.errors import NotTrainable
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.importance import permutation_importance
from tidemill.modeling.metrics import by_slice, greater_is_better, paired_difference, point_value
from tidemill.modeling.metrics import evaluate as evaluate_scores
from tidemill.monitoring.profile import ColumnProfile, build_profile
from tidemill.records import BundleRef, EvaluationReport, MetricValue, SplitRef
from tidemill.report import charts
from tidemill.steps.features import LabelledSet, read_set
from tidemill.steps.running import Job
from tidemill.storage.bundles import load_bundle
from tidemill.warehouse.releases import Champion

__all__ = ["REFERENCE", "SCORE", "evaluate"]

REFERENCE = "reference.json"  # profiles of the train set's features and of the test set's scores, for monitoring
SCORE = "score"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scored:
    """One model and its scores on the test set."""

    ref: BundleRef
    bundle: Bundle
    score: npt.NDArray[np.float64]


def evaluate(job: Job, split: SplitRef, bundles: tuple[BundleRef, ...]) -> EvaluationReport:
    """Measure the best candidate on the test set, against the baselines and the champion.

    Raises
    ------
    NotTrainable
        If no candidate has a validation score.
    ArtifactCorrupt
        If a bundle is not what its digest says.
    """
    spec, metric = job.spec, job.spec.accept.metric
    test = read_set(job, split, "test")
    best = _scored(job, _best(bundles, metric), test)
    baselines = [_scored(job, ref, test) for ref in bundles if ref.baseline]
    champion = job.releases.champion(spec.model)
    importance = permutation_importance(best.bundle, test.X, test.y, random_state=spec.train.random_state)
    metrics = _metrics(job, best, test)
    pictures = _pictures(best, baselines, test, importance)
    reference = _reference(read_set(job, split, "train"), test, best)

    def fill(folder: Path) -> None:
        for name, chart in pictures.items():
            charts.save(chart, folder / name)
        (folder / REFERENCE).write_text(json.dumps([profile.to_dict() for profile in reference]), encoding="utf-8")

    stored = job.store.write(spec.model, "evaluations", fill)
    return EvaluationReport(
        estimator=best.ref.estimator,
        bundle=best.ref,
        candidates=bundles,
        metrics=metrics,
        importance=importance,
        baselines=tuple(_difference(metric, test, best, other, other.ref.estimator) for other in baselines),
        champion_release=champion.release_id if champion else None,
        champion_difference=_against_champion(job, champion, metric, test, best) if champion else None,
        champion_saw_test=champion is not None and champion.learnt_until > split.test_start,
        n_test=len(test.y),
        uri=stored.uri,
    )


def _best(bundles: Sequence[BundleRef], metric: str) -> BundleRef:
    """Give the candidate that is best on the validation set; the first listed wins a tie."""
    sign = 1 if greater_is_better(metric) else -1
    candidates = [ref for ref in bundles if not ref.baseline and np.isfinite(ref.validation_score)]
    if not candidates:
        raise NotTrainable(
            f"No candidate has a {metric} on the validation set; it may hold a single class.",
            "Lengthen train.validation, or look at the labels.",
        )
    return max(candidates, key=lambda ref: sign * ref.validation_score)


def _scored(job: Job, ref: BundleRef, test: LabelledSet) -> _Scored:
    bundle = load_bundle(job.store.path(ref.uri), ref.digest)
    return _Scored(ref=ref, bundle=bundle, score=bundle.score(test.X))


def _metrics(job: Job, best: _Scored, test: LabelledSet) -> tuple[MetricValue, ...]:
    accept, seed = job.spec.accept, job.spec.train.random_state
    whole = evaluate_scores(
        "binary", test.y, best.score, threshold=best.bundle.threshold, blocks=test.blocks, random_state=seed
    )
    whole = tuple(sorted(whole, key=lambda figure: figure.name != accept.metric))  # the deciding one first
    slices = {name: test.X[name] for name in accept.slices}
    sliced = by_slice(
        test.y, best.score, slices, threshold=best.bundle.threshold, blocks=test.blocks, metrics=(accept.metric,),
        random_state=seed,
    )  # fmt: skip
    return (*whole, _mean_of_partitions(accept.metric, best, test), *sliced)


def _mean_of_partitions(metric: str, best: _Scored, test: LabelledSet) -> MetricValue:
    """Mean of the metric over single partitions, which is what monitoring will see of it."""
    values = np.array([
        point_value(metric, test.y[rows], best.score[rows], best.bundle.threshold)
        for rows in (test.blocks == key for key in np.unique(test.blocks))
    ])  # fmt: skip
    known = values[np.isfinite(values)]
    spread = 1.96 * known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else None
    mean = float(known.mean()) if len(known) else float("nan")
    return MetricValue(
        name=f"{metric}_of_partitions", value=mean, n=len(test.y),
        low=None if spread is None else mean - float(spread), high=None if spread is None else mean + float(spread),
    )  # fmt: skip


def _difference(metric: str, test: LabelledSet, best: _Scored, other: _Scored, name: str) -> MetricValue:
    return paired_difference(
        metric, test.y, best.score, other.score, test.blocks, threshold_a=best.bundle.threshold,
        threshold_b=other.bundle.threshold, slice=name,
    )  # fmt: skip


def _against_champion(job: Job, champion: Champion, metric: str, test: LabelledSet, best: _Scored) -> MetricValue:
    bundle = load_bundle(job.store.path(champion.bundle_uri), champion.bundle_digest)
    score = bundle.score(test.X)
    return paired_difference(
        metric, test.y, best.score, score, test.blocks, threshold_a=best.bundle.threshold,
        threshold_b=bundle.threshold, slice=f"release {champion.release_id}",
    )  # fmt: skip


def _pictures(
    best: _Scored, baselines: Sequence[_Scored], test: LabelledSet, importance: tuple[MetricValue, ...]
) -> dict[str, charts.Chart]:
    scores = {item.ref.estimator: item.score for item in (best, *baselines)}
    compared = {
        name: evaluate_scores("binary", test.y, score, blocks=test.blocks, metrics=("roc_auc",))[0]
        for name, score in scores.items()
    }
    return {
        "roc_curve": charts.roc_curve(test.y, scores),
        "calibration": charts.reliability(test.y, best.score),
        "importance": charts.importance(importance),
        "scores": charts.score_histogram(best.score, test.y),
        "estimators": charts.estimator_comparison(compared, chosen=best.ref.estimator),
    }


def _reference(train: LabelledSet, test: LabelledSet, best: _Scored) -> tuple[ColumnProfile, ...]:
    features = build_profile(
        pa.Table.from_pandas(train.X[list(train.schema.names)], preserve_index=False),
        train.schema.numeric,
        train.schema.categorical,
        blocks=np.unique(train.blocks, return_inverse=True)[1],
    )
    scores = build_profile(
        pa.table({SCORE: best.score}), [SCORE], [], blocks=np.unique(test.blocks, return_inverse=True)[1]
    )
    return (*features, *scores)
