"""How groups of rows fare: the gap of each group to all other rows, with its interval.

The figures are those by which groups are usually compared (S. Barocas, M. Hardt, A. Narayanan, *Fairness and Machine
Learning*, 2023, chapter 3): how often a group is selected, how often rightly and wrongly, whether its scores mean the same,
and how often the model errs.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from tidemill.metrics.blocks import MIN_BLOCKS, Blocks, estimate_combination, index_blocks
from tidemill.metrics.evaluation import slice_masks
from tidemill.metrics.rows import Reading, read_rows
from tidemill.metrics.statistic import Integers, Statistic, scattered
from tidemill.records import MetricValue

__all__ = ["GAPS", "MIN_GROUP_ROWS", "PREFIX", "group_gaps"]

MIN_GROUP_ROWS = 30
"""Rows of a group below which it has no figure, because little can be said about it, and a person might be recognised."""
PREFIX = "gap_"
"""Start of the name of a gap."""

Formula = Callable[[Any], Statistic]
GAPS: Mapping[str, Mapping[str, Formula]] = {
    "binary": {
        "selection_rate": lambda rows: rows.share(rows.called),
        "true_positive_rate": lambda rows: rows.share(rows.called, among=rows.y),
        "false_positive_rate": lambda rows: rows.share(rows.called, among=1 - rows.y),
        "calibration": lambda rows: rows.mean(rows.score - rows.y),
        "error": lambda rows: rows.share(rows.called != rows.y),
    },
    "multiclass": {
        "calibration": lambda rows: rows.mean(rows.confidence - rows.right),
        "error": lambda rows: rows.share(1 - rows.right),
    },
    "regression": {
        "calibration": lambda rows: rows.mean(rows.error),
        "error": lambda rows: rows.mean(abs(rows.error)),
    },
}
"""Figures by task: from rows to a statistic."""


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # numbers near the end of float64 are NaN
def group_gaps(
    task: str,
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    groups: Mapping[str, Any],
    blocks: npt.ArrayLike | None = None,
    **reading: Unpack[Reading],
) -> tuple[MetricValue, ...]:
    """Return each figure of each group minus that of all other rows.

    Parameters
    ----------
    task, y_true, y_score
        As in `point_value`.
    groups : mapping of str to array-like of shape (n_samples,)
        Columns whose values are groups. The 20 most frequent values of each are compared; missing ones are a group too.
    blocks : array-like of shape (n_samples,), default None
        Rows that count together; None counts rows one by one.
    **reading
        ``threshold``, ``classes`` and ``sample_weight`` as in `Reading`.

    Returns
    -------
    tuple of MetricValue
        Named ``gap_selection_rate`` and so on, with ``slice`` such as ``sex=f`` and the group's rows. A group of fewer
        than 30 rows is left out, and so is what is not defined on a group or the others.

    Examples
    --------
    >>> found = group_gaps("binary", [0, 1] * 100, [0.2] * 100 + [0.7] * 100, {"sex": ["f"] * 100 + ["m"] * 100})
    >>> [(gap.name, gap.slice, gap.value) for gap in found][:1]
    [('gap_selection_rate', 'sex=f', -1.0)]
    """
    y, score = np.asarray(y_true), np.asarray(y_score)
    of_blocks = index_blocks(blocks, len(y))
    found: list[MetricValue] = []
    for label, members in slice_masks(groups):
        parts = np.flatnonzero(members), np.flatnonzero(~members)
        if min(map(len, parts)) < MIN_GROUP_ROWS:
            continue
        rows = [read_rows(task, y[part], score[part], _of_part(reading, part)) for part in parts]
        if None in rows:
            continue
        for name, formula in GAPS[task].items():
            both = [scattered(formula(of), part, len(y)) for of, part in zip(rows, parts, strict=True)]
            found += _gap(PREFIX + name, label, both, of_blocks, len(parts[0]))
    return tuple(found)


def _of_part(reading: Reading, part: Integers) -> Reading:
    often = reading.get("sample_weight")
    return reading if often is None else {**reading, "sample_weight": np.asarray(often)[part]}


def _gap(name: str, label: str, both: list[Statistic], blocks: Blocks, n: int) -> Iterator[MetricValue]:
    if not all(np.isfinite(one.value) for one in both):
        return
    n_blocks = min(len(np.unique(blocks.index[one.counted > 0])) for one in both)
    gap = estimate_combination(both, [1.0, -1.0], blocks)
    known = n_blocks >= MIN_BLOCKS and np.isfinite(gap.standard_error)
    yield MetricValue(
        name=name,
        value=gap.value,
        low=gap.low if known else None,
        high=gap.high if known else None,
        standard_error=gap.standard_error if known else None,
        n=n,
        n_blocks=n_blocks,
        slice=label,
    )
