"""Calibration: scores mapped so that they can be read as probabilities.

A stage after the model, fitted on rows that the model was not fitted on, and kept as plain numbers. Isotonic regression
(Zadrozny and Elkan 2002) follows any monotonic bend and wants a thousand rows or more; the sigmoid (Platt 1999) has two
numbers and needs fewer. Neither reverses the order of two rows; isotonic steps make ties. No probability is exactly 0 or 1:
that no row of a level was positive does not mean that none ever will be.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tidemill.metrics.statistic import independent
from tidemill.record import Record

__all__ = ["METHODS", "Calibration", "newer_half"]

METHODS = ("isotonic", "sigmoid")
"""What ``train.calibration`` may name, besides ``none``."""
Floats = npt.NDArray[np.float64]
Numbers = tuple[float, ...]
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
    def fit(
        cls, method: str, y_true: npt.ArrayLike, y_score: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Self | None:
        """Fit a curve; None if the rows teach none: a single class, or scores that do not rise with the label.

        Parameters
        ----------
        method : str
            A name of `METHODS`.
        y_true : array-like of shape (n_samples,)
            0 and 1.
        y_score : array-like of shape (n_samples,)
            Uncalibrated scores, 0 to 1.
        sample_weight : array-like of shape (n_samples,), default None
            How often each row counts, above 0; None for once.

        Examples
        --------
        >>> curve = Calibration.fit("isotonic", [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9])
        >>> curve.apply(np.array([0.0, 0.25, 0.9])).tolist()
        [0.25, 0.5, 0.75]
        """
        if method not in METHODS:
            raise ValueError(f"unknown calibration {method!r}; methods are {', '.join(METHODS)}")
        y, score = np.asarray(y_true, dtype=np.float64), np.asarray(y_score, dtype=np.float64)
        if len(np.unique(y)) < 2:
            return None
        often = np.ones(len(y)) if sample_weight is None else independent(np.asarray(sample_weight, dtype=np.float64))
        fitted = (_isotonic if method == "isotonic" else _sigmoid)(y, score, often)
        if fitted is None:
            return None
        x, knots = fitted
        return cls(method=method, x=x, y=knots, n_rows=len(y))

    @property
    def described(self) -> str:
        """What it is and what it stands on, in words."""
        return f"{self.method} on {self.n_rows} validation rows, which the threshold was chosen on too"

    def apply(self, score: Floats) -> Floats:
        """Return the probability of each score; a row's value depends only on that row."""
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


def _isotonic(y: Floats, score: Floats, often: Floats) -> tuple[Numbers, Numbers] | None:
    """Fit steps; None if there is only one. Levels of 0 and 1 count one more row, of the average label."""
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, y, often)
    knots, of_rows = fitted.y_thresholds_, fitted.predict(score)
    if not np.ptp(knots) > 0:
        return None
    inner = knots[(knots > 0) & (knots < 1)]
    rate = float(often @ y / often.sum())
    lowest = rate / (often[of_rows == 0].sum() + 1)
    highest = 1 - (1 - rate) / (often[of_rows == 1].sum() + 1)
    knots = np.where(knots == 0, min(lowest, inner.min(initial=1.0)), knots)
    knots = np.where(knots == 1, max(highest, inner.max(initial=0.0)), knots)
    return tuple(fitted.X_thresholds_.tolist()), tuple(knots.tolist())


def _sigmoid(y: Floats, score: Floats, often: Floats) -> tuple[Numbers, Numbers] | None:
    """Fit on the logit, so that slope 1 and intercept 0 change nothing; None if the slope is not positive."""
    fitted = LogisticRegression(C=1e6).fit(_logit(score)[:, None], y, often)
    slope = float(fitted.coef_[0, 0])
    return ((slope, float(fitted.intercept_[0])), ()) if slope > 0 else None


def _logit(score: Floats) -> Floats:
    inside = np.clip(score, _EPS, 1 - _EPS)
    return np.asarray(np.log(inside / (1 - inside)), dtype=np.float64)
