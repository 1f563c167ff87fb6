"""Evaluate the best candidate, chosen on the validation set, on the untouched test set.

Baselines and the champion are measured on the same rows, paired. Checks without labels follow: the candidate's
behaviour, the difference of its answers from the champion's, and equal scores in a clean process. With `train.refit`, a
candidate that passes is fitted again on all labelled rows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.errors import NotTrainable, SpecError
from tidemill.intervals import day_of
from tidemill.metrics.blocks import index_blocks
from tidemill.metrics.definitions import METRICS, greater_is_better, is_own, sampled_metric
from tidemill.metrics.differences import paired_difference
from tidemill.metrics.evaluation import OF_INTERVALS, by_slice, point_value
from tidemill.metrics.evaluation import evaluate as evaluate_scores
from tidemill.metrics.own import digest_of
from tidemill.metrics.student import half_width
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.gate.behaviour import check_behaviour
from tidemill.modeling.gate.explanation import check_explanation
from tidemill.modeling.gate.gate import decide_acceptance
from tidemill.modeling.importance import Shuffles, permutation_importance
from tidemill.records import BehaviourCheck, BundleRef, EvaluationReport, MetricValue, Rehearsal, SplitRef
from tidemill.report import charts
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.steps.data.features import LabelledSet, read_enough, read_set
from tidemill.steps.monitor.outlook import OUTLOOK, outlook_of
from tidemill.steps.train.against_champion import compare_with_champion
from tidemill.steps.train.evaluation.leave_out import fit_without, weigh_groups
from tidemill.steps.train.evaluation.refit import with_refit
from tidemill.steps.train.evaluation.slices import gaps_of, search_slices
from tidemill.steps.train.evidence import reference_of, task_pictures
from tidemill.storage.bundles import load_bundle
from tidemill.storage.layout import REFERENCE
from tidemill.storage.rehearsal import rehearse, rehearse_here

__all__ = ["evaluate"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scored:
    """One model and its scores on the test set."""

    ref: BundleRef
    bundle: Bundle
    score: npt.NDArray[np.float64]


@declarations.evaluate
def evaluate(job: Job, split: SplitRef, bundles: tuple[BundleRef, ...], shown: bool = True) -> EvaluationReport:
    """Measure the best candidate on the test set, against the baselines and the champion.

    Parameters
    ----------
    shown : bool, default True
        Whether the evaluation is shown. If False, it decides the same in half the time: there are no charts, no slices
        are searched, no features left out, the rehearsal takes place in this process, and only a candidate that the gate
        accepts gets its importances.

    Raises
    ------
    NotTrainable
        If no candidate has a validation score.
    ArtifactCorrupt
        If a bundle does not match its digest.
    """
    spec, ref = job.spec, _best(bundles, job.spec.accept.metric)
    without = fit_without(job, split, ref) if shown else ()
    test = read_set(job, split, "test")
    best = _scored(job, ref, test)
    baselines = [_scored(job, ref, test) for ref in bundles if ref.baseline]
    importance = _importance(job, best, test) if shown else ()
    uri = _stored(job, split, best, test, _pictures(job, best, baselines, test, importance) if shown else {})
    report = EvaluationReport(
        estimator=best.ref.estimator,
        bundle=best.ref,
        candidates=bundles,
        metrics=_metrics(job, best, test),
        importance=importance,
        feature_groups=weigh_groups(job, test, best.bundle, without),
        gaps=gaps_of(job, test, best.bundle, best.score),
        slice_search=search_slices(job, split, test, best.bundle, importance) if shown else None,
        search_gain=_search_gain(job, best, test),
        baselines=tuple(_difference(spec.accept.metric, test, best, other) for other in baselines),
        champion_release=None,
        champion_difference=None,
        champion_saw_test=False,
        n_test=len(test.y),
        n_test_blocks=index_blocks(test.blocks, len(test.y)).n,
        unlabelled_share=split.unlabelled_share,
        unmatched_label_share=split.unmatched_label_share,
        near_match_share=split.near_match_share,
        strong_columns=split.strong_columns,
        behaviour=_behaviour(job, best, test),
        explained=check_explanation(best.bundle, test.X) if shown else None,
        rehearsal=_rehearsal(job, best, test, apart=shown),
        threshold=best.bundle.threshold,
        threshold_criterion=best.bundle.threshold_criterion,
        calibration="" if best.bundle.calibration is None else best.bundle.calibration.described,
        uri=uri,
        metric_source=digest_of(spec.accept.metric) if is_own(spec.accept.metric) else "",
    )
    report = compare_with_champion(job, test, best.bundle, best.score, report)
    accepted = decide_acceptance(report, spec.accept).accepted
    return _ready_to_serve(job, split, report, best, test, shown=shown) if accepted else report


def _ready_to_serve(
    job: Job, split: SplitRef, report: EvaluationReport, best: _Scored, test: LabelledSet, *, shown: bool
) -> EvaluationReport:
    """Add what only a candidate that the gate accepts needs."""
    if not shown:  # drift is weighted by importance once it serves
        report = replace(report, importance=_importance(job, best, test))
    return with_refit(job, split, report, test, best.score, apart=shown) if job.spec.train.refit else report


def _stored(job: Job, split: SplitRef, best: _Scored, test: LabelledSet, pictures: Mapping[str, charts.Chart]) -> str:
    """Store the charts and the data for monitoring; return the folder."""
    weights_known = job.spec.weight is None or job.spec.weight in test.X
    outlook = outlook_of(best.bundle, test, best.score, weights_known=weights_known)
    reference = reference_of(read_enough(job, split, "train"), test, best.bundle, best.score)

    def fill(folder: Path) -> None:
        for name, chart in pictures.items():
            charts.save(chart, folder / name)
        (folder / REFERENCE).write_text(json.dumps([profile.to_dict() for profile in reference]), encoding="utf-8")
        (folder / OUTLOOK).write_text(json.dumps(outlook), encoding="utf-8")

    return job.store.write(job.spec.model, "evaluations", fill).uri


def _best(bundles: Sequence[BundleRef], metric: str) -> BundleRef:
    """Return the best candidate on the validation set; the first listed wins a tie."""
    sign = 1 if greater_is_better(metric) else -1
    candidates = [ref for ref in bundles if not ref.baseline and np.isfinite(ref.validation_score)]
    if not candidates:
        raise NotTrainable(
            f"No candidate has a {metric} on the validation set; it may hold a single class.",
            "Lengthen train.validation, or look at the labels.",
        )
    return max(candidates, key=lambda ref: sign * ref.validation_score)


def _scored(job: Job, ref: BundleRef, test: LabelledSet) -> _Scored:
    bundle = load_bundle(job.store.path(ref.uri), ref.digest, job.spec.train.trusted)
    return _Scored(ref=ref, bundle=bundle, score=bundle.score(test.X))


def _importance(job: Job, best: _Scored, test: LabelledSet) -> tuple[MetricValue, ...]:
    return permutation_importance(
        best.bundle,
        test.X,
        test.y,
        metric=sampled_metric(best.bundle.task, job.spec.accept.metric),
        blocks=test.clusters,
        sample_weight=test.sample_weight,
        shuffles=Shuffles(random_state=job.spec.train.random_state),
    )


def _behaviour(job: Job, best: _Scored, test: LabelledSet) -> tuple[BehaviourCheck, ...]:
    train = job.spec.train
    return check_behaviour(
        best.bundle, test.X, stored=test.stored, monotonic=train.monotonic, random_state=train.random_state
    )


def _rehearsal(job: Job, best: _Scored, test: LabelledSet, *, apart: bool) -> Rehearsal:
    rows, run = align(test.X, best.bundle.schema), rehearse if apart else rehearse_here
    return run(job.store.path(best.ref.uri), best.ref.digest, rows, best.score, job.spec.train.trusted)


def _metrics(job: Job, best: _Scored, test: LabelledSet) -> tuple[MetricValue, ...]:
    accept, bundle = job.spec.accept, best.bundle
    options: dict[str, Any] = {
        "threshold": bundle.threshold,
        "classes": bundle.class_names,
        "blocks": test.clusters,
        "sample_weight": test.sample_weight,
        "interval": bundle.interval_of(best.score) if bundle.residual_quantiles else None,
    }
    names = _shown(bundle, accept.metric)
    whole = evaluate_scores(bundle.task, test.y, best.score, metrics=names, **options)
    whole = tuple(sorted(whole, key=lambda figure: figure.name != accept.metric))  # the deciding one first
    if is_own(accept.metric) and not np.isfinite(whole[0].value):
        raise SpecError(
            f"accept.metric {accept.metric!r} returns {whole[0].value} on the {len(test.y):,} rows of the test set.",
            "Let the function return a finite number.",
        )
    slices = {name: test.X[name] for name in accept.slices}
    sliced = by_slice(test.y, best.score, slices, task=bundle.task, metrics=(accept.metric,), **options)
    return (*whole, _mean_of_partitions(accept.metric, best, test), *_unknown(bundle, test), *sliced)


def _shown(bundle: Bundle, metric: str) -> tuple[str, ...]:
    """Return the metrics of the task, those of an interval only if there is one, and the one that decides."""
    of_interval = () if bundle.residual_quantiles else OF_INTERVALS
    return tuple(dict.fromkeys((*(name for name in METRICS[bundle.task] if name not in of_interval), metric)))


def _unknown(bundle: Bundle, test: LabelledSet) -> tuple[MetricValue, ...]:
    """Return the share of rows whose class is missing from the train set, so that no answer is correct."""
    if bundle.class_names is None or not len(test.y):
        return ()
    share = float((~np.isin(test.y.astype(str), bundle.class_names)).mean())
    return (MetricValue(name="unknown_class_share", value=share, n=len(test.y)),)


def _mean_of_partitions(metric: str, best: _Scored, test: LabelledSet) -> MetricValue:
    """Return the mean of the metric over single partitions, as monitoring measures it, with an interval over days."""
    bundle = best.bundle
    values = np.array(
        [
            point_value(
                metric,
                test.y[rows],
                best.score[rows],
                bundle.threshold,
                task=bundle.task,
                classes=bundle.class_names,
                sample_weight=test.weight_of(rows),
            )
            for rows in (test.blocks == key for key in np.unique(test.blocks))
        ]
    )
    known = _means_of_days(np.unique(test.blocks), values)
    spread = half_width(known.tolist()) if len(known) > 1 else None
    mean = float(known.mean()) if len(known) else float("nan")
    return MetricValue(
        name=f"{metric}_of_partitions",
        value=mean,
        n=len(test.y),
        n_blocks=len(known),
        low=None if spread is None else mean - spread,
        high=None if spread is None else mean + spread,
    )


def _means_of_days(keys: npt.NDArray[Any], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mean over each day's hours, and the values of longer partitions; without those that are not defined."""
    by_day: dict[str, list[float]] = {}
    for key, value in zip(keys, values, strict=True):
        if np.isfinite(value):
            by_day.setdefault(day_of(str(key)), []).append(float(value))
    return np.array([np.mean(of_day) for of_day in by_day.values()])


