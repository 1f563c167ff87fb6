"""Two models on the same rows: the difference of a metric with its interval, on one set of rows or several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.metrics.blocks import estimate_combination, index_blocks, joined, partitions_of
from tidemill.metrics.definitions import definition_of
from tidemill.metrics.evaluation import statistic_of
from tidemill.metrics.rows import Reading, read_rows, spread
from tidemill.metrics.statistic import Statistic, within
from tidemill.records import MetricValue

__all__ = ["Pair", "mean_difference", "paired_difference"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Two models' scores of the same rows."""

    y_true: npt.ArrayLike
    score_a: npt.ArrayLike
    score_b: npt.ArrayLike
    blocks: npt.ArrayLike | None
    """Rows that count together; None counts rows one by one."""
    threshold_a: float | None = 0.5
    """Score from which a row counts as positive for A."""
    threshold_b: float | None = 0.5
    """The same for B."""
    classes_a: Sequence[str] | None = None
    """Names of the columns of A's scores."""
    classes_b: Sequence[str] | None = None
    """The same for B."""
    sample_weight: npt.ArrayLike | None = None
    """How often each row counts, above 0; None for once."""

    def statistics(self, metric: str, task: str) -> tuple[Statistic, Statistic] | None:
        """Return the metric of A and of B; None if it is not defined on the rows."""
        classes, scores = self._same_columns()
        found = []
        for score, threshold in zip(scores, (self.threshold_a, self.threshold_b), strict=True):
            reading = Reading(threshold=threshold, classes=classes, sample_weight=self.sample_weight)
            if self.blocks is not None:
                reading["partitions"] = partitions_of(self.blocks)
            rows = read_rows(task, self.y_true, score, reading)
            if rows is None:
                return None
            found.append(statistic_of(task, metric, rows))
        return found[0], found[1]

    def is_identical(self, metric: str, task: str) -> bool:
        """Return whether both models score every row identically, bit for bit, and the metric reads both scores alike."""
        if definition_of(task, metric).by_threshold and self.threshold_a != self.threshold_b:
            return False
        _, (a, b) = self._same_columns()
        return np.asarray(a, dtype=np.float64).tobytes() == np.asarray(b, dtype=np.float64).tobytes()

    def _same_columns(self) -> tuple[Sequence[str] | None, tuple[npt.ArrayLike, npt.ArrayLike]]:
        a, b = self.classes_a, self.classes_b
        if a is None or b is None or tuple(a) == tuple(b):
            return a, (self.score_a, self.score_b)
        wanted = tuple(sorted({*a, *b}))
        return wanted, (spread(np.asarray(self.score_a), a, wanted), spread(np.asarray(self.score_b), b, wanted))


def paired_difference(
    metric: str,
    y_true: npt.ArrayLike,
    score_a: npt.ArrayLike,
    score_b: npt.ArrayLike,
    blocks: npt.ArrayLike | None,
    *,
    task: str = "binary",
    **about: Any,
) -> MetricValue:
    """Return the metric of A minus the metric of B on the same rows, with its 95 % interval.

    Both are computed on the same days, so what makes a day hard for both cancels out.

    Parameters
    ----------
    metric : str
        A name of `METRICS`. The difference keeps the metric's sign: for a loss, negative means A is better.
    y_true, score_a, score_b, blocks
        As in `Pair`.
    task : str, default ``binary``
        ``binary``, ``multiclass`` or ``regression``.
    **about
        ``threshold_a``, ``threshold_b``, ``classes_a``, ``classes_b`` and ``sample_weight`` as in `Pair`; ``slice`` is a
        label for the difference, such as the baseline's name.

    Returns
    -------
    MetricValue
        NaN if the metric is not defined; without an interval if the rows do not determine one; exactly 0 if both models
        give every row the same score.

    Examples
    --------
    >>> paired_difference("roc_auc", [0, 1] * 50, [0.2, 0.7] * 50, [0.5] * 100, None).value
    0.5
    """
    slice = about.pop("slice", None)
    pair = Pair(y_true=y_true, score_a=score_a, score_b=score_b, blocks=blocks, **about)
    return mean_difference(metric, (pair,), task=task, slice=slice)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # numbers near the end of float64 are NaN
def mean_difference(
    metric: str, pairs: Sequence[Pair], *, task: str = "binary", slice: str | None = None
) -> MetricValue:
    """Return the mean over several sets of rows of the metric of A minus that of B, with its 95 % interval.

    Scores of different sets need not be comparable, as those of models fitted on different folds are not.

    Parameters
    ----------
    metric, task, slice
        As in `paired_difference`.
    pairs : sequence of Pair
        Sets of rows, no block in two of them.

    Returns
    -------
    MetricValue
        NaN where the metric is not defined on one of the sets.

    Examples
    --------
    >>> sets = [Pair(y_true=[0, 1] * 50, score_a=a, score_b=[0.5] * 100, blocks=None) for a in ([0.2, 0.7] * 50, [0.5] * 100)]
    >>> mean_difference("roc_auc", sets).value
    0.25
    """
    of_sets = [index_blocks(pair.blocks, len(np.asarray(pair.y_true))) for pair in pairs]
    found = [pair.statistics(metric, task) for pair in pairs]
    blocks = joined(of_sets)
    n = len(blocks.index)
    defined = [one for one in found if one is not None]
    if len(defined) < len(found):
        nan = float("nan")
        return MetricValue(name=metric, value=nan, low=nan, high=nan, n=n, slice=slice)
    starts = np.cumsum([0, *(len(one.index) for one in of_sets)])
    statistics = [within(one, int(start), n) for start, both in zip(starts, defined, strict=False) for one in both]
    if all(pair.is_identical(metric, task) for pair in pairs) and all(np.isfinite(one.value) for one in statistics):
        return MetricValue(
            name=metric, value=0.0, low=0.0, high=0.0, n=n, slice=slice, standard_error=0.0, n_blocks=blocks.n
        )
    estimated = estimate_combination(statistics, [1 / len(pairs), -1 / len(pairs)] * len(pairs), blocks)
    return MetricValue(
        name=metric,
        value=estimated.value,
        low=estimated.low,
        high=estimated.high,
        n=n,
        slice=slice,
        standard_error=estimated.standard_error,
        n_blocks=blocks.n,
    )
