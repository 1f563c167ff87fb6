"""Realised quality: what the scores of a partition were worth, once its labels have arrived.

The metrics are those of acceptance (`tidemill.metrics`), and so are their values. Intervals come from the influence of
each row, since the rows of a single partition are all that it shows.
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

LEAST_ROWS = 3  # counted rows, or blocks of them, below which a figure has no interval


def realised_quality(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    *,
    label_coverage: float,
    task: str = "binary",
    blocks: npt.ArrayLike | None = None,
    **reading: Unpack[Reading],
) -> tuple[MetricValue, ...]:
    """Measure the scores of rows whose labels are known.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels: 0 and 1, classes, or numbers. A class that the model does not know counts as wrong, with probability 0.
    y_score : array-like of shape (n_samples,), or (n_samples, n_classes) for ``multiclass``
        Published scores.
    label_coverage : float
        Share of the scored rows whose label is known, 0 to 1; every figure carries it.
    task : str, default ``binary``
        ``binary``, ``multiclass`` or ``regression``.
    blocks : array-like of shape (n_samples,), default None
        Rows that resemble each other. None takes the rows as independent, which is all that one partition can tell.
    **reading
        ``threshold``, ``classes`` and ``interval`` as in `Reading`.

    Returns
    -------
    tuple of MetricValue
        Every metric of `DEFINITIONS` for the task, those of an interval only if a row has one, and ``label_coverage``.
        NaN where the rows do not define one. Each has a 95 % interval where the rows allow one.

    Notes
    -----
    The area under the curve of one day is lower, as a rule, than that of many days together, since it gains nothing
    from telling good days from bad. Compare days with days.

    Examples
    --------
    >>> auc, *_ = realised_quality([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.8], label_coverage=1.0)
    >>> auc.name, auc.value
    ('roc_auc', 0.75)
    """
    n = len(np.asarray(y_true))
    of_rows = index_blocks(blocks, n, least=LEAST_ROWS)
    names = tuple(DEFINITIONS[task])
    figures = measure(task, names, read_rows(task, y_true, y_score, reading), of_rows, label_coverage=label_coverage)
    return (
        *(
            figure
            for figure in figures
            if reading.get("interval") is not None or not figure.name.startswith("interval_")
        ),
        MetricValue(name="label_coverage", value=label_coverage, n=n, label_coverage=label_coverage),
    )
