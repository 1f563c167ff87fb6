"""Comparison of two specs, lists of packages, tables or sets of scores, with the differences in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tidemill.arrow import to_frame
from tidemill.records import Likeness, MetricValue
from tidemill.versions import LIBRARIES, OPTIONAL_LIBRARIES

__all__ = [
    "TOLERANCE",
    "changed_keys",
    "changed_packages",
    "likeness_of_figures",
    "likeness_of_scores",
    "row_differences",
]

TOLERANCE = 1e-6  # largest difference of a score or a figure; float32 resolves 6e-8 near 1
SHOWN = 3  # keys, partitions or columns named in a sentence
_MODELS_STAND_ON = (*LIBRARIES, *OPTIONAL_LIBRARIES, "tidemill", "optuna")


def changed_keys(then: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Yield the keys in which two specs differ, nested keys by their path.

    Examples
    --------
    >>> list(changed_keys({"train": {"random_state": 1}}, {"train": {"random_state": 2}}))
    ['spec: train.random_state was 1, is 2']
    """
    for key in sorted({*then, *now}):
        path, before, after = f"{within}{key}", then.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from changed_keys(before, after, f"{path}.")
        elif before != after:
            yield f"spec: {path} was {before!r}, is {after!r}"


def changed_packages(then: str, now: str) -> Iterator[str]:
    """Yield the packages whose versions differ, those that a model's bits depend on first.

    Parameters
    ----------
    then, now : str
        ``name==version``, one per line.

    Examples
    --------
    >>> list(changed_packages("xgboost==3.2.0", "xgboost==3.4.1"))
    ['package xgboost was 3.2.0, is 3.4.1']
    """
    before, after = (dict(line.split("==", 1) for line in text.splitlines()) for text in (then, now))
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    for name in sorted(names, key=lambda name: name not in _MODELS_STAND_ON):
        yield f"package {name} was {before.get(name, 'missing')}, is {after.get(name, 'missing')}"


def row_differences(then: pa.Table, now: pa.Table, key: str, partition: str | None = None) -> tuple[str, ...]:
    """Describe in which rows and columns two tables differ, the least spread first; nothing if they are equal.

    One row corrected in the source may change a column in all rows, by its share of a mean.

    Parameters
    ----------
    then, now : pyarrow.Table
        Rows in any order.
    key : str
        Column that identifies a row.
    partition : str, optional
        Column with the partition that a row was made for, where a table holds several.

    Examples
    --------
    >>> row_differences(pa.table({"k": ["a"], "x": [1]}), pa.table({"k": ["a"], "x": [2]}), "k")
    ("1 row(s) differ in 'x' (a)",)
    """
    names = [name for name in then.column_names if name in now.column_names]
    found = [f"column {name!r} is gone" for name in then.column_names if name not in names]
    found += [f"column {name!r} is new" for name in now.column_names if name not in names]
    labels = [key] if partition is None else [partition, key]
    before, after = (_by_label(table, labels) for table in (then, now))
    gone, new = before.index.difference(after.index), after.index.difference(before.index)
    found += [f"{len(gone)} row(s) are gone ({_named(gone)})"] if len(gone) else []
    found += [f"{len(new)} row(s) are new ({_named(new)})"] if len(new) else []
    both = before.index.intersection(after.index)
    unlike = {name: both[~_same(before.loc[both, name], after.loc[both, name])] for name in names if name not in labels}
    spread = sorted((name for name in unlike if len(unlike[name])), key=lambda name: len(unlike[name]))
    found += [f"{len(unlike[name])} row(s) differ in {name!r} ({_named(unlike[name])})" for name in spread[:SHOWN]]
    if len(spread) > SHOWN:
        found.append(f"up to {len(unlike[spread[-1]])} row(s) differ in {', '.join(map(repr, spread[SHOWN:]))}")
    return tuple(found)


def likeness_of_scores(
    keys: Sequence[str], then: npt.NDArray[np.float64], now: npt.NDArray[np.float64]
) -> tuple[Likeness, str]:
    """Compare two sets of scores of the same rows.

    Parameters
    ----------
    keys : sequence of str, of length n_samples
        Names of the rows, for the message.
    then, now : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Scores.

    Examples
    --------
    >>> likeness_of_scores(["a", "b"], np.array([0.5, 0.5]), np.array([0.5, 0.75]))[1]
    '1 of 2 rows score differently, by up to 0.25 (b)'
    """
    apart = np.abs(np.nan_to_num(then, nan=-9.0) - np.nan_to_num(now, nan=-9.0)).reshape(len(keys), -1).max(axis=1)
    if not apart.any():
        return Likeness.BIT_EQUAL, f"all {len(keys)} rows score the same bits"
    worst = float(apart.max())
    rows = np.flatnonzero(apart)
    examples = ", ".join(str(keys[row]) for row in rows[:SHOWN])
    said = f"{len(rows)} of {len(keys)} rows score differently, by up to {worst:.3g} ({examples})"
    return (Likeness.WITHIN_TOLERANCE if worst <= TOLERANCE else Likeness.DIFFERENT), said


def likeness_of_figures(then: Sequence[MetricValue], now: Mapping[str, float]) -> tuple[Likeness, str]:
    """Compare recorded figures with new ones, by name.

    Examples
    --------
    >>> likeness_of_figures([MetricValue(name="roc_auc", value=0.75)], {"roc_auc": 0.75})[1]
    'as recorded: roc_auc 0.7500'
    """
    apart = {item.name: abs(item.value - now[item.name]) for item in then if not _both_nan(item.value, now[item.name])}
    unlike = [item for item in then if apart.get(item.name, 0.0) != 0.0]  # NaN counts as different
    if not unlike:
        return Likeness.BIT_EQUAL, f"as recorded: {', '.join(f'{item.name} {item.value:.4f}' for item in then)}"
    said = "different now: " + "; ".join(f"{item.name} was {item.value!r}, is {now[item.name]!r}" for item in unlike)
    near = all(apart[item.name] <= TOLERANCE for item in unlike)
    return (Likeness.WITHIN_TOLERANCE if near else Likeness.DIFFERENT), said


def _by_label(table: pa.Table, labels: list[str]) -> pd.DataFrame:
    frame: pd.DataFrame = to_frame(table)
    frame["__nth"] = frame.groupby(labels, dropna=False, observed=True).cumcount()  # a key may appear twice
    return frame.set_index([*labels, "__nth"])


def _named(index: pd.Index) -> str:
    shown = [" ".join(str(part) for part in label[:-1]) for label in index[:SHOWN]]
    return ", ".join(shown) + (f" and {len(index) - SHOWN} more" if len(index) > SHOWN else "")


def _same(then: pd.Series, now: pd.Series) -> npt.NDArray[np.bool_]:
    missing = (then.isna() & now.isna()).to_numpy()
    equal = then.to_numpy(object, na_value=np.nan) == now.to_numpy(object, na_value=np.nan)
    return np.asarray(np.asarray(equal, dtype=bool) | missing)


def _both_nan(a: float, b: float) -> bool:
    return bool(np.isnan(a) and np.isnan(b))
