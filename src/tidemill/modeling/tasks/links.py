"""From log odds to probabilities, row by row: the bits of a row do not depend on the number of rows."""

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from tidemill.modeling.tasks.multiclass import row_sums

__all__ = ["probabilities"]

Floats = npt.NDArray[np.float64]


def probabilities(logits: Floats) -> Floats:
    """Return the probability of the second of two classes, or of each of several classes (softmax)."""
    if logits.ndim == 1:
        return np.asarray(expit(logits))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / row_sums(powers)[:, None])