def _search_gain(job: Job, best: _Scored, test: LabelledSet) -> MetricValue | None:
    """Compare with the defaults on rows not used to choose the settings."""
    found = best.ref.search
    if found is None or not found.defaults_digest:
        return None
    ref = replace(best.ref, estimator="defaults", digest=found.defaults_digest, uri=found.defaults_uri)
    return _difference(job.spec.accept.metric, test, best, _scored(job, ref, test))


def _difference(metric: str, test: LabelledSet, best: _Scored, other: _Scored) -> MetricValue:
    return paired_difference(
        metric,
        test.y,
        best.score,
        other.score,
        test.clusters,
        task=best.bundle.task,
        threshold_a=best.bundle.threshold,
        threshold_b=other.bundle.threshold,
        classes_a=best.bundle.class_names,
        classes_b=other.bundle.class_names,
        sample_weight=test.sample_weight,
        slice=other.ref.estimator,
    )


def _pictures(
    job: Job, best: _Scored, baselines: Sequence[_Scored], test: LabelledSet, importance: tuple[MetricValue, ...]
) -> dict[str, charts.Chart]:
    metric, scored = job.spec.accept.metric, (best, *baselines)
    compared = {
        item.ref.estimator: evaluate_scores(
            item.bundle.task,
            test.y,
            item.score,
            threshold=item.bundle.threshold,
            classes=item.bundle.class_names,
            blocks=test.clusters,
            sample_weight=test.sample_weight,
            metrics=(metric,),
        )[0]
        for item in scored
    }
    return {
        **task_pictures(best.bundle, test.y, {item.ref.estimator: item.score for item in scored}),
        "importance": charts.importance(importance),
        "estimators": charts.estimator_comparison(
            compared, chosen=best.ref.estimator, greater_is_better=greater_is_better(metric)
        ),
    }
