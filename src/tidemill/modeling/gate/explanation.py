"""Whether a model's scores can be taken apart by feature, tried before the model serves."""

import pandas as pd

from tidemill.errors import ExplanationFailed
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.explain import explain
from tidemill.records import BehaviourCheck

__all__ = ["check_explanation"]

_N_ROWS = 5  # rows to explain; without trees or weights, each takes a few hundred scores


def check_explanation(bundle: Bundle, X: pd.DataFrame) -> BehaviourCheck | None:
    """Explain some rows, and compare the sums of the features' contributions with the scores.

    A failure does not reject the candidate: it can serve, but nobody can see why it scored a row as it did.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Raw features of the test set.

    Returns
    -------
    BehaviourCheck or None
        None without rows.
    """
    rows = X.head(_N_ROWS)
    if rows.empty:
        return None
    try:
        found = explain(bundle, rows, background=X)
    except (ExplanationFailed, ValueError, TypeError, ArithmeticError, LookupError) as error:  # of unusual estimators
        return BehaviourCheck(name="explanation", passed=False, observed=f"{type(error).__name__}: {error}")
    observed = f"the contributions of {len(found.features)} features add up to the score of {len(rows)} rows"
    return BehaviourCheck(name="explanation", passed=True, observed=f"{observed} ({found.method})")
