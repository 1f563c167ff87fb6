"""How good scores are: figures with 95 % intervals, and paired differences, for each task.

A metric that the data do not define (a single class, no row, a score that is not a number) is NaN, never an
exception and never a flattering default: who decides on it has to fail closed. Each metric is one function of a
sample and a matrix of row weights, so that the figure and its 200 replicates are the same code.
"""

from tidemill.modeling.metrics.computing import METRICS
from tidemill.modeling.metrics.evaluation import by_slice, evaluate, point_value
from tidemill.modeling.metrics.multiclass import encode, spread
from tidemill.modeling.metrics.pairs import Pair, mean_difference, paired_difference
from tidemill.spec.metrics import DECIDABLE, default_metric, greater_is_better

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
