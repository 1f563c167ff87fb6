"""Training-serving skew: whether the rows that were scored are the rows that training would see today.

The features query is run again for an old partition with the cutoff that it had. Whatever differs was known later than
it claims, was corrected without a trace, or was computed in another way: a model trained on the new rows learns from
something that it will not be given.
"""

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.records import MetricValue

__all__ = ["compare_rows"]


def compare_rows(served: pa.Table, recomputed: pa.Table, key: str, columns: tuple[str, ...]) -> tuple[MetricValue, ...]:
    """Compare what was scored with what the same query gives now.

    Parameters
    ----------
    served : pyarrow.Table
        Rows of the snapshot that was scored, one a key.
    recomputed : pyarrow.Table
        Rows of the same query with the same cutoff, run later.
    key : str
        Column that names a row.
    columns : tuple of str
        Features to compare.

    Returns
    -------
    tuple of MetricValue
        ``skew_share`` of each column: rows whose value differs (NULL equals NULL, NaN equals NaN), among those that
        both have; then ``skew_rows``: keys that only one of them has, as a share of all keys. NaN if there is no row.

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
