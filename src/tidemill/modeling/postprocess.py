"""What comes after the fit of a binary model: calibration, and the threshold on calibrated scores.

Both are chosen on the validation set. The rows that calibration is fitted on also choose the threshold and the candidate;
only the test set measures what the result is worth.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tidemill.modeling.bundle import INTERVAL_COVERAGE, Bundle
from tidemill.modeling.calibration import Calibration
from tidemill.modeling.conformal import residual_quantiles
from tidemill.modeling.threshold import choose_threshold, constant_threshold

__all__ = ["finish", "with_constant_answer", "with_interval"]


def finish(
    bundle: Bundle,
    score: npt.NDArray[np.float64],
    y: npt.ArrayLike,
    *,
    calibration: str,
    calibrate_on: npt.NDArray[np.bool_],
    threshold: str,
) -> Bundle:
    """Add the stages that the spec asks for; return a model of another task as it is.

    Parameters
    ----------
    bundle : Bundle
        Fitted model, not calibrated yet.
    score : ndarray of shape (n_samples,)
        Its scores of the validation set.
    y : array-like of shape (n_samples,)
        0 and 1.
    calibration : str
        ``none``, ``isotonic`` or ``sigmoid``.
    calibrate_on : ndarray of bool, shape (n_samples,)
        Rows that the curve is fitted on.
    threshold : str
        Rule, as in `choose_threshold`.
    """
    if not bundle.task_type.has_threshold:
        return bundle
    labels = np.asarray(y).astype(np.int64)
    if calibration != "none":
        bundle = _calibrated(bundle, score[calibrate_on], labels[calibrate_on], calibration)
    value, criterion = choose_threshold(labels, bundle.calibrated(score), threshold)
    bundle = replace(bundle, threshold=value, threshold_criterion=criterion)
    return with_constant_answer(bundle, score, labels)


def with_constant_answer(
    bundle: Bundle, score: npt.NDArray[np.float64], y: npt.ArrayLike, metric: str = "accuracy"
) -> Bundle:
    """Let a binary model that scores every row alike answer as well as a constant can; return others as they are.

    A rule for the threshold tells nothing about such a model, which would call every row positive.

    Parameters
    ----------
    bundle : Bundle
        Finished model.
    score : ndarray of shape (n_samples,)
        Its scores of the validation set, not calibrated.
    y : array-like of shape (n_samples,)
        0 and 1.
    metric : str, default "accuracy"
        Metric in which the answer is to be good, as in `constant_threshold`.
    """
    if not bundle.task_type.has_threshold or not len(score) or np.ptp(score) > 0:
        return bundle
    constant = float(bundle.calibrated(score)[0])
    value, criterion = constant_threshold(np.asarray(y).astype(np.int64), constant, metric)
    return replace(bundle, threshold=value, threshold_criterion=criterion)


def with_interval(bundle: Bundle, score: npt.NDArray[np.float64], y: npt.ArrayLike, blocks: npt.ArrayLike) -> Bundle:
    """Widen the interval of a predicted number to what days that differ ask for; return models without one as they are.

    Parameters
    ----------
    bundle : Bundle
        Fitted model.
    score : ndarray of shape (n_samples,)
        Its predictions on the validation set.
    y : array-like of shape (n_samples,)
        Labels.
    blocks : array-like of shape (n_samples,)
        Keys of partitions.
    """
    if bundle.residual_quantiles is None or not len(score):
        return bundle
    residuals = np.asarray(y, dtype=np.float64) - score
    return replace(bundle, residual_quantiles=residual_quantiles(residuals, INTERVAL_COVERAGE, blocks))


def _calibrated(bundle: Bundle, score: npt.NDArray[np.float64], y: npt.NDArray[np.int64], method: str) -> Bundle:
    curve = Calibration.fit(method, y, score)
    if curve is None:
        missing = f"Not calibrated: the {len(y)} validation rows for it need both classes, and scores that rise with the label."
        return replace(bundle, remarks=(*bundle.remarks, missing))
    return replace(bundle, calibration=curve)
