"""Scored rows in which a model is equally good everywhere, or worse in a slice that is planted."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from tidemill.metrics.rows import Reading
from tidemill.modeling.slices.weak import Measure, ScoredRows

MEASURES = {
    "binary": Measure(task="binary", metric="roc_auc", sign=1.0, reading=Reading(threshold=0.5)),
    "regression": Measure(task="regression", metric="mean_absolute_error", sign=-1.0, reading=Reading()),
}


def is_planted(label: str) -> bool:
    """Return whether a slice is the planted one, which has 3 % of the rows."""
    return "<=x3<" in label and label.endswith(" and origin=C")


def scored_rows(rng: np.random.Generator, task: str, *, planted: bool, n_days: int = 14, n: int = 20_000) -> ScoredRows:
    """Draw days of rows whose first feature and whose day change how common the positive class is, or the number."""
    X = pd.DataFrame({f"x{number}": rng.uniform(size=n) for number in range(6)})
    X["origin"] = pd.Series(rng.choice(list("ABCDEF"), size=n, p=[0.3, 0.2, 0.15, 0.15, 0.1, 0.1]), dtype="str")
    X["weekend"] = rng.integers(0, 2, size=n).astype(float)
    day = np.arange(n) * n_days // n
    logit = -1.5 + 2 * X["x0"].to_numpy() + rng.normal(size=n)
    inside = ((X["origin"] == "C") & X["x3"].between(0.4, 0.6)).to_numpy() & planted
    effect = 0.2 * rng.normal(size=n_days)[day]
    if task == "binary":
        probability = expit(logit + effect)
        y: npt.NDArray[np.float64] = (rng.random(n) < np.where(inside, probability.mean(), probability)).astype(float)
        return ScoredRows(X=X, y=y, score=expit(logit), blocks=day)
    y = logit + effect + rng.normal(size=n) * np.where(inside, 1.7, 1.0)
    return ScoredRows(X=X, y=y, score=logit, blocks=day)
