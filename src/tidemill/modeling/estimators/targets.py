"""Encoding of train and validation labels for the estimators."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from tidemill.modeling.tasks import Classes, task_type

__all__ = ["ClassWeight", "Labels", "with_class_weight"]

ClassName = Literal["negative", "positive"]
ClassWeight = Literal["balanced"] | Mapping[ClassName, float] | None
CLASSES: tuple[ClassName, ClassName] = ("negative", "positive")
"""Names of the two classes under ``train.class_weight``, in the order of their codes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Encoded labels of a train and a validation set."""

    classes: Classes
    """Classes in the train set."""
    train: npt.NDArray[Any]
    """0 and 1, codes of classes, or numbers."""
    validation: npt.NDArray[Any]
    """Same encoding; -1 for a class that the train set lacks."""
    known: npt.NDArray[np.bool_]
    """Validation rows whose label also occurs in the train set."""
    remarks: tuple[str, ...]
    """Remarks for the model card."""

    @classmethod
    def of(cls, task: str, y_train: npt.ArrayLike, y_validation: npt.ArrayLike) -> Self:
        """Encode the labels of both sets.

        Raises
        ------
        NotTrainable
            If the train set has too few rows, a single class or a constant label.
        """
        kind = task_type(task)
        classes = kind.classes_of(y_train)
        y, y_aside = kind.encode(y_train, classes), kind.encode(y_validation, classes)
        kind.refuse_untrainable(y, classes)
        known = kind.known(y_aside)
        return cls(
            classes=classes, train=y, validation=y_aside, known=known, remarks=_unknown_classes(y_validation, known)
        )


def with_class_weight(
    y: npt.NDArray[Any], sample_weight: npt.NDArray[np.float64] | None, class_weight: ClassWeight
) -> npt.NDArray[np.float64] | None:
    """Return the weights of train rows of two classes, times the weight of their class.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        0 and 1.
    sample_weight : ndarray of shape (n_samples,) or None
        How often each row counts; None for once.
    class_weight : ``balanced``, mapping or None
        ``balanced`` gives both classes the same total, and leaves the total of all rows as it is.

    Examples
    --------
    >>> with_class_weight(np.array([0, 0, 0, 1]), None, "balanced").round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    """
    if class_weight is None:
        return sample_weight
    often = np.ones(len(y)) if sample_weight is None else sample_weight
    if class_weight == "balanced":
        totals = np.bincount(y, weights=often, minlength=len(CLASSES))
        return np.asarray(often * (totals.sum() / (len(CLASSES) * totals))[y])
    return np.asarray(often * np.array([class_weight.get(name, 1.0) for name in CLASSES])[y])


def _unknown_classes(labels: npt.ArrayLike, known: npt.NDArray[Any]) -> tuple[str, ...]:
    if known.all():
        return ()
    names = sorted(set(np.asarray(labels, dtype=object)[~known]))
    shown = ", ".join(map(repr, names[:5])) + (" and others" if len(names) > 5 else "")
    return (
        f"{int((~known).sum())} of {len(known)} validation rows are of class {shown}, which the train set lacks; "
        "they are excluded from early stopping, and count as wrong in every metric.",
    )
