"""What a metric of two classes should be on some rows if the scores are right: each row counts as both labels, by its score.

A slice of the rows can be hard: where all scores are near one half, no model ranks well. The expected metric is as low
there as the realised one, so what remains is where a model is worse than it states. Monitoring's estimate of quality
before labels arrive rests on the same idea, with calibrated scores.
"""

from dataclasses import replace

import numpy as np

from tidemill.metrics.definitions import definition_of
from tidemill.metrics.rows import BinaryRows
from tidemill.metrics.statistic import Floats, Statistic

__all__ = ["expected"]


def expected(metric: str, rows: BinaryRows) -> Statistic:
    """Return the expectation of a metric over labels drawn by the scores, to first order.

    Parameters
    ----------
    metric : str
        A metric of ``binary`` that is `estimated`.
    rows : BinaryRows
        Rows; their labels are not used.

    Examples
    --------
    >>> from tidemill.metrics.rows import read_rows
    >>> rows = read_rows("binary", [0, 0], [0.2, 0.6], {})
    >>> float(expected("accuracy", rows).value)
    0.7
    """
    definition = definition_of("binary", metric)
    if not definition.estimated:
        raise ValueError(f"{metric} has no expectation from scores")
    n = len(rows.y)
    both = replace(
        rows,
        y=np.concatenate([np.ones(n), np.zeros(n)]),
        score=np.tile(rows.score, 2),
        called=np.tile(rows.called, 2),
        often=np.tile(rows.often, 2),
        partition=np.tile(rows.partition, 2),
    )
    of_both = definition.of(both)

    def values(weights: Floats) -> Floats:
        return of_both.values(np.concatenate([weights * rows.score, weights * (1 - rows.score)], axis=1))

    def influence() -> Floats:
        raise ValueError(
            "an expected metric is estimated by leaving out blocks, not by influences: use at most 500 blocks"
        )

    return Statistic(values=values, influence=influence, counted=rows.often)
