"""Labels as the estimators take them, and train sets that cannot teach anything."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.errors import NotTrainable
from tidemill.modeling.metrics import encode

__all__ = ["MAX_CLASSES", "MIN_TRAIN_ROWS", "Labels", "classes_of", "encoded", "refuse_untrainable"]

MIN_TRAIN_ROWS = 100
"""Rows below which nothing worth keeping can be learnt."""
MAX_CLASSES = 200
"""Classes beyond which a label is taken for a key or a number."""

_LARGEST = 1e30  # estimators read float32, and square their errors
_LENGTHEN = "Lengthen 'train.window', or wait until more labels have matured."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Labels of a train and a validation set, as estimators take them."""

    classes: tuple[bool, ...] | tuple[str, ...]
    """Labels of the train set."""
    train: npt.NDArray[Any]
    """0 and 1, codes of classes, or numbers."""
    validation: npt.NDArray[Any]
    """The same; -1 for a class that the train set lacks."""
    known: npt.NDArray[np.bool_]
    """Validation rows whose label the train set has too."""
    remarks: tuple[str, ...]
    """What a reader should know of them."""

    @classmethod
    def of(cls, task: str, y_train: npt.ArrayLike, y_validation: npt.ArrayLike) -> Self:
        """Encode the labels of both sets.

        Raises
        ------
        NotTrainable
            If the train set cannot teach anything.
        """
        classes = classes_of(task, y_train)
        y, y_aside = encoded(task, y_train, classes), encoded(task, y_validation, classes)
        refuse_untrainable(task, y, classes)
        known = y_aside >= 0 if task == "multiclass" else np.full(len(y_aside), True)
        return cls(
            classes=classes, train=y, validation=y_aside, known=known, remarks=_unknown_classes(y_validation, known)
        )


def classes_of(task: str, y: npt.ArrayLike) -> tuple[bool, ...] | tuple[str, ...]:
    """Return the labels that a model can answer with.

    Examples
    --------
    >>> classes_of("multiclass", ["b", "a", "b"]), classes_of("regression", [1.5])
    (('a', 'b'), ())
    """
    if task == "binary":
        return (False, True)
    return tuple(sorted(set(_texts(y)))) if task == "multiclass" else ()


def encoded(task: str, y: npt.ArrayLike, classes: tuple[Any, ...]) -> npt.NDArray[Any]:
    """Return labels as 0 and 1, as positions in ``classes`` (-1 where they are none of them), or as numbers.

    Raises
    ------
    ValueError
        If a label is missing or of another kind: unlabelled rows are left out before.

    Examples
    --------
    >>> encoded("multiclass", ["b", "z"], ("a", "b"))
    array([ 1, -1])
    """
    if task == "multiclass":
        return encode(_texts(y), classes)
    labels = np.asarray(y)
    if task == "binary":
        if not np.isin(labels, (0, 1)).all():
            raise ValueError("labels must be booleans, or 0 and 1, without missing values")
        return labels.astype(np.int8)
    numbers = labels.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("labels must be finite numbers, without missing values")
    return numbers


def refuse_untrainable(task: str, y: npt.NDArray[Any], classes: tuple[Any, ...]) -> None:
    """Refuse a train set that is too small, or whose label never changes.

    Raises
    ------
    NotTrainable
        With the counts.
    """
    counts = f"{len(y)} labelled rows"
    if task == "binary":
        counts += f", {int(y.sum())} of them positive"
    if len(y) < MIN_TRAIN_ROWS:
        raise NotTrainable(f"The train set has {counts}; at least {MIN_TRAIN_ROWS} rows are needed.", _LENGTHEN)
    if task == "binary" and int(y.sum()) in (0, len(y)):
        raise NotTrainable(
            f"The train set has {counts}; both classes are needed.",
            "Check 'label.positive' and the labels query, or lengthen 'train.window'.",
        )
    if task == "multiclass" and not 2 <= len(classes) <= MAX_CLASSES:
        found = f"{len(classes):,} classes" if len(classes) > 1 else f"all of class {classes[0]!r}"
        raise NotTrainable(
            f"The train set has {counts}, {found}; 2 to {MAX_CLASSES} classes are needed.",
            "Check 'label.column' and the labels query, or lengthen 'train.window'.",
        )
    if task == "regression" and np.abs(y).max() > _LARGEST:
        raise NotTrainable(
            f"The train set has {counts}, with a label of {y[np.abs(y).argmax()]:.3g}; numbers up to {_LARGEST:.3g} fit.",
            "Choose another unit in the labels query, or correct the source.",
        )
    if task == "regression" and np.ptp(y) == 0:
        raise NotTrainable(
            f"The train set has {counts}, and the label is {y[0]:g} in all of them; it has to vary.",
            "Check 'label.column' and the labels query, or lengthen 'train.window'.",
        )


def _texts(y: npt.ArrayLike) -> npt.NDArray[np.object_]:
    labels = np.asarray(y, dtype=object)
    if pd.isna(labels).any():
        raise ValueError("labels must be texts, without missing values")
    return np.array([str(label) for label in labels], dtype=object)


def _unknown_classes(labels: npt.ArrayLike, known: npt.NDArray[Any]) -> tuple[str, ...]:
    if known.all():
        return ()
    names = sorted(set(np.asarray(labels, dtype=object)[~known]))
    shown = ", ".join(map(repr, names[:5])) + (" and others" if len(names) > 5 else "")
    return (
        f"{int((~known).sum())} of {len(known)} validation rows are of class {shown}, which the train set lacks; "
        "they stopped nothing, and count as wrong in every metric.",
    )
