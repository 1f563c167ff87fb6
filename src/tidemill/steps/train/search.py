"""Hyperparameter search on folds of the train and validation set, before the estimator is fitted.

Each trial is stored as soon as it is measured, so that a killed task resumes where it stopped. The test set is not read.
"""

import json
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from tidemill.metrics.definitions import greater_is_better
from tidemill.modeling.search.folds import Fold, cut_folds
from tidemill.modeling.search.measure import Fitting, FoldSet
from tidemill.modeling.search.search import Found, Limits, best_of, mean_score, search
from tidemill.modeling.search.space import Space, at_bounds, space_of
from tidemill.records import SearchReport, SplitRef, Trial
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.data.features import LabelledSet, one_of, read_enough
from tidemill.storage.trials import TRIALS, TrialLog
from tidemill.versions import code_version, lock_digest

__all__ = ["Searched", "search_settings"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """Result of a search, and its trials until its bundle is stored."""

    report: SearchReport
    log: TrialLog
    """Its stored trials, removed once the bundle is stored."""


def search_settings(job: Job, split: SplitRef, estimator: str, n_trials: int) -> Searched | None:
    """Search for good settings of an estimator; None if it has no search space.

    Parameters
    ----------
    split : SplitRef
        The sets; train and validation are used.
    n_trials : int
        Settings to try besides the defaults, from 1.

    Raises
    ------
    SpecError
        If the spec's space has problems.
    NotTrainable
        If there are too few partitions for the folds, or a fold cannot be fitted or measured.
    """
    spec = job.spec
    space = space_of(estimator, spec.train.search.space)
    if not space:
        return None
    folds = _fold_set(job, split, estimator)
    limits = Limits(
        n_trials=n_trials,
        n_folds=len(folds.rows),
        timeout_s=spec.train.search.timeout.total_seconds(),
        greater_is_better=greater_is_better(spec.accept.metric, spec.task.value),
        random_state=spec.train.random_state,
    )
    log = TrialLog.of(
        job.store.root / spec.model / "searches",
        {
            "spec": spec.digest,
            "split": split.digest,
            "estimator": estimator,
            "code": code_version(),
            "packages": lock_digest(),
        },
    )

    known = log.read()
    trials = list(known)

    def keep(trial: Trial) -> None:
        log.keep(trial)
        trials.append(trial)
        best = best_of(trials, greater_is_better=limits.greater_is_better)
        folds.forget_all_but({}, best.parameters)  # the two whose difference is the gain
        _log.info("%s, %s", estimator, _told(trial, spec.accept.metric))

    if known:
        _log.info("%s: %d trials were kept by an attempt before this one.", estimator, len(known))
    found = search(space, folds.measure, limits, known=known, on_trial=keep)
    every = 1 if spec.train.engine == "local" else one_of(split.n_train)
    return Searched(report=replace(_report(job, estimator, space, folds, found), every=every), log=log)


def _fold_set(job: Job, split: SplitRef, estimator: str) -> FoldSet:
    spec, train, validation = job.spec, read_enough(job, split, "train"), read_enough(job, split, "validation")
    return FoldSet.cut(
        _folds(spec, train, validation),
        pd.concat([train.X, validation.X], ignore_index=True),
        np.concatenate([train.y, validation.y]),
        np.concatenate([train.blocks, validation.blocks]),
        Fitting(
            estimator=estimator,
            task=spec.task.value,
            metric=spec.accept.metric,
            schema=train.schema,
            random_state=spec.train.random_state,
            n_threads=spec.train.threads,
            own=spec.train.own,
            calibration=spec.train.calibration,
            threshold=spec.train.threshold,
            class_weight=spec.train.class_weight,
        ),
        None if train.sample_weight is None else np.concatenate([train.sample_weight, validation.sample_weight]),
    )


def _folds(spec: ModelSpec, train: LabelledSet, validation: LabelledSet) -> tuple[Fold, ...]:
    keys = {*train.blocks, *validation.blocks}
    partitions = sorted((spec.block(key) for key in keys), key=lambda item: item.interval.start)
    chosen = spec.train.search
    gap = spec.label.matures_after if spec.has_time else timedelta(0)
    return cut_folds(partitions, chosen.folds, len({*validation.blocks}), gap, chosen.window)


def _report(job: Job, estimator: str, space: Space, folds: FoldSet, found: Found) -> SearchReport:
    best, tried = found.best, found.trials[1:]

    def fill(folder: Path) -> None:
        _write(folder / TRIALS, estimator, space, found)

    stored = job.store.write(job.spec.model, "searches", fill)
    return SearchReport(
        n_trials=len(tried),
        n_pruned=sum(trial.pruned for trial in tried),
        n_folds=len(folds.rows),
        cut_short=found.cut_short,
        best=best.number,
        parameters=best.parameters,
        score=mean_score(best),
        default_score=mean_score(found.trials[0]),
        gain=folds.gain(best.parameters),
        at_bounds=at_bounds(estimator, space, best.parameters),
        seconds=sum(trial.seconds for trial in found.trials),
        digest=stored.digest,
        uri=stored.uri,
    )


def _write(path: Path, estimator: str, space: Space, found: Found) -> None:
    content = {
        "estimator": estimator,
        "space": {name: dimension.model_dump(mode="json") for name, dimension in space.items()},
        "trials": [trial.to_dict() for trial in found.trials],
    }
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _told(trial: Trial, metric: str) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in trial.parameters.items()) or "defaults"
    given_up = f", given up after {len(trial.scores)} fold(s)" if trial.pruned else ""
    return f"trial {trial.number} ({settings}): {metric} {mean_score(trial):.4f} in {trial.seconds:.1f} s{given_up}"
