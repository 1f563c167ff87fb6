"""Train one estimator on the train set, choose its threshold on the validation set, and store the bundle.

If the spec or the run requests it, a hyperparameter search precedes the fit.
"""

from dataclasses import replace

import pandas as pd

from tidemill.errors import SettingsError
from tidemill.modeling.bundle import Bundle
from tidemill.records import BundleRef, Parameters, SearchReport, SplitRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.spec import BASELINES, ModelSpec, Search
from tidemill.steps.train.fitting import fitting_of
from tidemill.storage.bundles.save import keep_bundle

__all__ = ["fit_bundle", "store_bundle", "train"]

N_GOLDEN = 50  # rows whose scores every later load must reproduce


@declarations.train
def train(job: Job, split: SplitRef, estimator: str, trials: int | None = None) -> BundleRef:
    """Fit one estimator by name, after a search for good settings if requested.

    Parameters
    ----------
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
        If ``trials`` is out of range.
    """
    n_trials = _n_trials(job.spec, trials)
    searched = None
    if n_trials and estimator not in BASELINES:
        from tidemill.steps.train.search import search_settings  # loads Optuna

        searched = search_settings(job, split, estimator, n_trials)
    if searched is None:
        return fit_bundle(job, split, estimator, {})
    report = searched.report
    if report.best != 0:
        defaults = fit_bundle(job, split, estimator, {})
        report = replace(report, defaults_digest=defaults.digest, defaults_uri=defaults.uri)
    ref = fit_bundle(job, split, estimator, report.parameters, report)
    searched.log.remove()
    return ref


def fit_bundle(
    job: Job, split: SplitRef, estimator: str, parameters: Parameters, report: SearchReport | None = None
) -> BundleRef:
    """Fit one estimator with given settings; the ledger is not needed.

    Parameters
    ----------
    estimator : str
        Name of a candidate or a baseline.
    parameters : dict
        Settings that differ from the estimator's defaults.
    report : SearchReport, optional
        The search that found them, for the record.

    Raises
    ------
    NotTrainable
        If the train set has too few rows or a single class.
    """
    spec = job.spec
    fitted = fitting_of(spec, estimator)(job, split, estimator, parameters)
    uri, digest, size_bytes = store_bundle(job, fitted.bundle, fitted.first)
    return BundleRef(
        estimator=estimator,
        digest=digest,
        uri=uri,
        size_bytes=size_bytes,
        fit_s=fitted.fit_s,
        baseline=estimator in BASELINES,
        validation_score=fitted.validation_score,
        parameters=parameters,
        search=report,
    )


def store_bundle(job: Job, bundle: Bundle, first: pd.DataFrame) -> tuple[str, str, int]:
    """Store a bundle with its first rows as golden rows; return its folder, digest and size in bytes."""
    parent = job.store.root / job.spec.model / "bundles"
    folder, digest = keep_bundle(bundle, parent, first.head(N_GOLDEN), job.spec.train.trusted)
    uri = folder.relative_to(job.store.root).as_posix()
    job.store.share(uri)
    return uri, digest, sum(path.stat().st_size for path in folder.iterdir())


def _n_trials(spec: ModelSpec, trials: int | None) -> int:
    if trials is None:
        return spec.train.search.trials
    try:
        return Search(trials=trials).trials
    except ValueError:
        raise SettingsError(f"{trials} trials were requested.", "Request 0 to 1000.") from None
