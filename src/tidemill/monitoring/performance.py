"""Realised quality of a partition's scores, once its labels have arrived.

The metrics are those of acceptance (`tidemill.metrics`), with the same values. Intervals come from the influence of
each row, since a single partition has no blocks of time.
"""

from typing import Unpack

import numpy as np
import numpy.typing as npt

from tidemill.metrics.blocks import index_blocks
from tidemill.metrics.definitions import DEFINITIONS
from tidemill.metrics.evaluation import measure
from tidemill.metrics.rows import Reading, read_rows
from tidemill.records import MetricValue

__all__ = ["realised_quality"]

LEAST_ROWS = 3  # minimum rows, or blocks of rows, for an interval


def realised_quality(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    *,
    label_coverage: float,
    task: str = "binary",
    blocks: npt.ArrayLike | None = None,
    metric: str | None = None,
    **reading: Unpack[Reading],
) -> tuple[MetricValue, ...]:
    """Compute the metrics of rows whose labels are known.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels: 0 and 1, classes, or numbers. A class unknown to the model counts as wrong, with probability 0.
    y_score : array-like of shape (n_samples,), or (n_samples, n_classes) for ``multiclass``
        Published scores.
    label_coverage : float
        Share of the scored rows whose label is known, 0 to 1; added to every figure.
    task : str, default ``binary``
        ``binary``, ``multiclass`` or ``regression``.
    blocks : array-like of shape (n_samples,), default None
        Block of each row: rows of one block are dependent. None treats all rows as independent.
    metric : str, default None
        A further metric, if `DEFINITIONS` lacks it: the one that decides.
    **reading
        ``threshold``, ``classes`` and ``interval`` as in `Reading`.

    Returns
    -------
    tuple of MetricValue
        Every metric of `DEFINITIONS` for the task and ``label_coverage``; metrics of prediction intervals only if a row
        has one. NaN where a metric is undefined. Each has a 95 % interval if there are enough rows.

    Notes
    -----
    The area under the curve of one day is usually lower than that of many days together, which also rewards
    distinguishing good days from bad. Compare days only with days.

    Examples
    --------
    >>> auc, *_ = realised_quality([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.8], label_coverage=1.0)
    >>> auc.name, auc.value
    ('roc_auc', 0.75)
    """
    n = len(np.asarray(y_true))
    of_rows = index_blocks(blocks, n, least=LEAST_ROWS)
    names = tuple(dict.fromkeys((*DEFINITIONS[task], *([] if metric is None else [metric]))))
    figures = measure(task, names, read_rows(task, y_true, y_score, reading), of_rows, label_coverage=label_coverage)
    return (
        *(
            figure
            for figure in figures
            if reading.get("interval") is not None or not figure.name.startswith("interval_")
        ),
        MetricValue(name="label_coverage", value=label_coverage, n=n, label_coverage=label_coverage),
    )
