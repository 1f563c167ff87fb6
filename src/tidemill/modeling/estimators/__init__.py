"""The registry of estimators, and the single entry point for fitting a model.

A name in the spec selects a recipe; its defaults suit about ten thousand rows with a few dozen columns. All randomness
depends on ``random_state``: the same rows, order, seed and number of threads produce the same model, bit by bit.
"""

from tidemill.modeling.estimators.boosting import Boosting
from tidemill.modeling.estimators.fitting import Prepared, SetWeights, fit, prepare
from tidemill.modeling.estimators.in_pieces import (
    Boost,
    Encoding,
    Page,
    Pieces,
    boost_on_disk,
    fit_in_pieces,
    score_in_pieces,
)
from tidemill.modeling.estimators.own import instance_of
from tidemill.modeling.estimators.registry import rounds_of
from tidemill.modeling.estimators.targets import ClassWeight, Labels

__all__ = [
    "Boost",
    "Boosting",
    "ClassWeight",
    "Encoding",
    "Labels",
    "Page",
    "Pieces",
    "Prepared",
    "SetWeights",
    "boost_on_disk",
    "fit",
    "fit_in_pieces",
    "instance_of",
    "prepare",
    "rounds_of",
    "score_in_pieces",
]
