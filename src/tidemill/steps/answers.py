"""Answers: from a bundle's scores to the columns of a prediction row, whatever the task."""

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.modeling.bundle import Bundle

__all__ = ["answers", "probabilities_of"]


def answers(bundle: Bundle, score: npt.NDArray[np.float64]) -> dict[str, pa.Array]:
    """Give the columns that a model's task answers.

    Parameters
    ----------
    bundle : Bundle
        The model.
    score : ndarray of shape (n_samples,), or (n_samples, n_classes) for ``multiclass``
        What `Bundle.score` gave; finite.

    Returns
    -------
    dict of str to pyarrow.Array
        binary: ``score``; multiclass: ``score`` of the predicted class, ``predicted`` and ``probabilities``; regression:
        ``score``, and ``low`` and ``high``, null where the bundle has no interval.
    """
    if bundle.task == "multiclass":
        return {
            "score": pa.array(score.max(axis=1) if len(score) else np.empty(0)),
            "predicted": pa.array(bundle.answer_of(score) if len(score) else [], pa.string()),
            "probabilities": _objects(score, tuple(str(name) for name in bundle.classes)),
        }
    if bundle.task == "regression":
        low, high = (pa.array(end, from_pandas=True) for end in bundle.interval_of(score))  # NaN becomes null
        return {"score": pa.array(score), "low": low, "high": high}
    return {"score": pa.array(score)}


def probabilities_of(texts: pa.ChunkedArray) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Give published probabilities as a matrix again, with the class of each column.

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
    """Write one JSON object a row; Arrow's shortest decimals read back to the same bits."""
    parts: list[pa.Array | pa.Scalar] = []
    for position, name in enumerate(classes):
        parts.append(pa.scalar(f"{'{' if not position else ', '}{json.dumps(name)}: "))
        parts.append(pa.array(np.ascontiguousarray(score[:, position])).cast(pa.string()))
    joined = pc.binary_join_element_wise(*parts, pa.scalar("}"), pa.scalar(""))
    return pa.ExtensionArray.from_storage(pa.json_(), joined)
