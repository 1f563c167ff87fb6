"""Train: one estimator fitted on the train set, its threshold chosen on the validation set, kept as a bundle."""

import time

from tidemill.modeling.estimators import fit
from tidemill.modeling.metrics import point_value
from tidemill.records import BundleRef, SplitRef
from tidemill.spec import BASELINES
from tidemill.steps.features import read_set
from tidemill.steps.running import Job
from tidemill.storage.bundles import keep_bundle

__all__ = ["train"]

N_GOLDEN = 50  # rows whose scores every later load has to reproduce


def train(job: Job, split: SplitRef, estimator: str) -> BundleRef:
    """Fit one estimator by name.

    Raises
    ------
    SpecError
        If the name is unknown.
    NotTrainable
        If the train set has too few rows or a single class.
    """
    spec = job.spec
    train_set, validation = read_set(job, split, "train"), read_set(job, split, "validation")
    started = time.perf_counter()
    bundle = fit(
        estimator, spec.task.value, train_set.schema, train_set.X, train_set.y, validation.X, validation.y,
        random_state=spec.train.random_state, n_threads=spec.train.threads,
    )  # fmt: skip
    fit_s = time.perf_counter() - started
    folder, digest = keep_bundle(bundle, job.store.root / spec.model / "bundles", validation.X.head(N_GOLDEN))
    score = point_value(spec.accept.metric, validation.y, bundle.score(validation.X), bundle.threshold)
    return BundleRef(
        estimator=estimator, digest=digest, uri=folder.relative_to(job.store.root).as_posix(),
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()), fit_s=fit_s,
        baseline=estimator in BASELINES, validation_score=score,
    )  # fmt: skip
