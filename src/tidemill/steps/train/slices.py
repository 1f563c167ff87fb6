"""Slices of a candidate's rows: the columns that they are cut by, and the search for those in which it is weak."""

from collections.abc import Sequence

import pandas as pd

from tidemill.metrics.rows import Reading
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.metrics import greater_is_better
from tidemill.modeling.slices.weak import MAX_MEASURED, MAX_SEARCHED, Measure, ScoredRows, find_weak_slices
from tidemill.records import MetricValue, SliceSearch, SplitRef
from tidemill.runtime.job import Job
from tidemill.steps.data.features import LabelledSet, read_sample

__all__ = ["search_slices"]


def search_slices(
    job: Job, split: SplitRef, test: LabelledSet, best: Bundle, importance: Sequence[MetricValue]
) -> SliceSearch:
    """Search for slices in which the candidate is weak: on the validation set, confirmed on the test set.

    Parameters
    ----------
    job : Job
        Model and workspace.
    split : SplitRef
        The sets.
    test : LabelledSet
        The test set.
    best : Bundle
        The candidate.
    importance : sequence of MetricValue
        Its features, most important first: the order in which they are searched.
    """
    metric = job.spec.accept.metric
    measure = Measure(
        task=best.task,
        metric=metric,
        sign=1.0 if greater_is_better(metric, best.task) else -1.0,
        reading=Reading(threshold=best.threshold, classes=best.class_names),
    )
    names = [str(item.feature) for item in importance]
    validation = read_sample(job, split, "validation")
    return find_weak_slices(
        measure, _scored(validation, best, names, MAX_SEARCHED), _scored(test, best, names, MAX_MEASURED)
    )


def _scored(rows: LabelledSet, bundle: Bundle, names: Sequence[str], most: int) -> ScoredRows:
    """Score every n-th row, at most so many."""
    every = slice(None, None, max(1, -(-len(rows.y) // most)))
    X: pd.DataFrame = rows.X.iloc[every]
    return ScoredRows(
        X=align(X, bundle.schema)[list(names)], y=rows.y[every], score=bundle.score(X), blocks=rows.blocks[every]
    )
