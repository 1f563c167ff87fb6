"""Score a matured partition with releases of several ages, and compare each with the youngest one; nothing is published."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.arrow import to_frame
from tidemill.errors import ArtifactCorrupt, IncompatibleVersions
from tidemill.metrics.definitions import greater_is_better
from tidemill.metrics.differences import paired_difference
from tidemill.metrics.staleness import AGES, LOSS, YOUNGER_BY
from tidemill.modeling.bundle import Bundle
from tidemill.records import MetricValue
from tidemill.runtime.job import Job
from tidemill.steps.monitor.realised_quality import Outcomes
from tidemill.steps.monitor.scored_columns import scored_columns
from tidemill.storage.bundles import load_bundle
from tidemill.warehouse.releases.registry import Release

__all__ = ["compare_ages", "is_comparable"]

DAY = timedelta(days=1)
WIDTH = 7 * DAY  # a release has each age for a week, so that weekly trainings leave no gap


def compare_ages(job: Job, outcomes: Outcomes) -> tuple[MetricValue, ...]:
    """Return the loss of a release of each age against the youngest release, on the labelled rows of a partition.

    An age is left out that no release has, or whose release or rows retention has removed. So is a release that cannot be
    loaded here, that answers another question, or that reads a feature which the youngest one does not read in the same way.
    """
    spec = job.spec
    cutoff = spec.partition(outcomes.run.partition).cutoff
    youngest = job.releases.trained_before(spec.model, cutoff)
    if youngest is None or not spec.has_time or outcomes.run.task != spec.task:
        return ()
    older = [(age, release) for age in AGES if (release := _of_age(job, cutoff, age, youngest)) is not None]
    reference = _bundle(job, youngest) if older else None
    rows = None if reference is None else _labelled(job, outcomes, reference.schema.names)
    if reference is None or rows is None or reference.task != spec.task:
        return ()
    return tuple(
        figure
        for age, release in older
        if (bundle := _bundle(job, release)) is not None and is_comparable(bundle, reference)
        for figure in _figures(age, youngest, release, _loss(job, outcomes, rows, (reference, bundle)))
    )


def _of_age(job: Job, cutoff: datetime, age: int, youngest: Release) -> Release | None:
    """Return the release that reached an age less than a week ago, unless it is the youngest."""
    found = job.releases.trained_before(job.spec.model, cutoff - age * DAY + timedelta.resolution)
    if found is None or found.known_until >= youngest.known_until:
        return None
    return found if cutoff - found.known_until < age * DAY + WIDTH else None


def _counted(outcomes: Outcomes) -> pa.ChunkedArray:
    known = pc.is_valid(outcomes.y)
    return known if outcomes.weight is None else pc.and_(known, pc.fill_null(pc.greater(outcomes.weight, 0), False))


def _labelled(job: Job, outcomes: Outcomes, names: tuple[str, ...]) -> pd.DataFrame | None:
    """Return the features of the labelled rows, as they were scored; None if retention has removed them."""
    found = scored_columns(job, outcomes.run, outcomes.rows.filter(_counted(outcomes)), names)
    return to_frame(pa.table(found)) if found else None


def _bundle(job: Job, release: Release) -> Bundle | None:
    """Return the model of a release; None if retention has removed it, or it cannot be loaded with today's libraries."""
    try:
        return load_bundle(job.store.path(release.bundle_uri), release.bundle_digest, job.spec.train.trusted)
    except (ArtifactCorrupt, IncompatibleVersions):
        return None


def is_comparable(older: Bundle, youngest: Bundle) -> bool:
    """Return whether a release answers the same question as the youngest one, from features that this one reads, too."""
    return (
        (older.task, older.classes) == (youngest.task, youngest.classes)
        and set(older.schema.numeric) <= set(youngest.schema.numeric)
        and set(older.schema.categorical) <= set(youngest.schema.categorical)
    )


def _loss(job: Job, outcomes: Outcomes, rows: pd.DataFrame, bundles: tuple[Bundle, Bundle]) -> MetricValue:
    """Return by how much the metric of a younger model is better than that of an older one."""
    metric, counted, (younger, older) = job.spec.accept.metric, _counted(outcomes), bundles
    difference = paired_difference(
        metric,
        outcomes.y.filter(counted).to_numpy(),
        younger.score(rows),
        older.score(rows),
        None,
        task=job.spec.task,
        threshold_a=younger.threshold,
        threshold_b=older.threshold,
        classes_a=younger.class_names,
        classes_b=older.class_names,
        sample_weight=None if outcomes.weight is None else outcomes.weight.filter(counted).to_numpy(),
    )
    sign = 1.0 if greater_is_better(metric, job.spec.task) else -1.0
    return replace(difference, name=LOSS, value=sign * difference.value, low=None, high=None)


def _figures(age: int, youngest: Release, release: Release, loss: MetricValue) -> Iterator[MetricValue]:
    label = f"age={age}"
    yield replace(loss, slice=label)
    yield MetricValue(name=YOUNGER_BY, value=(youngest.known_until - release.known_until) / DAY, slice=label)
