"""What an author expects of a model: directions, invariances, and rows with a known range of their score.

The tests of Ribeiro et al. (2020) on one model: directional expectation, invariance, minimum functionality. Each returns
what is wrong in words with figures, or None.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle

__all__ = ["case_flaw", "direction_flaw", "invariance_flaw"]

QUANTILES = (
    0.1,
    0.9,
)  # between which a feature grows: the tails of its values are rare, and the model knows little there


def direction_flaw(bundle: Bundle, X: pd.DataFrame, feature: str, direction: str) -> str | None:
    """Compare the mean score of all rows with a low and with a high value of one feature.

    Unlike the behaviour check of a monotonic feature, a single row may go the other way.

    Parameters
    ----------
    direction : {"increasing", "decreasing"}
        How the mean must change from the 10 % to the 90 % quantile of the feature.
    """
    if feature not in bundle.schema.numeric:
        return f"the model reads no number {feature}"
    rows = align(X, bundle.schema)
    low, high = (rows[feature].quantile(quantile) for quantile in QUANTILES)
    if not low < high:
        return f"{feature} does not vary enough: its 10 % and 90 % quantiles are {low:g} and {high:g}"
    before, after = (float(bundle.score(rows.assign(**{feature: value})).mean()) for value in (low, high))
    if after > before if direction == "increasing" else after < before:
        return None
    return f"from {feature} = {low:g} to {high:g} the mean score goes from {before:.4f} to {after:.4f}"


def invariance_flaw(bundle: Bundle, X: pd.DataFrame, feature: str, most: float, *, random_state: int = 0) -> str | None:
    """Let rows swap their values of one feature, and compare the mean absolute change of a score with the most allowed."""
    if feature not in bundle.schema.names:
        return f"the model reads no feature {feature}"
    rows = align(X, bundle.schema)
    order = np.random.default_rng(random_state).permutation(len(rows))
    swapped = rows.assign(**{feature: rows[feature].iloc[order].set_axis(rows.index)})
    change = float(np.abs(bundle.score(swapped) - bundle.score(rows)).mean())
    if change <= most:
        return None
    return f"with another row's {feature}, a score changes by {change:.4f} on average; {most:g} is allowed"


def case_flaw(
    bundle: Bundle,
    X: pd.DataFrame,
    row: Mapping[str, float | bool | str | None],
    minimum: float | None,
    maximum: float | None,
) -> str | None:
    """Compare the score of a row with its range; what it does not name is typical of ``X``."""
    strange = sorted(set(row) - set(bundle.schema.names))
    if strange:
        return f"the model reads no feature {', '.join(strange)}"
    (score,) = bundle.score(_typical(bundle, X).assign(**row))
    if (minimum is None or score >= minimum) and (maximum is None or score <= maximum):
        return None
    bounds = " and ".join(
        f"{word} {bound:g}" for word, bound in (("at least", minimum), ("at most", maximum)) if bound is not None
    )
    return f"its score is {score:.4f}, and should be {bounds}"


def _typical(bundle: Bundle, X: pd.DataFrame) -> pd.DataFrame:
    """Return one row: the median of each number, and the most frequent value of each category."""
    rows = align(X, bundle.schema)
    numbers = {name: [rows[name].median()] for name in bundle.schema.numeric}
    categories = {name: [next(iter(rows[name].mode()), None)] for name in bundle.schema.categorical}
    return pd.DataFrame({**numbers, **categories})
