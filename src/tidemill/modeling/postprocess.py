"""What comes after the fit of a binary model: calibration, and the threshold on calibrated scores.

Both are chosen on the validation set. The rows that calibration is fitted on also choose the threshold and the candidate;
only the test set measures the result.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.modeling.bundle import INTERVAL_COVERAGE, Bundle
from tidemill.modeling.calibration import Calibration
from tidemill.modeling.conformal import residual_quantiles
from tidemill.modeling.threshold import choose_threshold, constant_threshold

__all__ = ["Validated", "finish", "with_constant_answer", "with_interval"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Validated:
    """The validation set with a fitted model's scores."""

    score: npt.NDArray[np.float64]
    """Scores, not calibrated."""
    y: npt.NDArray[Any]
    """Labels, shape (n_samples,)."""
    blocks: npt.ArrayLike
    """Key of each row's partition, shape (n_samples,)."""
    sample_weight: npt.NDArray[np.float64] | None = None
    """How often each row counts, above 0; None for once."""


def finish(
    bundle: Bundle, rows: Validated, *, calibration: str, calibrate_on: npt.NDArray[np.bool_], threshold: str
) -> Bundle:
    """Add the stages that the spec asks for; return a model of another task unchanged.

    Parameters
    ----------
    bundle : Bundle
        Fitted model, not calibrated yet.
    calibration : str
        ``none``, ``isotonic`` or ``sigmoid``.
    calibrate_on : ndarray of bool, shape (n_samples,)
        Rows that the curve is fitted on.
    threshold : str
        Rule, as in `choose_threshold`.
    """
    if not bundle.task_type.has_threshold:
        return bundle
    if calibration != "none":
        bundle = _calibrated(bundle, rows, calibrate_on, calibration)
    n_partitions = len(np.unique(np.asarray(rows.blocks)))
    calibrated = bundle.calibrated(rows.score)
    value, criterion = choose_threshold(rows.y, calibrated, threshold, rows.sample_weight, n_partitions)
    bundle = replace(bundle, threshold=value, threshold_criterion=criterion)
    return with_constant_answer(bundle, rows)


def with_constant_answer(bundle: Bundle, rows: Validated, metric: str = "accuracy") -> Bundle:
    """Let a binary model that scores every row alike answer as well as a constant; return other models unchanged.

    No threshold rule fits such a model: it would call every row positive.

    Parameters
    ----------
    metric : str, default "accuracy"
        Metric in which the answer is to be good, as in `constant_threshold`.
    """
    if not bundle.task_type.has_threshold or not len(rows.score) or np.ptp(rows.score) > 0:
        return bundle
    constant = float(bundle.calibrated(rows.score)[0])
    value, criterion = constant_threshold(rows.y, constant, metric, rows.sample_weight)
    return replace(bundle, threshold=value, threshold_criterion=criterion)


def with_interval(bundle: Bundle, rows: Validated) -> Bundle:
    """Widen the interval of a regression to allow for differences between days; return other models unchanged."""
    if bundle.residual_quantiles is None or not len(rows.score):
        return bundle
    residuals = np.asarray(rows.y, dtype=np.float64) - rows.score
    quantiles = residual_quantiles(residuals, INTERVAL_COVERAGE, rows.blocks, rows.sample_weight)
    return replace(bundle, residual_quantiles=quantiles)


def _calibrated(bundle: Bundle, rows: Validated, chosen: npt.NDArray[np.bool_], method: str) -> Bundle:
    often = None if rows.sample_weight is None else rows.sample_weight[chosen]
    curve = Calibration.fit(method, rows.y[chosen], rows.score[chosen], often)
    if curve is None:
        n_rows = int(chosen.sum())
        missing = f"Not calibrated: the {n_rows} validation rows for it need both classes, and scores that rise with the label."
        return replace(bundle, remarks=(*bundle.remarks, missing))
    return replace(bundle, calibration=curve)
