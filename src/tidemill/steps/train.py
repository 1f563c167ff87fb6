"""Train: one estimator fitted on the train set, its threshold chosen on the validation set, kept as a bundle.

If the spec or the run asks for it, good settings are searched for first.
"""

import time
from dataclasses import replace

import numpy as np

from tidemill.errors import SettingsError
from tidemill.faults import fault_point
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.calibration import newer_half
from tidemill.modeling.estimators import fit
from tidemill.modeling.finishing import finish
from tidemill.modeling.metrics import point_value
from tidemill.records import BundleRef, Parameters, SearchReport, SplitRef
from tidemill.spec import BASELINES, ModelSpec, Search
from tidemill.steps.features import LabelledSet, read_set
from tidemill.steps.running import Job
from tidemill.storage.bundles import keep_bundle

__all__ = ["refit", "train"]

N_GOLDEN = 50  # rows whose scores every later load has to reproduce


def train(job: Job, split: SplitRef, estimator: str, trials: int | None = None) -> BundleRef:
    """Search for good settings if that is asked for, and fit one estimator by name.

    Parameters
    ----------
    job : Job
        Model, partition, workspace.
    split : SplitRef
        Train and validation set.
    estimator : str
        Name of a candidate or a baseline.
    trials : int, optional
        Settings to try besides the defaults; the spec's ``train.search.trials`` by default. Baselines are not searched.

    Raises
    ------
    SpecError
        If the name is unknown, or the search space has problems.
    NotTrainable
        If the train set has too few rows or a single class, or is too short for the folds.
    SettingsError
        If ``trials`` is out of its range.
    """
    n_trials = _n_trials(job.spec, trials)
    searched = None
    if n_trials and estimator not in BASELINES:
        from tidemill.steps.searching import search_settings  # loads Optuna

        searched = search_settings(job, split, estimator, n_trials)
    if searched is None:
        return refit(job, split, estimator, {})
    report = searched.report
    if report.best != 0:
        defaults = refit(job, split, estimator, {})
        report = replace(report, defaults_digest=defaults.digest, defaults_uri=defaults.uri)
    ref = refit(job, split, estimator, report.parameters, report)
    searched.log.remove()
    return ref


def refit(
    job: Job, split: SplitRef, estimator: str, parameters: Parameters, report: SearchReport | None = None
) -> BundleRef:
    """Fit one estimator with given settings; the ledger is not needed.

    Parameters
    ----------
    job : Job
        Model and storage.
    split : SplitRef
        Train and validation set.
    estimator : str
        Name of a candidate or a baseline.
    parameters : dict
        Settings that differ from the estimator's defaults.
    report : SearchReport, optional
        How they were found, for the record.

    Raises
    ------
    NotTrainable
        If the train set has too few rows or a single class.
    """
    spec = job.spec
    train_set, validation = read_set(job, split, "train"), read_set(job, split, "validation")
    started = time.perf_counter()
    fault_point("fit-started")
    bundle = _fit(spec, estimator, train_set, validation, parameters)
    fit_s = time.perf_counter() - started
    folder, digest = keep_bundle(
        bundle, job.store.root / spec.model / "bundles", validation.X.head(N_GOLDEN), spec.train.trusted
    )
    uri = folder.relative_to(job.store.root).as_posix()
    job.store.share(uri)
    return BundleRef(
        estimator=estimator, digest=digest, uri=uri,
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()), fit_s=fit_s, baseline=estimator in BASELINES,
        validation_score=_score(spec, bundle, validation), parameters=parameters, search=report,
    )  # fmt: skip


def _n_trials(spec: ModelSpec, trials: int | None) -> int:
    if trials is None:
        return spec.train.search.trials
    try:
        return Search(trials=trials).trials
    except ValueError:
        raise SettingsError(f"{trials} trials were asked for.", "Ask for 0 to 1000.") from None


def _fit(
    spec: ModelSpec, estimator: str, train_set: LabelledSet, validation: LabelledSet, parameters: Parameters
) -> Bundle:
    newer = newer_half(validation.blocks)
    stops = np.ones_like(newer) if spec.train.calibration == "none" else ~newer  # rows that stop boosting
    bundle = fit(
        estimator, spec.task.value, train_set.schema, train_set.X, train_set.y, validation.X[stops],
        validation.y[stops], random_state=spec.train.random_state, n_threads=spec.train.threads,
        parameters=parameters, own=spec.train.own,
    )  # fmt: skip
    return finish(
        bundle, validation.X, validation.y, calibration=spec.train.calibration, calibrate_on=newer,
        threshold=spec.train.threshold,
    )  # fmt: skip


def _score(spec: ModelSpec, bundle: Bundle, validation: LabelledSet) -> float:
    return point_value(
        spec.accept.metric, validation.y, bundle.score(validation.X), bundle.threshold, task=bundle.task,
        classes=bundle.class_names,
    )  # fmt: skip
