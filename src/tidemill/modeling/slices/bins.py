"""Bins of a column: the parts into which a search for weak slices divides the rows."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["Bins", "cut"]

_MAX_VALUES = 20  # most frequent categories that get a bin of their own
_FEW_VALUES = 10  # numbers with no more values get a bin per value
_MISSING = "missing"

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """The bins of one column, found on some rows and applicable to others."""

    feature: str
    labels: tuple[str, ...]
    """Description of each bin, such as ``origin=EWR`` or ``500<=distance<900``; the last one holds missing values."""
    place: Callable[[pd.Series], Codes]
    """From values to the number of each row's bin, missing values included; -1 for none."""


def cut(column: pd.Series, n_bins: int) -> Bins:
    """Find the bins of an aligned column.

    Parameters
    ----------
    column : pandas.Series of shape (n_samples,)
        Numbers as float64, or texts; NaN for missing.
    n_bins : int
        Quantiles of a number that has more than 10 values; a text has a bin for each of its 20 most frequent values.

    Examples
    --------
    >>> bins = cut(pd.Series([float(n) for n in range(100)], name="km"), 4)
    >>> bins.labels
    ('km<24.75', '24.75<=km<49.5', '49.5<=km<74.25', 'km>=74.25', 'km missing')
    >>> bins.place(pd.Series([10.0, 50.0, np.nan])).tolist()
    [0, 2, 4]
    """
    name = str(column.name)
    if not pd.api.types.is_float_dtype(column.dtype):
        texts = column.value_counts().index[:_MAX_VALUES].sort_values()
        return _by_value(name, [str(text) for text in texts], texts)
    known = column.dropna().to_numpy()
    values = np.unique(known)
    if len(values) <= _FEW_VALUES:
        return _by_value(name, [f"{value:g}" for value in values], pd.Index(values))
    quantiles = np.quantile(known, np.linspace(0, 1, n_bins + 1)[1:-1])
    edges = np.unique([float(f"{edge:.4g}") for edge in quantiles])  # the label states the edge that is used
    return _by_edges(name, edges[(edges > values[0]) & (edges <= values[-1])])


def _by_value(name: str, texts: list[str], values: pd.Index) -> Bins:
    def place(column: pd.Series) -> Codes:
        codes = values.get_indexer(pd.Index(column)).astype(np.int64)
        return np.where(column.isna().to_numpy(), len(values), codes)

    return Bins(feature=name, labels=(*(f"{name}={text}" for text in texts), f"{name} {_MISSING}"), place=place)


def _by_edges(name: str, edges: npt.NDArray[np.float64]) -> Bins:
    def place(column: pd.Series) -> Codes:
        numbers = column.to_numpy()
        return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, side="right"))

    shown = [f"{edge:g}" for edge in edges]
    between = [f"{low}<={name}<{high}" for low, high in pairwise(shown)]
    ends = [f"{name}<{shown[0]}", *between, f"{name}>={shown[-1]}"] if shown else [name]
    return Bins(feature=name, labels=(*ends, f"{name} {_MISSING}"), place=place)
