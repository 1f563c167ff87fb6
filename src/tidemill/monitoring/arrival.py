"""How labels arrive: the share that is known some time after a partition's end, learned from partitions that are done.

It says whether ``label.matures_after`` in the spec is long enough, and whether today's labels are late.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

__all__ = ["arrival_curve", "expected_coverage"]


def arrival_curve(
    observed: Mapping[str, Sequence[datetime]], ends: Mapping[str, datetime], n_rows: Mapping[str, int],
    ages: Sequence[timedelta],
) -> NDArray[np.float64]:  # fmt: skip
    """Give the mean share of labels known at each age of a partition.

    Parameters
    ----------
    observed : mapping of str to sequence of datetime
        When each label of a partition became known, by key; partitions whose labels have had their time.
    ends : mapping of str to datetime
        End of each partition.
    n_rows : mapping of str to int
        Rows that were scored in each partition; those without a label never get one.
    ages : sequence of timedelta
        Times since the partition's end, ascending.

    Returns
    -------
    ndarray of shape (n_ages,), float64
        Between 0 and 1, never falling; NaN without a partition.

    Examples
    --------
    >>> from datetime import UTC
    >>> end = datetime(2013, 7, 2, tzinfo=UTC)
    >>> hours = [timedelta(hours=1), timedelta(hours=3)]
    >>> arrival_curve({"a": [end + hour for hour in hours]}, {"a": end}, {"a": 4}, hours).tolist()
    [0.25, 0.5]
    """
    shares = [
        [sum(instant <= ends[key] + age for instant in instants) / n_rows[key] for age in ages]
        for key, instants in observed.items()
        if n_rows.get(key)
    ]
    return np.mean(shares, axis=0) if shares else np.full(len(ages), np.nan)


def expected_coverage(curve: Sequence[float], ages: Sequence[timedelta], age: timedelta) -> float:
    """Give the share of labels that is usually known at an age; between two ages it is a straight line.

    Examples
    --------
    >>> expected_coverage([0.0, 0.8], [timedelta(0), timedelta(days=2)], timedelta(days=1))
    0.4
    """
    seconds = [item.total_seconds() for item in ages]
    return float(np.interp(age.total_seconds(), seconds, curve))
