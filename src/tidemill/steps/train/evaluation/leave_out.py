"""What groups of features gain and cost: the chosen estimator is fitted again without one group at a time.

The fits take place before the test set is read, so that evaluation needs no more memory than training does.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tidemill.errors import SpecError
from tidemill.metrics.definitions import greater_is_better
from tidemill.metrics.differences import paired_difference
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.gate.finding import is_finite
from tidemill.modeling.importance import correlated_groups
from tidemill.modeling.schema import FeatureSchema
from tidemill.records import BundleRef, FeatureGroup, MetricValue, SplitRef
from tidemill.runtime.job import Job
from tidemill.spec import Features, LeaveOut
from tidemill.steps.data.features import LabelledSet, read_sample
from tidemill.steps.train.train import fit_bundle
from tidemill.storage.bundles import load_bundle

__all__ = ["Without", "fit_without", "weigh_groups"]

_TIMED_ROWS = 50_000  # rows whose scoring is timed
_N_TIMED = 3  # times; the fastest one is least disturbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """A fit without a group of features."""

    name: str
    features: tuple[str, ...]
    """The features left out."""
    ref: BundleRef
    """The fitted model."""


def fit_without(job: Job, split: SplitRef, best: BundleRef) -> tuple[Without, ...]:
    """Fit the chosen estimator with the same settings, without one group of features at a time.

    Returns
    -------
    tuple of Without
        Empty unless ``train.leave_out`` asks for it. A group that is all of the features is left out.

    Raises
    ------
    SpecError
        If a declared group names something that is not a feature.
    """
    wanted = job.spec.train.leave_out
    if wanted is None:
        return ()
    schema = load_bundle(job.store.path(best.uri), best.digest, job.spec.train.trusted).schema
    groups = wanted.groups or correlated_groups(align(read_sample(job, split, "train").X, schema), schema.numeric)
    _refuse_strangers(wanted, schema)
    chosen = [item for item in groups.items() if set(item[1]) != set(schema.names)][: wanted.most]
    return tuple(
        Without(
            name=name,
            features=tuple(features),
            ref=fit_bundle(_reduced(job, schema, features), split, best.estimator, best.parameters),
        )
        for name, features in chosen
    )


def _refuse_strangers(wanted: LeaveOut, schema: FeatureSchema) -> None:
    strangers = sorted({name for features in wanted.groups.values() for name in features} - set(schema.names))
    if strangers:
        raise SpecError(
            f"train.leave_out.groups names {', '.join(strangers)}, which the model does not read.",
            f"Choose among {', '.join(schema.names)}.",
        )


def _reduced(job: Job, schema: FeatureSchema, without: tuple[str, ...]) -> Job:
    """Return the job of the same model without some features."""
    kept = Features(
        numeric=tuple(name for name in schema.numeric if name not in without),
        categorical=tuple(name for name in schema.categorical if name not in without),
    )
    monotonic = {name: way for name, way in job.spec.train.monotonic.items() if name not in without}
    train = job.spec.train.model_copy(update={"monotonic": monotonic})
    return replace(job, spec=job.spec.model_copy(update={"features": kept, "train": train}))


def weigh_groups(job: Job, test: LabelledSet, best: Bundle, fits: tuple[Without, ...]) -> tuple[FeatureGroup, ...]:
    """Return what each left out group gains and costs, on the test set.

    Parameters
    ----------
    fits : tuple of Without
        From `fit_without`.

    Returns
    -------
    tuple of FeatureGroup
        The smallest gain first.
    """
    if not fits:
        return ()
    whole = _seconds(best, test.X)
    before = dict(_idle_before(job))
    found = []
    for fit in fits:
        reduced = load_bundle(job.store.path(fit.ref.uri), fit.ref.digest, job.spec.train.trusted)
        gain = _gain(job, test, best, reduced)
        stored = test.stored.select(list(fit.features))
        found.append(
            FeatureGroup(
                name=fit.name,
                features=fit.features,
                gain=gain,
                null_share=float(test.X[list(fit.features)].isna().to_numpy().mean()),
                bytes_per_row=stored.nbytes / max(stored.num_rows, 1),
                score_s_per_million=(whole - _seconds(reduced, test.X)) * 1e6 / max(min(len(test.y), _TIMED_ROWS), 1),
                fit_s=fit.ref.fit_s,
                n_idle=before.get(frozenset(fit.features), 0) + 1 if _includes_zero(gain) else 0,
            )
        )
    return tuple(sorted(found, key=lambda group: np.nan_to_num(group.gain.value)))


def _gain(job: Job, test: LabelledSet, best: Bundle, reduced: Bundle) -> MetricValue:
    metric = job.spec.accept.metric
    found = paired_difference(
        metric,
        test.y,
        best.score(test.X),
        reduced.score(test.X),
        test.blocks,
        task=best.task,
        threshold_a=best.threshold,
        threshold_b=reduced.threshold,
        classes_a=best.class_names,
        classes_b=reduced.class_names,
        sample_weight=test.sample_weight,
    )
    if greater_is_better(metric, best.task):
        return found
    low, high = (None if end is None else 0.0 - end for end in (found.high, found.low))  # never -0.0
    return replace(found, value=0.0 - found.value, low=low, high=high)


def _includes_zero(gain: MetricValue) -> bool:
    return is_finite(gain.low) and is_finite(gain.high) and (gain.low or 0.0) <= 0.0 <= (gain.high or 0.0)


def _seconds(bundle: Bundle, X: pd.DataFrame) -> float:
    """Return the processor seconds of scoring some rows."""
    rows, spent = X.head(_TIMED_ROWS), []
    for _ in range(_N_TIMED):
        began = time.process_time()
        bundle.score(rows)
        spent.append(time.process_time() - began)
    return min(spent)


def _idle_before(job: Job) -> Iterator[tuple[frozenset[str], int]]:
    """Return for how many trainings each group had been idle in the training before."""
    release = job.releases.trained_before(job.spec.model, job.partition.cutoff)
    evidence: Mapping[str, list[dict[str, object]]] = {} if release is None else release.evidence
    for item in evidence.get("feature_groups", ()):
        group = FeatureGroup.from_dict(item)
        yield frozenset(group.features), group.n_idle
