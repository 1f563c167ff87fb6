"""Slices of a candidate's rows, by features and audit columns: the search for those in which it is weak, and gaps."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.metrics.definitions import greater_is_better, sampled_metric
from tidemill.metrics.gaps import group_gaps
from tidemill.metrics.rows import Reading
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.slices.weak import MAX_MEASURED, MAX_SEARCHED, Measure, ScoredRows, find_weak_slices
from tidemill.records import MetricValue, SliceSearch, SplitRef
from tidemill.runtime.job import Job
from tidemill.steps.data.features import LabelledSet, read_sample

__all__ = ["gaps_of", "search_slices"]


def search_slices(
    job: Job, split: SplitRef, test: LabelledSet, best: Bundle, importance: Sequence[MetricValue]
) -> SliceSearch:
    """Search for slices in which the candidate is weak: on the validation set, confirmed on the test set.

    Parameters
    ----------
    importance : sequence of MetricValue
        Its features, most important first: the order in which they are searched.
    """
    metric = sampled_metric(best.task, job.spec.accept.metric)
    measure = Measure(
        task=best.task,
        metric=metric,
        sign=1.0 if greater_is_better(metric, best.task) else -1.0,
        reading=Reading(threshold=best.threshold, classes=best.class_names),
    )
    names = [*job.spec.audit, *(str(item.feature) for item in importance)]
    columns = FeatureSchema(
        numeric=best.schema.numeric, categorical=(*best.schema.categorical, *job.spec.audit), kinds=best.schema.kinds
    )
    sets = ((read_sample(job, split, "validation"), MAX_SEARCHED), (test, MAX_MEASURED))
    return find_weak_slices(measure, *(_scored(rows, best, align(rows.X, columns)[names], most) for rows, most in sets))


def _scored(rows: LabelledSet, bundle: Bundle, columns: pd.DataFrame, most: int) -> ScoredRows:
    """Score every n-th row, so that the number of rows stays below the limit."""
    every = _every(rows, most)
    return ScoredRows(
        X=columns.iloc[every],
        y=rows.y[every],
        score=bundle.score(rows.X.iloc[every]),
        blocks=rows.blocks[every],
        sample_weight=rows.weight_of(every),
    )


def gaps_of(job: Job, test: LabelledSet, best: Bundle, score: npt.NDArray[np.float64]) -> tuple[MetricValue, ...]:
    """Return the gaps between groups of the audit columns on the test set, or on every n-th row of a large one."""
    if not job.spec.audit:
        return ()
    every = _every(test, MAX_MEASURED)
    return group_gaps(
        best.task,
        test.y[every],
        score[every],
        {name: test.X[name].iloc[every] for name in job.spec.audit},
        test.blocks[every],
        threshold=best.threshold,
        classes=best.class_names,
        sample_weight=test.weight_of(every),
    )


def _every(rows: LabelledSet, most: int) -> slice:
    return slice(None, None, max(1, -(-len(rows.y) // most)))
