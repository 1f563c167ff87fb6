"""Training-serving skew: whether the scored rows equal the rows that training would read today.

The features query runs again for an old partition with its original cutoff. A value that differs was known later than
it claims, was corrected without a trace, or is computed in another way. A model trained on the new rows would learn
from values that it does not get when it scores.
"""

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.records import MetricValue

__all__ = ["compare_rows"]


def compare_rows(served: pa.Table, recomputed: pa.Table, key: str, columns: tuple[str, ...]) -> tuple[MetricValue, ...]:
    """Compare the scored rows with the current result of the same query.

    Parameters
    ----------
    served : pyarrow.Table
        Rows of the scored snapshot, one per key.
    recomputed : pyarrow.Table
        Rows of the same query with the same cutoff, run later.
    key : str
        Column that identifies a row.

    Returns
    -------
    tuple of MetricValue
        ``skew_share`` per column: the share of common rows whose value differs (NULL equals NULL, NaN equals NaN).
        Then ``skew_rows``: keys in only one of the tables as a share of all keys. NaN without rows.

    Examples
    --------
    >>> served = pa.table({"id": ["a", "b"], "temp": [1.0, None]})
    >>> later = pa.table({"id": ["b", "a"], "temp": [None, 2.0]})
    >>> [item.value for item in compare_rows(served, later, "id", ("temp",))]
    [0.5, 0.0]
    """
    at = pc.index_in(served[key].combine_chunks(), value_set=recomputed[key].combine_chunks())
    both = pc.is_valid(at)
    left, right = served.filter(both), recomputed.take(at.filter(both))
    n_both, n_keys = left.num_rows, served.num_rows + recomputed.num_rows - left.num_rows
    shares = [
        MetricValue(
            name="skew_share",
            feature=name,
            n=n_both,
            value=_n_different(left[name], right[name]) / n_both if n_both else float("nan"),
        )
        for name in columns
    ]
    lone = (n_keys - n_both) / n_keys if n_keys else float("nan")
    return (*shares, MetricValue(name="skew_rows", value=lone, n=n_keys))


def _n_different(left: pa.ChunkedArray, right: pa.ChunkedArray) -> int:
    if left.type != right.type:
        return len(left)
    same = pc.fill_null(pc.equal(left, right), False)
    missing = pc.and_(pc.is_null(left, nan_is_null=True), pc.is_null(right, nan_is_null=True))
    return len(left) - (pc.sum(pc.or_(same, missing)).as_py() or 0)
