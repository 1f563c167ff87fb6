"""Metrics as training and the gate use them; `tidemill.metrics` defines them."""

from tidemill.metrics.definitions import DECIDABLE, METRICS, default_metric, greater_is_better
from tidemill.metrics.differences import Pair, mean_difference, paired_difference
from tidemill.metrics.evaluation import by_slice, evaluate, point_value
from tidemill.metrics.rows import encode, spread

__all__ = [
    "DECIDABLE",
    "METRICS",
    "Pair",
    "by_slice",
    "default_metric",
    "encode",
    "evaluate",
    "greater_is_better",
    "mean_difference",
    "paired_difference",
    "point_value",
    "spread",
]
