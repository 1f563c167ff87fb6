"""Answers: the columns of a prediction row from a bundle's scores, for every task."""

import json
from collections.abc import Iterator
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.explain import Explanation, explain

__all__ = ["answers", "probabilities_of", "reasons_of"]

CHUNK_ROWS = 20_000  # rows explained at once: with 100 features and 10 classes they take 160 MB


def answers(bundle: Bundle, score: npt.NDArray[np.float64]) -> dict[str, pa.Array]:
    """Return the prediction columns of a model's task.

    Parameters
    ----------
    score : ndarray of shape (n_samples,), or (n_samples, n_classes) for ``multiclass``
        Finite scores of `Bundle.score`.

    Returns
    -------
    dict of str to pyarrow.Array
        binary: ``score``; multiclass: ``score`` of the predicted class, ``predicted`` and ``probabilities``; regression:
        ``score``, and ``low`` and ``high``, null where the bundle has no interval.
    """
    columns = {
        name: pa.array(values, from_pandas=True, type=pa.string() if name == "predicted" else None)  # NaN becomes null
        for name, values in bundle.columns(score).items()
    }
    names = bundle.class_names
    return columns if names is None else {**columns, "probabilities": _objects(score, names)}


def reasons_of(bundle: Bundle, X: pd.DataFrame, n: int) -> pa.Array:
    """Return the features that moved each row's score most, as JSON.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Raw features.

    Returns
    -------
    pyarrow.Array
        Per row a list of ``feature``, raw ``value`` and ``contribution``, in units of the model's sum: log odds,
        probability or value. Features without a contribution are omitted.
    """
    texts: list[str] = []
    for start in range(0, len(X), CHUNK_ROWS):
        rows = X.iloc[start : start + CHUNK_ROWS]
        texts += _reasons(explain(bundle, rows), rows, n)
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))


def probabilities_of(texts: pa.ChunkedArray) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Return published probabilities as a matrix with the class of each column.

    Parameters
    ----------
    texts : pyarrow.ChunkedArray
        JSON objects of class and probability, all with the same classes.

    Examples
    --------
    >>> probabilities_of(pa.chunked_array([['{"b": 0.25, "a": 0.75}']]))
    (array([[0.75, 0.25]]), ('a', 'b'))
    """
    rows = [json.loads(text) for text in texts.to_pylist()]
    classes = tuple(sorted(rows[0])) if rows else ()
    return np.array([[row[name] for name in classes] for row in rows], dtype=np.float64), classes


def _objects(score: npt.NDArray[np.float64], classes: tuple[str, ...]) -> pa.Array:
    """Return one JSON object per row; Arrow's shortest decimals parse back to the same bits."""
    parts: list[pa.Array | pa.Scalar] = []
    for position, name in enumerate(classes):
        parts.append(pa.scalar(f"{'{' if not position else ', '}{json.dumps(name)}: "))
        parts.append(pa.array(np.ascontiguousarray(score[:, position])).cast(pa.string()))
    joined = pc.binary_join_element_wise(*parts, pa.scalar("}"), pa.scalar(""))
    return pa.ExtensionArray.from_storage(pa.json_(), joined)


def _reasons(found: Explanation, X: pd.DataFrame, n: int) -> Iterator[str]:
    """Return one list per row; equal contributions keep the features' order."""
    order = np.argsort(-np.abs(found.contributions), axis=1, kind="stable")[:, :n]
    amounts = np.take_along_axis(found.contributions, order, axis=1)
    heads = [f'{{"feature": {json.dumps(name)}, "value": ' for name in found.features]
    values = np.empty(order.shape, dtype=object)
    for position, name in enumerate(found.features):
        rows, ranks = np.nonzero(order == position)
        values[rows, ranks] = [_json(value) for value in X[name].iloc[rows].array]
    for features, of_row, numbers in zip(order.tolist(), values.tolist(), amounts.tolist(), strict=True):
        yield (
            "["
            + ", ".join(
                f'{heads[feature]}{value}, "contribution": {number:.6g}}}'
                for feature, value, number in zip(features, of_row, numbers, strict=True)
                if number
            )
            + "]"
        )


def _json(value: Any) -> str:
    """Return a raw value as JSON; values that are neither numbers nor texts become null or text."""
    if pd.isna(value):
        return "null"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    return repr(float(value)) if isinstance(value, Real | Decimal) else json.dumps(str(value))
