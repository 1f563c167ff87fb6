"""Rows of each task, and what scikit-learn makes of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import metrics as oracle

from tidemill.metrics.definitions import DEFINITIONS

CLASSES = ("early", "late", "on time")
ALL = [(task, metric) for task, metrics in DEFINITIONS.items() for metric in metrics]
"""Every metric with its task."""
OF_ANOTHER_SCALE = {
    "median_absolute_error": "its influence is on the scale of ranks",
    "expected_calibration_error": "its influence has the error of the debiased figure over many draws",
}
"""Metrics whose interval does not come from the influence on the value, such as those of `rows.median`."""


def _decided(score):
    return score >= 0.5


ORACLES: Mapping[tuple[str, str], Callable[..., float]] = {
    ("binary", "roc_auc"): oracle.roc_auc_score,
    ("binary", "average_precision"): oracle.average_precision_score,
    ("binary", "log_loss"): lambda y, s: oracle.log_loss(y, s, labels=[0, 1]),
    ("binary", "brier_score"): oracle.brier_score_loss,
    ("binary", "accuracy"): lambda y, s: oracle.accuracy_score(y, _decided(s)),
    ("binary", "precision"): lambda y, s: oracle.precision_score(y, _decided(s), zero_division=np.nan),
    ("binary", "recall"): lambda y, s: oracle.recall_score(y, _decided(s)),
    ("binary", "f1"): lambda y, s: oracle.f1_score(y, _decided(s)),
    ("binary", "base_rate"): lambda y, s: np.mean(y),
    ("binary", "mean_score"): lambda y, s: np.mean(s),
    ("binary", "calibration_gap"): lambda y, s: np.mean(s) - np.mean(y),
    ("multiclass", "log_loss"): lambda y, s: oracle.log_loss(y, s, labels=[0, 1, 2]),
    ("multiclass", "accuracy"): lambda y, s: oracle.accuracy_score(y, s.argmax(axis=1)),
    ("multiclass", "balanced_accuracy"): lambda y, s: oracle.balanced_accuracy_score(y, s.argmax(axis=1)),
    ("multiclass", "macro_f1"): lambda y, s: oracle.f1_score(y, s.argmax(axis=1), average="macro", zero_division=0),
    ("multiclass", "roc_auc_ovr"): lambda y, s: oracle.roc_auc_score(y, s, multi_class="ovr", labels=[0, 1, 2]),
    ("multiclass", "brier_score"): lambda y, s: oracle.brier_score_loss(y, s, labels=[0, 1, 2]),
    ("multiclass", "mean_confidence"): lambda y, s: np.mean(s.max(axis=1)),
    ("multiclass", "calibration_gap"): lambda y, s: np.mean(s.max(axis=1)) - np.mean(y == s.argmax(axis=1)),
    ("regression", "mean_absolute_error"): oracle.mean_absolute_error,
    ("regression", "root_mean_squared_error"): oracle.root_mean_squared_error,
    ("regression", "median_absolute_error"): oracle.median_absolute_error,
    ("regression", "r2_score"): oracle.r2_score,
    ("regression", "mean_error"): lambda y, s: np.mean(s - y),
    ("regression", "interval_coverage"): lambda y, s: np.mean(np.abs(s - y) <= 1),
    ("regression", "interval_width"): lambda y, s: 2.0,
    ("regression", "mean_label"): lambda y, s: np.mean(y),
    ("regression", "mean_prediction"): lambda y, s: np.mean(s),
}
"""What a metric has to equal; intervals are the prediction plus and minus 1."""


def rows_of(task: str, rng: np.random.Generator, n: int) -> tuple[Any, Any, dict[str, Any]]:
    """Draw labels, scores with ties among them, and how they are read."""
    if task == "regression":
        y = rng.normal(150, 4, n).round(1)
        score = y + rng.normal(0.2, 1, n).round(1)
        return y, score, {"interval": (score - 1, score + 1)}
    if task == "multiclass":
        y = np.append([0, 1, 2], rng.choice(3, n - 3, p=[0.2, 0.3, 0.5]))
        score = rng.dirichlet([1, 1, 1], n).round(2) + np.eye(3)[y] / 2
        return y, score / score.sum(axis=1, keepdims=True), {}
    y = np.append([0, 1], rng.random(n - 2) < 0.3).astype(int)
    return y, np.clip(0.3 + 0.2 * y + 0.2 * rng.normal(size=n), 0, 1).round(2), {}
