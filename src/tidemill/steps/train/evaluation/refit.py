"""Refit: fit what the gate accepts again on all labelled rows, with the settings and the number of rounds that were judged.

Nothing is left to measure the result on. It therefore keeps the threshold, calibration and interval of the judged bundle,
whose figures count for it, and is compared with it on the test rows.
"""

import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.estimators import fit, rounds_of
from tidemill.modeling.gate.behaviour import check_behaviour
from tidemill.modeling.gate.churn import changed_answers
from tidemill.records import BundleRef, EvaluationReport, Refit, SplitRef
from tidemill.runtime.job import Job
from tidemill.steps.data.features import LabelledSet, read_all
from tidemill.steps.train.train import store_bundle
from tidemill.storage.bundles import load_bundle
from tidemill.storage.rehearsal import rehearse, rehearse_here

__all__ = ["fit_again", "with_refit"]


def with_refit(
    job: Job,
    split: SplitRef,
    report: EvaluationReport,
    test: LabelledSet,
    score: npt.NDArray[np.float64],
    *,
    apart: bool,
) -> EvaluationReport:
    """Fit the judged bundle again on all labelled rows, and let the result replace it after the checks of every bundle.

    Parameters
    ----------
    job : Job
        Model and storage; the ledger is not needed.
    report : EvaluationReport
        The figures of the judged bundle, which stay.
    score : ndarray of shape (n_samples,) or (n_samples, n_classes)
        The judged bundle's scores of the test set.
    apart : bool
        Whether the rehearsal runs in a separate process.
    """
    train, judged = job.spec.train, report.bundle
    before = load_bundle(job.store.path(judged.uri), judged.digest, train.trusted)
    ref = fit_again(job, split, judged)
    bundle = load_bundle(job.store.path(ref.uri), ref.digest, train.trusted)
    again, run = bundle.score(test.X), rehearse if apart else rehearse_here
    found = Refit(
        judged=judged,
        n_rows=split.n_train + split.n_validation + split.n_test,
        behaviour=check_behaviour(
            bundle, test.X, stored=test.stored, monotonic=train.monotonic, random_state=train.random_state
        ),
        rehearsal=run(job.store.path(ref.uri), ref.digest, align(test.X, bundle.schema), again, train.trusted),
        churn=changed_answers(
            bundle.answer_of(again),
            before.answer_of(score),
            test.y,
            test.clusters,
            has_classes=bundle.task_type.has_classes,
        ),
    )
    return replace(report, bundle=ref, refit=found)


def fit_again(job: Job, split: SplitRef, judged: BundleRef) -> BundleRef:
    """Fit a stored bundle again on all rows of its split, and store the result beside it."""
    before = load_bundle(job.store.path(judged.uri), judged.digest, job.spec.train.trusted)
    rows, started = read_all(job, split), time.perf_counter()
    bundle = _fit_on(job, rows, before, judged)
    fit_s = time.perf_counter() - started
    uri, digest, size_bytes = store_bundle(job, bundle, rows.X)
    return replace(judged, uri=uri, digest=digest, size_bytes=size_bytes, fit_s=fit_s)


def _fit_on(job: Job, rows: LabelledSet, before: Bundle, judged: BundleRef) -> Bundle:
    train, weight = job.spec.train, rows.sample_weight
    fitted = fit(
        before.estimator,
        before.task,
        before.schema,
        rows.X,
        rows.y,
        rows.X[:0],  # no validation set: nothing is chosen, and the rounds are those that were judged
        rows.y[:0],
        random_state=train.random_state,
        n_threads=train.threads,
        parameters={**judged.parameters, **({} if before.estimator in train.own else rounds_of(before))},
        own=train.own,
        metric=job.spec.accept.metric,
        sample_weight=None if weight is None else (weight, weight[:0]),
        class_weight=train.class_weight,
    )
    remark = f"Fitted again on all {len(rows.y):,} labelled rows after it was judged; the figures are those of the judged fit."
    return replace(
        before,
        preprocessing=fitted.preprocessing,
        model=fitted.model,
        classes=fitted.classes,
        remarks=(*before.remarks, remark),
    )
