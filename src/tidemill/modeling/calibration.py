"""Calibration: scores bent until they can be read as probabilities.

A stage after the model, fitted on rows that the model was not fitted on, and kept as plain numbers. Isotonic regression
(Zadrozny and Elkan 2002) follows any monotonic bend and wants a thousand rows or more; the sigmoid (Platt 1999) has two
numbers and is content with fewer. Neither changes the order of two rows, except that isotonic steps make ties.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tidemill.record import Record

__all__ = ["METHODS", "Calibration", "newer_half"]

METHODS = ("isotonic", "sigmoid")
"""What ``train.calibration`` may name, besides ``none``."""
_EPS = 1e-7  # keeps the logit of a score of 0 or 1 finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration(Record):
    """A fitted curve from score to probability, as plain numbers."""

    method: str
    """``isotonic`` or ``sigmoid``."""
    x: tuple[float, ...]
    """Isotonic: scores of the knots, ascending. Sigmoid: slope and intercept on the logit of the score."""
    y: tuple[float, ...] = ()
    """Isotonic: probability at each knot; between knots a straight line, beyond them the last one."""
    n_rows: int
    """Validation rows that it was fitted on."""

    @classmethod
    def fit(cls, method: str, y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> Self | None:
        """Fit a curve; None if the rows do not hold both classes, and so teach nothing.

        Parameters
        ----------
        method : str
            A name of `METHODS`.
        y_true : array-like of shape (n_samples,)
            0 and 1.
        y_score : array-like of shape (n_samples,)
            Uncalibrated scores, 0 to 1.

        Examples
        --------
        >>> curve = Calibration.fit("isotonic", [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9])
        >>> curve.apply(np.array([0.0, 0.25, 0.9])).tolist()
        [0.0, 0.5, 1.0]
        """
        if method not in METHODS:
            raise ValueError(f"unknown calibration {method!r}; methods are {', '.join(METHODS)}")
        y, score = np.asarray(y_true, dtype=np.float64), np.asarray(y_score, dtype=np.float64)
        if len(np.unique(y)) < 2:
            return None
        x, knots = _isotonic(y, score) if method == "isotonic" else _sigmoid(y, score)
        return cls(method=method, x=x, y=knots, n_rows=len(y))

    @property
    def described(self) -> str:
        """What it is and what it stands on, in words."""
        return f"{self.method} on {self.n_rows} validation rows, which the threshold was chosen on too"

    def apply(self, score: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the probability of each score; a row's value depends on that row alone."""
        if self.method == "isotonic":
            return np.interp(score, self.x, self.y)
        slope, intercept = self.x
        return np.asarray(1.0 / (1.0 + np.exp(-(slope * _logit(score) + intercept))), dtype=np.float64)


def newer_half(blocks: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return which rows of a validation set calibration is fitted on: those of the newer half of its blocks of time.

    The older rows stop boosting, so that the curve is not fitted on what the model was tuned to. Of a single block every
    second row is fitted on, so that both uses have rows.

    Parameters
    ----------
    blocks : array-like of shape (n_samples,)
        Keys of partitions; they sort as time does.

    Examples
    --------
    >>> newer_half(["2013-07-01", "2013-07-01", "2013-07-02", "2013-07-03"])
    array([False, False,  True,  True])
    """
    keys = np.asarray(blocks)
    ordered = np.unique(keys)
    if len(ordered) == 1:
        return np.asarray(np.arange(len(keys)) % 2 == 1)
    return np.asarray(keys >= ordered[len(ordered) // 2] if len(ordered) else np.zeros(0, dtype=bool))


def _isotonic(
    y: npt.NDArray[np.float64], score: npt.NDArray[np.float64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, y)
    return tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist())


def _sigmoid(y: npt.NDArray[np.float64], score: npt.NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Fit on the logit, so that slope 1 and intercept 0 change nothing."""
    fitted = LogisticRegression(C=1e6).fit(_logit(score)[:, None], y)
    return (float(fitted.coef_[0, 0]), float(fitted.intercept_[0])), ()


def _logit(score: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    inside = np.clip(score, _EPS, 1 - _EPS)
    return np.asarray(np.log(inside / (1 - inside)), dtype=np.float64)
