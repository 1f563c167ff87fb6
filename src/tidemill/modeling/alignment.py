"""The one way in which a frame is brought to the form that a model reads.

Training, scoring and MLflow hand over frames that differ in dtype (a database gives ``Decimal``, Arrow gives
nullable types, a notebook gives ``object``). After `align` they are equal, so that the same value scores the same.
Nothing here imputes, encodes or drops rows: that is fitted inside the model.
"""

import difflib
import math
from collections.abc import Iterator
from decimal import Decimal
from numbers import Integral, Real
from typing import SupportsFloat

import numpy as np
import pandas as pd
from pandas.api import types

from tidemill.errors import SchemaChanged
from tidemill.modeling.schema import EXACT, FeatureSchema, refuse_overlarge

__all__ = ["align", "count_rounded"]


def align(X: pd.DataFrame, schema: FeatureSchema) -> pd.DataFrame:
    """Bring a frame to the form that a model reads.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Any order of columns; columns that the schema does not name are left out.

    Returns
    -------
    pandas.DataFrame of shape (n_samples, n_features)
        Numeric features as float64 with NaN for missing, categorical ones as ``str`` with NaN for missing,
        in the schema's order, on a fresh index.

    Raises
    ------
    SchemaChanged
        If columns are missing, come twice, or hold another type of value. All of them are named.
    ContractBroken
        If a numeric feature holds an infinite value, or one beyond the range of float32.

    Examples
    --------
    >>> schema = FeatureSchema(numeric=("hour",), categorical=("origin",))
    >>> align(pd.DataFrame({"origin": ["JFK", None], "hour": [5, 6], "id": [1, 2]}), schema)
       hour origin
    0   5.0    JFK
    1   6.0    NaN
    """
    _refuse_missing_or_twice(X, schema)
    broken: list[str] = []
    columns: dict[str, pd.Series] = {}
    for name in schema.names:
        convert = _numbers if name in schema.numeric else _texts
        try:
            columns[name] = convert(X[name])
        except TypeError as mismatch:
            broken.append(f"{name!r} {mismatch}")
    if broken:
        raise SchemaChanged(
            f"The type of {len(broken)} feature(s) is wrong: {'; '.join(broken)}.",
            "Cast the column in the features query, or correct 'features' in the spec.",
        )
    refuse_overlarge({name: columns[name].to_numpy() for name in schema.numeric})
    return pd.DataFrame(columns, columns=list(schema.names), index=pd.RangeIndex(len(X)))


def _refuse_missing_or_twice(X: pd.DataFrame, schema: FeatureSchema) -> None:
    have = [str(column) for column in X.columns]
    missing = [name for name in schema.names if name not in have]
    if missing:
        raise SchemaChanged(
            f"The data lack feature(s) {', '.join(_with_hint(missing, have))}, which the model reads.",
            "Restore the column(s) in the source or the features query, or train a model without them.",
        )
    twice = [name for name in schema.names if have.count(name) > 1]
    if twice:
        raise SchemaChanged(
            f"Feature(s) {', '.join(map(repr, twice))} come more than once in the data.",
            "Give each column of the features query its own name.",
        )


def _with_hint(missing: list[str], have: list[str]) -> Iterator[str]:
    for name in missing:
        near = difflib.get_close_matches(name, have, n=1)
        yield f"{name!r} (is it {near[0]!r}?)" if near else repr(name)


def _numbers(values: pd.Series) -> pd.Series:
    """Return numbers and booleans as float64; raise TypeError for anything else."""
    dtype = values.dtype
    if types.is_bool_dtype(dtype) or (types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype)):
        return _float64(values)
    present = values.dropna()
    odd = next((value for value in present if not isinstance(value, Real | Decimal | np.bool_)), None)
    if odd is not None:
        raise TypeError(f"is numeric in the model, but holds {type(odd).__name__} values such as {str(odd)[:40]!r}")
    return _float64(values.astype(object).where(values.notna(), np.nan))


def _float64(values: pd.Series) -> pd.Series:
    try:
        return pd.Series(values.to_numpy(dtype=np.float64, na_value=np.nan))
    except OverflowError:  # a Python integer beyond float64
        return pd.Series([_number(value) for value in values], dtype=np.float64)


def count_rounded(X: pd.DataFrame, schema: FeatureSchema) -> dict[str, int]:
    """Count the whole numbers of each numeric feature that float64 rounds; missing columns are left to `align`."""
    return {name: _n_rounded(X[name]) for name in schema.numeric if name in X.columns and X[name].ndim == 1}


def _n_rounded(values: pd.Series) -> int:
    if types.is_integer_dtype(values.dtype):
        return int(((values > EXACT) | (values < -EXACT)).sum())
    if not types.is_object_dtype(values.dtype):
        return 0
    return sum(isinstance(value, Integral) and abs(int(value)) > EXACT for value in values)


def _number(value: SupportsFloat) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf


def _texts(values: pd.Series) -> pd.Series:
    """Return texts, whole numbers and booleans as ``str``; raise TypeError for anything else."""
    dtype = values.dtype
    if isinstance(dtype, pd.StringDtype):
        return values.astype("str").reset_index(drop=True)
    if types.is_object_dtype(dtype) and len({type(value) for value in values.dropna()}) > 1:
        # True, 1 and 1.0 are equal to pandas, and would all take the spelling of whichever comes first.
        spellings = [np.nan if missing else _spell(value) for value, missing in zip(values, values.isna(), strict=True)]
        return pd.Series(spellings, dtype="str")
    codes, levels = pd.factorize(values)  # a category is spelt once, however many rows hold it
    spelt = np.array([_spell(level) for level in levels] + [np.nan], dtype=object)
    return pd.Series(spelt[codes], dtype="str")  # code -1, missing, picks the NaN at the end


def _spell(level: object) -> str:
    """Return the category that a value stands for: 1, 1.0 and ``Decimal("1.00")`` are one."""
    if isinstance(level, str):
        return level
    if isinstance(level, bool | np.bool_):
        return "true" if level else "false"
    if isinstance(level, Integral):
        return str(int(level))
    if isinstance(level, float | Decimal) and math.isfinite(level) and level == int(level):
        if isinstance(level, float) and abs(level) > EXACT:
            raise TypeError(
                f"is categorical in the model, but holds the whole number {level:.0f} as a float, which has lost digits "
                "beyond 2**53 (pandas' Int64 keeps them beside missing values)"
            )
        return str(int(level))
    raise TypeError(f"is categorical in the model, but holds {type(level).__name__} values such as {str(level)[:40]!r}")
